/* A table of every field type, and of itself: what was read, copied, written and read again stays the same text. */
#include <string.h>

#include "codec/json.h"

#include "fuzz.h"

struct node {
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
	struct leaf {
		char *required;
	} embedded;
	struct node *pointer;
	struct node *objects;
	size_t object_count;
	struct map *object_map;
	json_t *raw;
};

static const struct json_field leaf_fields[] = {
	JSON_FIELD(struct leaf, required, "r", JSON_STRING_FIELD, .flags = JSON_REQUIRED),
};
static const struct json_table leaf_table = JSON_TABLE(struct leaf, leaf_fields);

extern const struct json_table node_table;
static const struct json_field node_fields[] = {
	JSON_FIELD(struct node, string, "s", JSON_STRING_FIELD, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct node, boolean, "b", JSON_BOOL_FIELD),
	JSON_FIELD(struct node, opt_bool, "ob", JSON_OPT_BOOL),
	JSON_FIELD(struct node, integer, "i", JSON_INT),
	JSON_FIELD(struct node, opt_int, "oi", JSON_OPT_INT),
	JSON_FIELD(struct node, natural, "u", JSON_UINT),
	JSON_FIELD(struct node, real, "d", JSON_DOUBLE),
	JSON_FIELD(struct node, strv, "v", JSON_STRV, .flags = JSON_NULLEMPTY),
	JSON_FIELD(struct node, command, "c", JSON_STRV_OR_STRING),
	JSON_FIELD(struct node, strmap, "l", JSON_STRMAP),
	JSON_FIELD(struct node, set, "set", JSON_SET),
	JSON_FIELD_ARRAY(struct node, ints, int_count, "n", JSON_INTS),
	JSON_FIELD(struct node, embedded, "e", JSON_OBJECT_FIELD, .table = &leaf_table, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct node, pointer, "p", JSON_OBJECT_PTR, .table = &node_table),
	JSON_FIELD_ARRAY(struct node, objects, object_count, "a", JSON_OBJECTS, .table = &node_table),
	JSON_FIELD(struct node, object_map, "m", JSON_OBJECT_MAP, .table = &node_table),
	JSON_FIELD(struct node, raw, "raw", JSON_RAW),
};
const struct json_table node_table = JSON_TABLE(struct node, node_fields);

static void check_error(struct err *err)
{
	fuzz_check(err && err->message && *err->message && !strpbrk(err->message, "\n\r"));
	err_free(err);
}

static void print(const struct node *node, struct buf *out)
{
	int ret = json_print(&node_table, node, out);
	fuzz_check(ret == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct node first = { 0 }, copy, again = { 0 };
	struct err *err = NULL;
	if (json_parse(&node_table, (const char *)data, size, &first, &err) < 0) {
		static const struct node zero;
		fuzz_check(memcmp(&first, &zero, sizeof zero) == 0);
		check_error(err);
		return 0;
	}
	_cleanup_(buf_finish) struct buf read_text = BUF_INIT(1 << 26);
	_cleanup_(buf_finish) struct buf copy_text = BUF_INIT(1 << 26);
	_cleanup_(buf_finish) struct buf again_text = BUF_INIT(1 << 26);
	print(&first, &read_text);
	fuzz_check(json_clone(&node_table, &first, &copy) == 0);
	json_finish(&node_table, &first);
	print(&copy, &copy_text);
	json_finish(&node_table, &copy);
	fuzz_check(strcmp(read_text.data, copy_text.data) == 0);

	/* What is unset is written out, so the text can have more members than were allowed to come in. */
	if (json_parse(&node_table, read_text.data, read_text.len, &again, &err) < 0) {
		check_error(err);
		return 0;
	}
	print(&again, &again_text);
	json_finish(&node_table, &again);
	fuzz_check(strcmp(read_text.data, again_text.data) == 0);
	return 0;
}
