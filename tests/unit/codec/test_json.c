#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../unit.h"
#include "base/strv.h"
#include "codec/json.h"
#include "codec/utf8.h"

struct inner {
	char *type;
	int64_t weight;
};

static const struct json_field inner_fields[] = {
	JSON_FIELD(struct inner, type, "Type", JSON_STRING_FIELD, .flags = JSON_REQUIRED),
	JSON_FIELD(struct inner, weight, "Weight", JSON_INT, .flags = JSON_OMITEMPTY),
};
static const struct json_table inner_table = JSON_TABLE(struct inner, inner_fields);

struct loose {
	char *note;
};

static const struct json_field loose_fields[] = {
	JSON_FIELD(struct loose, note, "Note", JSON_STRING_FIELD, .flags = JSON_OMITEMPTY),
};
static const struct json_table loose_table = JSON_TABLE(struct loose, loose_fields);

struct everything {
	char *string;
	bool boolean;
	struct json_opt_bool opt_bool;
	int64_t integer;
	struct json_opt_int opt_int;
	uint64_t natural;
	double real;
	char **strv;
	char **command;
	struct map *strmap;
	char **set;
	int64_t *ints;
	size_t int_count;
	struct loose embedded;
	struct inner *pointer;
	struct inner *objects;
	size_t object_count;
	struct map *object_map;
	json_t *raw;
};

static const struct json_field everything_fields[] = {
	JSON_FIELD(struct everything, string, "String", JSON_STRING_FIELD),
	JSON_FIELD(struct everything, boolean, "Boolean", JSON_BOOL_FIELD),
	JSON_FIELD(struct everything, opt_bool, "OptBool", JSON_OPT_BOOL),
	JSON_FIELD(struct everything, integer, "Integer", JSON_INT),
	JSON_FIELD(struct everything, opt_int, "OptInt", JSON_OPT_INT),
	JSON_FIELD(struct everything, natural, "Natural", JSON_UINT),
	JSON_FIELD(struct everything, real, "Real", JSON_DOUBLE),
	JSON_FIELD(struct everything, strv, "Strv", JSON_STRV),
	JSON_FIELD(struct everything, command, "Cmd", JSON_STRV_OR_STRING),
	JSON_FIELD(struct everything, strmap, "Labels", JSON_STRMAP),
	JSON_FIELD(struct everything, set, "Volumes", JSON_SET),
	JSON_FIELD_ARRAY(struct everything, ints, int_count, "Ints", JSON_INTS),
	JSON_FIELD(struct everything, embedded, "Embedded", JSON_OBJECT_FIELD, .table = &loose_table),
	JSON_FIELD(struct everything, pointer, "Pointer", JSON_OBJECT_PTR, .table = &inner_table),
	JSON_FIELD_ARRAY(struct everything, objects, object_count, "Objects", JSON_OBJECTS, .table = &inner_table),
	JSON_FIELD(struct everything, object_map, "Map", JSON_OBJECT_MAP, .table = &loose_table),
	JSON_FIELD(struct everything, raw, "Raw", JSON_RAW),
};
static const struct json_table everything_table = JSON_TABLE(struct everything, everything_fields);

static const char full_text[] =
	"{\"String\":\"s\\u00e9\",\"Boolean\":true,\"OptBool\":false,\"Integer\":-9223372036854775808,"
	"\"OptInt\":9223372036854775807,\"Natural\":7,\"Real\":1.5,\"Strv\":[\"a\",\"\"],\"Cmd\":[\"x\"],"
	"\"Labels\":{\"z\":\"1\",\"a\":\"2\"},\"Volumes\":{\"/data\":{}},\"Ints\":[1,-2],\"Embedded\":{\"Note\":\"n\"},"
	"\"Pointer\":{\"Type\":\"t\"},\"Objects\":[{\"Type\":\"u\",\"Weight\":4},{\"Type\":\"\"}],"
	"\"Map\":{\"net\":{\"Note\":\"m\"},\"empty\":{}},\"Raw\":{\"deep\":[null,1.5]}}";

static void parse_ok(const char *text, struct everything *out)
{
	_autofree_(err) struct err *err = NULL;
	*out = (struct everything){ 0 };
	int ret = json_parse(&everything_table, text, strlen(text), out, &err);
	if (ret < 0)
		fail_msg("%s: %s", text, err_message(err));
}

