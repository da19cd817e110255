/*
 * The walk over a table, and the way between text and values.
 *
 * Before jansson sees a text, one pass without allocation counts levels and members outside strings, so that a hostile
 * document is refused before it costs memory. Reading then fills the struct field by field; on the first error everything
 * read so far is freed by the same table. Keys are looked up exactly; only when members are left over that no field has
 * claimed are the fields still missing compared without regard to case.
 */
#include "codec/json.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <sys/random.h>

#include "base/parse.h"
#include "codec/json_types.h"

#define PATH_TEXT_MAX 512
#define KEY_TEXT_MAX  64

/* --- messages --- */

/* Keys come from outside: what could break the line or the terminal is shown as '?'. */
static void append_printable(struct buf *out, const char *text, size_t len_max)
{
	for (size_t i = 0; i < len_max && text[i]; i++)
		buf_putc(out, (unsigned char)text[i] < 0x20 || text[i] == 0x7f ? '?' : text[i]);
}

static void append_path(struct buf *out, const struct json_path *path)
{
	if (!path)
		return;
	append_path(out, path->parent);
	if (!path->key) {
		buf_printf(out, "[%zu]", path->index);
		return;
	}
	if (out->len)
		buf_putc(out, '.');
	append_printable(out, path->key, KEY_TEXT_MAX);
}

int json_invalid(const struct json_path *path, const char *problem, struct err **reterr)
{
	_cleanup_(buf_finish) struct buf text = BUF_INIT(PATH_TEXT_MAX);
	append_path(&text, path);
	if (!text.len)
		return err_set(reterr, ERR_INVALID, 0, "invalid JSON: %s", problem);
	return err_set(reterr, ERR_INVALID, 0, "%s: %s", text.data, problem);
}

static const char *type_word(const json_t *value)
{
	switch (json_typeof(value)) {
	case JSON_OBJECT: return "an object";
	case JSON_ARRAY: return "an array";
	case JSON_STRING: return "a string";
	case JSON_INTEGER: return "an integer";
	case JSON_REAL: return "a number with a fraction or exponent";
	case JSON_TRUE:
	case JSON_FALSE: return "a boolean";
	case JSON_NULL: break;
	}
	return "null";
}

int json_expected(const struct json_path *path, const char *what, const json_t *got, struct err **reterr)
{
	char problem[128];
	snprintf(problem, sizeof problem, "expected %s, got %s", what, type_word(got));
	return json_invalid(path, problem, reterr);
}

/* --- text --- */

/* Levels and members of a text that may be anything: counts are right if it is JSON, else the parser refuses it. */
static int check_bounds(const char *text, size_t len, struct err **reterr)
{
	size_t depth = 0, members = 0;
	bool in_string = false, just_opened = false;

	for (size_t i = 0; i < len; i++) {
		char c = text[i];
		if (in_string) {
			if (c == '\\')
				i++;
			else if (c == '"')
				in_string = false;
			continue;
		}
		if (c == ' ' || c == '\t' || c == '\n' || c == '\r')
			continue;
		if (c == ',' || (just_opened && c != ']' && c != '}'))
			members++;
		just_opened = c == '{' || c == '[';
		if (just_opened && ++depth > JSON_DEPTH_MAX)
			return err_set(reterr, ERR_INVALID, 0, "invalid JSON: nested deeper than %d levels",
				JSON_DEPTH_MAX);
		if ((c == '}' || c == ']') && depth)
			depth--;
		if (members > JSON_MEMBERS_MAX)
			return err_set(reterr, ERR_INVALID, 0, "invalid JSON: more than %d members", JSON_MEMBERS_MAX);
		in_string = c == '"';
	}
	return 0;
}

static bool is_blank(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (!strchr(" \t\r\n", text[i]) || !text[i])
			return false;
	return true;
}

