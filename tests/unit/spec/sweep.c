#include "sweep.h"

#include <stdlib.h>
#include <string.h>

#include "../unit.h"

/* What a writer may leave out. */
static bool is_empty(const json_t *value)
{
	return json_is_null(value) || json_is_false(value) || (json_is_integer(value) && !json_integer_value(value)) ||
	       (json_is_string(value) && !json_string_length(value)) ||
	       (json_is_array(value) && !json_array_size(value)) || (json_is_object(value) && !json_object_size(value));
}

static void assert_contains(const char *key, json_t *whole, json_t *part)
{
	const char *inner;
	json_t *value;
	if (!whole && is_empty(part))
		return;
	if (!whole)
		fail_msg("%s is lost", key);
	if (json_is_object(part)) {
		json_object_foreach (part, inner, value)
			assert_contains(inner, json_object_get(whole, inner), value);
		return;
	}
	if (json_is_array(part)) {
		assert_int_equal(json_array_size(whole), json_array_size(part));
		for (size_t i = 0; i < json_array_size(part); i++)
			assert_contains(key, json_array_get(whole, i), json_array_get(part, i));
		return;
	}
	if (!json_equal(whole, part))
		fail_msg("%s has changed", key);
}

void sweep_round_trip(const struct json_table *table, const char *text)
{
	_autofree_(err) struct err *err = NULL;
	_autojson_ json_t *value = NULL, *written = NULL, *again = NULL;
	assert_int_equal(json_load(text, strlen(text), &value, NULL), 0);

	void *object = calloc(1, table->size), *copy = calloc(1, table->size);
	if (json_read(table, value, object, &err) < 0)
		fail_msg("%s", err_message(err));
	written = json_write(table, object);
	assert_contains("document", written, value);

	assert_int_equal(json_clone(table, object, copy), 0);
	json_free(table, object);
	again = json_write(table, copy);
	assert_true(json_equal(written, again));
	json_free(table, copy);
}

struct sweep {
	const struct json_table *table;
	int (*check)(const void *object, struct err **reterr);
	json_t *root;
};

static void read_once(const struct sweep *sweep)
{
	_autofree_(err) struct err *err = NULL;
	void *object = calloc(1, sweep->table->size);
	int r = json_read(sweep->table, sweep->root, object, &err);
	if (r == 0 && sweep->check)
		r = sweep->check(object, &err);
	if (r < 0) {
		assert_non_null(err);
		assert_true(err->kind == ERR_INVALID || err->kind == ERR_UNSUPPORTED);
		assert_null(strpbrk(err_message(err), "\n\r"));
	}
	json_free(sweep->table, object);
}

static json_t *replacement(size_t which)
{
	switch (which) {
	case 0: return json_null();
	case 1: return json_true();
	case 2: return json_integer(-1);
	case 3: return json_integer(INT64_MAX);
	case 4: return json_real(1.5);
	case 5: return json_string("");
	case 6: return json_string("x\ny");
	case 7: return json_array();
	case 8: return json_object();
	case 9: return json_pack("[n]");
	case 10: return json_pack("[{}]");
	case 11: return json_pack("{s:n}", "");
	case 12: return json_pack("{s:[s]}", "/..", "");
	default: return NULL;
	}
}

static void sweep_value(const struct sweep *sweep, json_t *value);

static void sweep_member(const struct sweep *sweep, json_t *object, const char *key)
{
	json_t *kept = json_incref(json_object_get(object, key)), *other;
	sweep_value(sweep, kept);
	for (size_t i = 0; (other = replacement(i)) != NULL; i++) {
		json_object_set_new(object, key, other);
		read_once(sweep);
	}
	json_object_del(object, key);
	read_once(sweep);
	json_object_set_new(object, key, kept);
}

static void sweep_element(const struct sweep *sweep, json_t *array, size_t at)
{
	json_t *kept = json_incref(json_array_get(array, at)), *other;
	sweep_value(sweep, kept);
	for (size_t i = 0; (other = replacement(i)) != NULL; i++) {
		json_array_set_new(array, at, other);
		read_once(sweep);
	}
	json_array_set_new(array, at, kept);
}

static void sweep_value(const struct sweep *sweep, json_t *value)
{
	if (json_is_array(value))
		for (size_t i = 0; i < json_array_size(value); i++)
			sweep_element(sweep, value, i);
	if (!json_is_object(value))
		return;

	json_object_set_new(value, "of no meaning", json_pack("{s:[n]}", "x"));
	read_once(sweep);
	json_object_del(value, "of no meaning");

	json_t *keys = json_array();
	const char *key;
	json_t *member;
	json_object_foreach (value, key, member)
		json_array_append_new(keys, json_string(key));
	for (size_t i = 0; i < json_array_size(keys); i++)
		sweep_member(sweep, value, json_string_value(json_array_get(keys, i)));
	json_decref(keys);
}

void sweep_members(const struct json_table *table, const char *text, int (*check)(const void *, struct err **))
{
	struct sweep sweep = { .table = table, .check = check };
	assert_int_equal(json_load(text, strlen(text), &sweep.root, NULL), 0);
	sweep_value(&sweep, sweep.root);
	json_decref(sweep.root);
}