static void expect_error(const char *text, const char *message)
{
	struct everything out = { 0 }, zero = { 0 };
	_autofree_(err) struct err *err = NULL;
	assert_int_equal(json_parse(&everything_table, text, strlen(text), &out, &err), -EINVAL);
	assert_int_equal(err->kind, ERR_INVALID);
	assert_string_equal(err_message(err), message);
	assert_memory_equal(&out, &zero, sizeof out);
}

static char *print(const void *in)
{
	struct buf text = BUF_INIT(1 << 20);
	assert_int_equal(json_print(&everything_table, in, &text), 0);
	return buf_take(&text);
}

static void every_type_goes_round(void **state)
{
	(void)state;
	struct everything out, copy;
	parse_ok(full_text, &out);
	assert_string_equal(out.string, "s\xc3\xa9");
	assert_true(out.boolean && out.opt_bool.set && !out.opt_bool.value);
	assert_true(out.integer == INT64_MIN && out.opt_int.set && out.opt_int.value == INT64_MAX && out.natural == 7);
	assert_int_equal(strv_count(out.strv), 2);
	assert_string_equal(map_get(out.strmap, "a"), "2");
	assert_string_equal(out.set[0], "/data");
	assert_int_equal(out.int_count, 2);
	assert_int_equal(out.ints[1], -2);
	assert_string_equal(out.embedded.note, "n");
	assert_string_equal(out.pointer->type, "t");
	assert_int_equal(out.object_count, 2);
	assert_int_equal(out.objects[0].weight, 4);
	assert_string_equal(((struct loose *)map_get(out.object_map, "net"))->note, "m");
	assert_true(json_is_object(out.raw));

	memset(&copy, 0xa5, sizeof copy);
	assert_int_equal(json_clone(&everything_table, &out, &copy), 0);
	_cleanup_free_ char *first = print(&out);
	json_finish(&everything_table, &out);
	_cleanup_free_ char *second = print(&copy);
	json_finish(&everything_table, &copy);
	json_finish(&everything_table, &copy);

	assert_string_equal(first, second);
	_cleanup_free_ char *repaired = strdup(full_text);
	char *escape = strstr(repaired, "\\u00e9");
	memcpy(escape, "\xc3\xa9", 2);
	memmove(escape + 2, escape + 6, strlen(escape + 6) + 1);
	assert_string_equal(first, repaired);
}

static void absence_null_and_empty_are_told_apart(void **state)
{
	(void)state;
	struct everything out;
	parse_ok("{\"Strv\":null,\"Cmd\":[],\"Volumes\":{},\"Labels\":{},\"Ints\":[],\"Objects\":[],\"Map\":{},"
		 "\"Pointer\":null,\"Raw\":null,\"unknown\":[1,2]}",
		&out);
	assert_null(out.strv);
	assert_true(out.command && !out.command[0]);
	assert_true(out.set && !out.set[0]);
	assert_true(out.strmap && map_count(out.strmap) == 0);
	assert_true(out.ints && out.int_count == 0 && out.objects && out.object_count == 0);
	assert_true(out.object_map && !out.pointer && !out.raw);
	_cleanup_free_ char *text = print(&out);
	assert_string_equal(text,
		"{\"String\":null,\"Boolean\":false,\"OptBool\":null,\"Integer\":0,\"OptInt\":null,\"Natural\":0,"
		"\"Real\":0.0,\"Strv\":null,\"Cmd\":[],\"Labels\":{},\"Volumes\":{},\"Ints\":[],\"Embedded\":{},"
		"\"Pointer\":null,\"Objects\":[],\"Map\":{},\"Raw\":null}");
	json_finish(&everything_table, &out);
}

static void nulls_inside_count_as_empty(void **state)
{
	(void)state;
	struct everything out;
	parse_ok("{\"Strv\":[null,\"b\"],\"Labels\":{\"k\":null},\"Volumes\":{\"/v\":null},\"Map\":{\"n\":null}}",
		&out);
	assert_string_equal(out.strv[0], "");
	assert_string_equal(map_get(out.strmap, "k"), "");
	assert_string_equal(out.set[0], "/v");
	assert_non_null(map_get(out.object_map, "n"));
	json_finish(&everything_table, &out);
	expect_error("{\"Objects\":[null]}", "Objects[0].Type: is required");
}