static int syntax_error(const json_error_t *error, struct err **reterr)
{
	if (json_error_code(error) == json_error_out_of_memory)
		return err_oom(reterr);
	_cleanup_(buf_finish) struct buf text = BUF_INIT(PATH_TEXT_MAX);
	append_printable(&text, error->text, JSON_ERROR_TEXT_LENGTH);
	return err_set(reterr, ERR_INVALID, 0, "invalid JSON: %s (line %d, column %d)", text.len ? text.data : "error",
		error->line, error->column);
}

/* A number that int64 can't hold but uint64 can, and a double keeps exactly (or whose double stands for UINT64_MAX). */
static bool is_wide_natural(const char *digits, size_t count)
{
	char number[24];
	uint64_t value;
	if (count < 19 || count > 20)
		return false;
	memcpy(number, digits, count);
	number[count] = '\0';
	if (parse_u64(number, UINT64_MAX, &value) < 0 || value <= INT64_MAX)
		return false;
	return value == UINT64_MAX || ((double)value < 0x1p64 && (uint64_t)(double)value == value);
}

/*
 * jansson's integers end at int64. rlimits and seccomp arguments go on to uint64, as "no limit" most of all; those are
 * made reals, which JSON_UINT takes back. Only texts that jansson has refused for a number come here.
 */
static int widen_naturals(const char *text, size_t len, struct buf *out)
{
	bool in_string = false, in_number = false;
	for (size_t i = 0; i < len;) {
		size_t digits = 0;
		while (!in_string && !in_number && i + digits < len && text[i + digits] >= '0' &&
			text[i + digits] <= '9')
			digits++;
		bool ends = i + digits >= len || !strchr(".eE+-", text[i + digits]) || !text[i + digits];
		size_t take = digits ? digits : 1;
		if (in_string && text[i] == '\\' && i + 1 < len)
			take = 2;
		int r = buf_append(out, text + i, take);
		if (r == 0 && digits && ends && is_wide_natural(text + i, digits))
			r = buf_puts(out, ".0");
		if (r < 0)
			return r;
		in_string ^= text[i] == '"';
		in_number = !in_string && (digits || strchr("0123456789.eE+-", text[i]));
		i += take;
	}
	return 0;
}

static json_t *load_wide(const char *text, size_t len, json_error_t *error)
{
	_cleanup_(buf_finish) struct buf wide = BUF_INIT(len + len / 4 + 16);
	if (widen_naturals(text, len, &wide) < 0)
		return NULL;
	return json_loadb(wide.data, wide.len, JSON_DECODE_ANY, error);
}

void json_seed(void)
{
	size_t seed;

	if (getrandom(&seed, sizeof(seed), GRND_NONBLOCK) == (ssize_t)sizeof(seed) && seed)
		json_object_seed(seed);
}

int json_load(const char *text, size_t len, json_t **ret, struct err **reterr)
{
	if (is_blank(text, len))
		return err_set(reterr, ERR_INVALID, 0, "invalid JSON: got EOF while reading request body");
	int r = check_bounds(text, len, reterr);
	if (r < 0)
		return r;

	json_error_t error;
	json_t *value = json_loadb(text, len, JSON_DECODE_ANY, &error);
	if (!value && json_error_code(&error) == json_error_numeric_overflow)
		value = load_wide(text, len, &error);
	if (!value)
		return syntax_error(&error, reterr);
	*ret = value;
	return 0;
}

struct print {
	struct buf *out;
	int failed;
};

static int print_piece(const char *data, size_t len, void *user)
{
	struct print *print = user;
	print->failed = buf_append(print->out, data, len);
	return print->failed;
}

int json_print_value(const json_t *value, struct buf *out)
{
	struct print print = { out, 0 };
	size_t before = out->len;
	if (json_dump_callback(value, print_piece, &print, JSON_COMPACT | JSON_ENCODE_ANY) == 0)
		return 0;
	if (out->data) { /* a document is appended whole or not at all */
		out->len = before;
		out->data[before] = '\0';
	}
	return print.failed < 0 ? print.failed : -ENOMEM;
}