static void keys_match_exactly_then_folded(void **state)
{
	(void)state;
	struct everything out;
	parse_ok("{\"STRING\":\"folded\",\"cmd\":\"one\"}", &out);
	assert_string_equal(out.string, "folded");
	assert_string_equal(out.command[0], "one");
	json_finish(&everything_table, &out);
	parse_ok("{\"String\":\"exact\",\"string\":\"folded\"}", &out);
	assert_string_equal(out.string, "exact");
	json_finish(&everything_table, &out);
	parse_ok("{\"String\":\"first\",\"String\":\"last\"}", &out);
	assert_string_equal(out.string, "last");
	json_finish(&everything_table, &out);
}

static void defaults_survive_unless_replaced(void **state)
{
	(void)state;
	struct everything out = { .string = strdup("default"), .integer = 5 };
	static const char text[] = "{\"String\":\"given\",\"Integer\":null}";
	assert_int_equal(json_parse(&everything_table, text, strlen(text), &out, NULL), 0);
	assert_string_equal(out.string, "given");
	assert_int_equal(out.integer, 5);
	json_finish(&everything_table, &out);
}

static void errors_name_the_path(void **state)
{
	(void)state;
	expect_error("{\"Integer\":\"5\"}", "Integer: expected an integer, got a string");
	expect_error("{\"Integer\":5.0}", "Integer: expected an integer, got a number with a fraction or exponent");
	expect_error("{\"Natural\":-1}", "Natural: expected an integer that is not negative");
	expect_error("{\"Boolean\":0}", "Boolean: expected a boolean, got an integer");
	expect_error("{\"Strv\":[\"a\",7]}", "Strv[1]: expected a string, got an integer");
	expect_error("{\"Strv\":\"a\"}", "Strv: expected an array of strings, got a string");
	expect_error("{\"Labels\":{\"a\\nb\":[]}}", "Labels.a?b: expected a string, got an array");
	expect_error("{\"Volumes\":[\"/v\"]}", "Volumes: expected an object, got an array");
	expect_error("{\"Embedded\":{\"Note\":{}}}", "Embedded.Note: expected a string, got an object");
	expect_error("{\"String\":\"kept\",\"Objects\":[{\"Type\":\"t\"},{}]}", "Objects[1].Type: is required");
	expect_error("{\"Pointer\":{\"Type\":null}}", "Pointer.Type: is required");
	expect_error("{\"Map\":{\"n\":true}}", "Map.n: expected an object, got a boolean");
	expect_error("{\"Ints\":[1,2,\"x\"]}", "Ints[2]: expected an integer, got a string");
	expect_error("[]", "invalid JSON: expected an object, got an array");
	expect_error(" \n", "invalid JSON: got EOF while reading request body");
}

static void broken_text_is_refused(void **state)
{
	(void)state;
	static const char *const texts[] = { "{", "{\"a\":1,}", "{} {}", "{}x", "{'a':1}", "{\"a\":\"\\u0000\"}",
		"{\"a\":9223372036854775809}", "{\"a\":18446744073709551616}", "{\"a\":-9223372036854775809}",
		"{\"a\":1e999}", "{\"a\":\"\xff\"}", "{\"a\":\"\\ud800\"}", "\xef\xbb\xbf{}", "// no\n{}", "nul",
		"{\"a\":01}", "{\"a\":\"\n\"}", "\"", "\\" };
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		_autofree_(err) struct err *err = NULL;
		json_t *value = NULL;
		assert_int_equal(json_load(texts[i], strlen(texts[i]), &value, &err), -EINVAL);
		assert_null(value);
		assert_null(strpbrk(err_message(err), "\n\r\t"));
	}
	json_t *value = NULL;
	assert_int_equal(json_load("{}\0", 3, &value, NULL), -EINVAL);
}

static void read_natural(const char *text, uint64_t expected)
{
	struct everything all = { 0 }, again = { 0 };
	assert_int_equal(json_parse(&everything_table, text, strlen(text), &all, NULL), 0);
	assert_true(all.natural == expected);
	_cleanup_(buf_finish) struct buf out = BUF_INIT(1 << 16);
	assert_int_equal(json_print(&everything_table, &all, &out), 0);
	assert_int_equal(json_parse(&everything_table, out.data, out.len, &again, NULL), 0);
	assert_true(again.natural == expected);
	json_finish(&everything_table, &all);
	json_finish(&everything_table, &again);
}

static void naturals_reach_the_end_of_uint64(void **state)
{
	(void)state;
	read_natural("{\"Natural\":9223372036854775807}", INT64_MAX);
	read_natural("{\"Natural\":9223372036854775808}", (uint64_t)INT64_MAX + 1);
	read_natural("{\"Natural\":18446744069414584320,\"String\":\"\\\"18446744073709551615\"}", 0xffffffff00000000);
	read_natural("{\"Natural\":18446744073709551615}", UINT64_MAX);
	read_natural("{\"Natural\" : 18446744073709551615 }", UINT64_MAX);
	expect_error("{\"Integer\":18446744073709551615}",
		"Integer: expected an integer, got a number with a fraction or exponent");
	expect_error("{\"Natural\":1.5}", "Natural: expected an integer, got a number with a fraction or exponent");
}

static int load_nested(size_t depth)
{
	_cleanup_free_ char *text = malloc(2 * depth + 1);
	memset(text, '[', depth);
	memset(text + depth, ']', depth);
	_autojson_ json_t *value = NULL;
	return json_load(text, 2 * depth, &value, NULL);
}

static int load_members(size_t count)
{
	_cleanup_(buf_finish) struct buf text = BUF_INIT(1 << 20);
	buf_puts(&text, "[ [] ,{ }, \"a,b[{\\\",,\""); /* three members, whatever the string holds */
	for (size_t i = 3; i < count; i++)
		buf_puts(&text, ",1");
	buf_puts(&text, "]");
	_autojson_ json_t *value = NULL;
	return json_load(text.data, text.len, &value, NULL);
}

static void bounds_hold(void **state)
{
	(void)state;
	assert_int_equal(load_nested(JSON_DEPTH_MAX - 1), 0);
	assert_int_equal(load_nested(JSON_DEPTH_MAX), 0);
	assert_int_equal(load_nested(JSON_DEPTH_MAX + 1), -EINVAL);
	assert_int_equal(load_members(JSON_MEMBERS_MAX - 1), 0);
	assert_int_equal(load_members(JSON_MEMBERS_MAX), 0);
	assert_int_equal(load_members(JSON_MEMBERS_MAX + 1), -EINVAL);
}

struct flagged {
	char *omitted;
	char *text;
	char **nullable;
	char **vector;
	struct map *map;
	char **set;
	struct loose embedded;
	struct loose *pointer;
	struct loose *objects;
	size_t object_count;
	struct json_opt_bool opt;
};

static const struct json_field flagged_fields[] = {
	JSON_FIELD(struct flagged, omitted, "Omitted", JSON_STRING_FIELD, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct flagged, text, "Text", JSON_STRING_FIELD, .flags = JSON_EMPTYNULL),
	JSON_FIELD(struct flagged, nullable, "Nullable", JSON_STRV, .flags = JSON_NULLEMPTY),
	JSON_FIELD(struct flagged, vector, "Vector", JSON_STRV, .flags = JSON_EMPTYNULL),
	JSON_FIELD(struct flagged, map, "Map", JSON_STRMAP, .flags = JSON_EMPTYNULL),
	JSON_FIELD(struct flagged, set, "Set", JSON_SET, .flags = JSON_EMPTYNULL),
	JSON_FIELD(struct flagged, embedded, "Embedded", JSON_OBJECT_FIELD, .table = &loose_table,
		.flags = JSON_OMITEMPTY),
	JSON_FIELD(struct flagged, pointer, "Pointer", JSON_OBJECT_PTR, .table = &loose_table, .flags = JSON_OMITEMPTY),
	JSON_FIELD_ARRAY(struct flagged, objects, object_count, "Objects", JSON_OBJECTS, .table = &loose_table,
		.flags = JSON_EMPTYNULL),
	JSON_FIELD(struct flagged, opt, "Opt", JSON_OPT_BOOL, .flags = JSON_OMITEMPTY),
};
static const struct json_table flagged_table = JSON_TABLE(struct flagged, flagged_fields);