/* --- reading --- */

static int read_field(const struct json_field *field, json_t *value, void *out, const struct json_path *parent,
	struct err **reterr)
{
	if (json_is_null(value))
		return 0;
	const struct json_type_ops *ops = json_type_ops(field->type);
	ops->finish(field, out); /* a default the caller had put there */
	return ops->read(field, value, out, &(struct json_path){ parent, field->key, 0 }, reterr);
}

static json_t *find_folded(json_t *object, const char *wanted)
{
	json_t *found = NULL, *value;
	const char *key;
	json_object_foreach (object, key, value)
		if (strcasecmp(key, wanted) == 0)
			found = value;
	return found;
}

int json_read_object(const struct json_table *table, json_t *value, void *out, const struct json_path *path,
	struct err **reterr)
{
	if (!json_is_object(value))
		return json_expected(path, "an object", value, reterr);

	size_t unclaimed = json_object_size(value);
	for (size_t i = 0; i < table->field_count; i++)
		unclaimed -= json_object_get(value, table->fields[i].key) != NULL;

	for (size_t i = 0; i < table->field_count; i++) {
		const struct json_field *field = &table->fields[i];
		json_t *member = json_object_get(value, field->key);
		if (!member && unclaimed)
			member = find_folded(value, field->key);
		if ((!member || json_is_null(member)) && field->flags & JSON_REQUIRED)
			return json_invalid(&(struct json_path){ path, field->key, 0 }, "is required", reterr);
		int ret = member ? read_field(field, member, out, path, reterr) : 0;
		if (ret < 0)
			return ret;
	}
	return 0;
}

int json_read(const struct json_table *table, json_t *value, void *out, struct err **reterr)
{
	int ret = json_read_object(table, value, out, NULL, reterr);
	if (ret < 0)
		json_finish(table, out);
	return ret;
}

int json_parse(const struct json_table *table, const char *text, size_t len, void *out, struct err **reterr)
{
	_autojson_ json_t *value = NULL;
	int ret = json_load(text, len, &value, reterr);
	if (ret < 0) {
		json_finish(table, out);
		return ret;
	}
	return json_read(table, value, out, reterr);
}

/* --- writing --- */

json_t *json_write(const struct json_table *table, const void *in)
{
	_autojson_ json_t *object = json_object();
	for (size_t i = 0; object && i < table->field_count; i++) {
		const struct json_field *field = &table->fields[i];
		const struct json_type_ops *ops = json_type_ops(field->type);
		if (field->flags & JSON_OMITEMPTY && ops->is_empty(field, in))
			continue;
		if (json_set_member(object, field->key, ops->write(field, in)) < 0)
			return NULL;
	}
	return TAKE(object);
}

int json_print(const struct json_table *table, const void *in, struct buf *out)
{
	_autojson_ json_t *value = json_write(table, in);
	return value ? json_print_value(value, out) : -ENOMEM;
}

/* --- ownership --- */

void json_finish(const struct json_table *table, void *object)
{
	for (size_t i = 0; i < table->field_count; i++)
		json_type_ops(table->fields[i].type)->finish(&table->fields[i], object);
	memset(object, 0, table->size);
}

void json_free(const struct json_table *table, void *object)
{
	if (!object)
		return;
	json_finish(table, object);
	free(object);
}

int json_copy_fields(const struct json_table *table, const void *from, void *to)
{
	for (size_t i = 0; i < table->field_count; i++) {
		int ret = json_type_ops(table->fields[i].type)->copy(&table->fields[i], from, to);
		if (ret < 0)
			return ret;
	}
	return 0;
}

int json_clone(const struct json_table *table, const void *in, void *out)
{
	memset(out, 0, table->size);
	int ret = json_copy_fields(table, in, out);
	if (ret < 0)
		json_finish(table, out);
	return ret;
}