static void flags_decide_what_empty_looks_like(void **state)
{
	(void)state;
	struct flagged in = { .nullable = calloc(1, sizeof(char *)) };
	_cleanup_(buf_finish) struct buf text = BUF_INIT(1 << 16);
	assert_int_equal(json_print(&flagged_table, &in, &text), 0);
	assert_string_equal(text.data,
		"{\"Text\":\"\",\"Nullable\":null,\"Vector\":[],\"Map\":{},\"Set\":{},\"Objects\":[]}");
	in.pointer = calloc(1, sizeof *in.pointer);
	in.opt.set = true;
	buf_reset(&text);
	assert_int_equal(json_print(&flagged_table, &in, &text), 0);
	assert_non_null(strstr(text.data, "\"Pointer\":{},\"Objects\":[],\"Opt\":false}"));
	json_finish(&flagged_table, &in);
}

static void invalid_utf8_is_repaired_when_written(void **state)
{
	(void)state;
	struct flagged in = { .omitted = strdup("a\xff\xe2\x82z"), .map = map_new(free) };
	map_set(in.map, "k\x80", strdup("v\xc0\xaf"));
	_cleanup_(buf_finish) struct buf text = BUF_INIT(1 << 16);
	assert_int_equal(json_print(&flagged_table, &in, &text), 0);
	assert_non_null(strstr(text.data, "\"Omitted\":\"a\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbdz\""));
	assert_non_null(strstr(text.data, "{\"k\xef\xbf\xbd\":\"v\xef\xbf\xbd\xef\xbf\xbd\"}"));
	json_finish(&flagged_table, &in);
}

static void printing_keeps_the_ceiling(void **state)
{
	(void)state;
	_autojson_ json_t *value = json_pack("{s:s}", "key", "value");
	_cleanup_(buf_finish) struct buf text = BUF_INIT(16);
	assert_int_equal(buf_puts(&text, "x"), 0);
	assert_int_equal(json_print_value(value, &text), 0); /* 15 bytes */
	buf_reset(&text);
	assert_int_equal(buf_puts(&text, "xy"), 0);
	assert_int_equal(json_print_value(value, &text), -EFBIG);
	assert_string_equal(text.data, "xy");
}

static void utf8_knows_the_edges(void **state)
{
	(void)state;
	static const char *const good[] = { "", "a", "\x7f", "\xc2\x80", "\xdf\xbf", "\xe0\xa0\x80", "\xed\x9f\xbf",
		"\xee\x80\x80", "\xef\xbf\xbf", "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf" };
	static const char *const bad[] = { "\x80", "\xbf", "\xc0\x80", "\xc1\xbf", "\xc2", "\xc2\x41", "\xe0\x9f\xbf",
		"\xe2\x82", "\xed\xa0\x80", "\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xff",
		"\xf0\x90\x80" };
	for (size_t i = 0; i < ARRAY_SIZE(good); i++)
		assert_true(utf8_is_valid(good[i], strlen(good[i])));
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_false(utf8_is_valid(bad[i], strlen(bad[i])));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_type_goes_round),
		cmocka_unit_test(absence_null_and_empty_are_told_apart),
		cmocka_unit_test(nulls_inside_count_as_empty),
		cmocka_unit_test(keys_match_exactly_then_folded),
		cmocka_unit_test(defaults_survive_unless_replaced),
		cmocka_unit_test(errors_name_the_path),
		cmocka_unit_test(broken_text_is_refused),
		cmocka_unit_test(naturals_reach_the_end_of_uint64),
		cmocka_unit_test(bounds_hold),
		cmocka_unit_test(flags_decide_what_empty_looks_like),
		cmocka_unit_test(invalid_utf8_is_repaired_when_written),
		cmocka_unit_test(printing_keeps_the_ceiling),
		cmocka_unit_test(utf8_knows_the_edges),
	};
	return cmocka_run_group_tests_name("json", tests, NULL, NULL);
}
