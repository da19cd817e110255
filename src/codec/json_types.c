/*
 * The leaf types: numbers, strings, vectors and maps of strings. A vector read from the document is always allocated, so
 * that [] and absence stay apart; null inside a vector or map of strings is "", as in Go.
 */
#include "codec/json_types.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/strv.h"
#include "codec/json_objects.h"
#include "codec/utf8.h"

json_t *json_text_value(const char *text)
{
	json_t *value = json_string(text);
	if (value || utf8_is_valid(text, strlen(text)))
		return value;
	_cleanup_free_ char *repaired = utf8_repair(text);
	return repaired ? json_string(repaired) : NULL;
}

int json_set_member(json_t *object, const char *key, json_t *value)
{
	if (!value)
		return -ENOMEM;
	_cleanup_free_ char *repaired = NULL;
	if (!utf8_is_valid(key, strlen(key))) {
		repaired = utf8_repair(key);
		if (!repaired) {
			json_decref(value);
			return -ENOMEM;
		}
		key = repaired;
	}
	return json_object_set_new_nocheck(object, key, value) < 0 ? -ENOMEM : 0;
}

/* What an unset vector or map is written as, and an empty one. */
static json_t *unset_value(const struct json_field *field, json_t *(*empty)(void))
{
	return field->flags & JSON_EMPTYNULL ? empty() : json_null();
}

static json_t *empty_value(const struct json_field *field, json_t *(*empty)(void))
{
	return field->flags & JSON_NULLEMPTY ? json_null() : empty();
}

static void plain_finish(const struct json_field *field, void *object)
{
	(void)field;
	(void)object;
}

/* --- bool --- */

static int bool_read(const struct json_field *field, json_t *value, void *object, const struct json_path *path,
	struct err **reterr)
{
	if (!json_is_boolean(value))
		return json_expected(path, "a boolean", value, reterr);
	*(bool *)json_member(field, object) = json_is_true(value);
	return 0;
}

static json_t *bool_write(const struct json_field *field, const void *object)
{
	return json_boolean(*(bool *)json_member(field, object));
}

static int bool_copy(const struct json_field *field, const void *from, void *to)
{
	*(bool *)json_member(field, to) = *(bool *)json_member(field, from);
	return 0;
}

static bool bool_is_empty(const struct json_field *field, const void *object)
{
	return !*(bool *)json_member(field, object);
}

static int opt_bool_read(const struct json_field *field, json_t *value, void *object, const struct json_path *path,
	struct err **reterr)
{
	if (!json_is_boolean(value))
		return json_expected(path, "a boolean", value, reterr);
	*(struct json_opt_bool *)json_member(field, object) = (struct json_opt_bool){ true, json_is_true(value) };
	return 0;
}

static json_t *opt_bool_write(const struct json_field *field, const void *object)
{
	const struct json_opt_bool *opt = json_member(field, object);
	return opt->set ? json_boolean(opt->value) : json_null();
}

static int opt_bool_copy(const struct json_field *field, const void *from, void *to)
{
	*(struct json_opt_bool *)json_member(field, to) = *(struct json_opt_bool *)json_member(field, from);
	return 0;
}

static bool opt_bool_is_empty(const struct json_field *field, const void *object)
{
	return !((struct json_opt_bool *)json_member(field, object))->set;
}

/* --- numbers --- */

static int int_read(const struct json_field *field, json_t *value, void *object, const struct json_path *path,
	struct err **reterr)
{
	if (!json_is_integer(value))
		return json_expected(path, "an integer", value, reterr);
	*(int64_t *)json_member(field, object) = json_integer_value(value);
	return 0;
}

static json_t *int_write(const struct json_field *field, const void *object)
{
	return json_integer(*(int64_t *)json_member(field, object));
}

static int int_copy(const struct json_field *field, const void *from, void *to)
{
	*(int64_t *)json_member(field, to) = *(int64_t *)json_member(field, from);
	return 0;
}

static bool int_is_empty(const struct json_field *field, const void *object)
{
	return *(int64_t *)json_member(field, object) == 0;
}

static int opt_int_read(const struct json_field *field, json_t *value, void *object, const struct json_path *path,
	struct err **reterr)
{
	if (!json_is_integer(value))
		return json_expected(path, "an integer", value, reterr);
	*(struct json_opt_int *)json_member(field, object) = (struct json_opt_int){ true, json_integer_value(value) };
	return 0;
}

static json_t *opt_int_write(const struct json_field *field, const void *object)
{
	const struct json_opt_int *opt = json_member(field, object);
	return opt->set ? json_integer(opt->value) : json_null();
}

static int opt_int_copy(const struct json_field *field, const void *from, void *to)
{
	*(struct json_opt_int *)json_member(field, to) = *(struct json_opt_int *)json_member(field, from);
	return 0;
}

static bool opt_int_is_empty(const struct json_field *field, const void *object)
{
	return !((struct json_opt_int *)json_member(field, object))->set;
}

/* Naturals past int64 come as reals (json_load): exact, or 2^64 for UINT64_MAX. */
static bool wide_natural(const json_t *value, uint64_t *ret)
{
	double number = json_real_value(value);
	if (!json_is_real(value) || number < 0x1p63 || number > 0x1p64)
		return false;
	*ret = number == 0x1p64 ? UINT64_MAX : (uint64_t)number;
	return true;
}

static int uint_read(const struct json_field *field, json_t *value, void *object, const struct json_path *path,
	struct err **reterr)
{
	if (wide_natural(value, json_member(field, object)))
		return 0;
	if (!json_is_integer(value))
		return json_expected(path, "an integer", value, reterr);
	if (json_integer_value(value) < 0)
		return json_invalid(path, "expected an integer that is not negative", reterr);
	*(uint64_t *)json_member(field, object) = (uint64_t)json_integer_value(value);
	return 0;
}

/* jansson's integers are signed: above them only a real is left, which uint_read takes back. */
static json_t *uint_write(const struct json_field *field, const void *object)
{
	uint64_t number = *(uint64_t *)json_member(field, object);
	return number > INT64_MAX ? json_real((double)number) : json_integer((json_int_t)number);
}

static int double_read(const struct json_field *field, json_t *value, void *object, const struct json_path *path,
	struct err **reterr)
{
	if (!json_is_number(value))
		return json_expected(path, "a number", value, reterr);
	*(double *)json_member(field, object) = json_number_value(value);
	return 0;
}

/* JSON has no word for infinity or not-a-number. */
static json_t *double_write(const struct json_field *field, const void *object)
{
	double number = *(double *)json_member(field, object);
	return __builtin_isfinite(number) ? json_real(number) : json_null();
}

static int double_copy(const struct json_field *field, const void *from, void *to)
{
	*(double *)json_member(field, to) = *(double *)json_member(field, from);
	return 0;
}

static bool double_is_empty(const struct json_field *field, const void *object)
{
	return __builtin_fpclassify(0, 0, 0, 0, 1, *(double *)json_member(field, object));
}

static bool pointer_is_null(const struct json_field *field, const void *object)
{
	return !*(void **)json_member(field, object);
}

static void pointer_free(const struct json_field *field, void *object)
{
	free(*(void **)json_member(field, object));
	*(void **)json_member(field, object) = NULL;
}

/* --- string --- */

static int string_read(const struct json_field *field, json_t *value, void *object, const struct json_path *path,
	struct err **reterr)
{
	if (!json_is_string(value))
		return json_expected(path, "a string", value, reterr);
	char *copy = strdup(json_string_value(value));
	*(char **)json_member(field, object) = copy;
	return copy ? 0 : err_oom(reterr);
}

static json_t *string_write(const struct json_field *field, const void *object)
{
	const char *text = *(char **)json_member(field, object);
	if (text)
		return json_text_value(text);
	return field->flags & JSON_EMPTYNULL ? json_string("") : json_null();
}

static int string_copy(const struct json_field *field, const void *from, void *to)
{
	const char *text = *(char **)json_member(field, from);
	if (!text)
		return 0;
	char *copy = strdup(text);
	*(char **)json_member(field, to) = copy;
	return copy ? 0 : -ENOMEM;
}

static bool string_is_empty(const struct json_field *field, const void *object)
{
	const char *text = *(char **)json_member(field, object);
	return !text || !*text;
}

/* --- vectors of strings --- */

/* The text of an element, or NULL after reporting. */
static const char *element_text(json_t *value, const struct json_path *path, struct err **reterr)
{
	if (json_is_null(value))
		return "";
	if (!json_is_string(value))
		json_expected(path, "a string", value, reterr);
	return json_string_value(value);
}

static int strv_read(const struct json_field *field, json_t *value, void *object, const struct json_path *path,
	struct err **reterr)
{
	if (!json_is_array(value))
		return json_expected(path, "an array of strings", value, reterr);
	char **v = calloc(json_array_size(value) + 1, sizeof *v);
	*(char ***)json_member(field, object) = v;
	if (!v)
		return err_oom(reterr);

	for (size_t i = 0; i < json_array_size(value); i++) {
		const char *text = element_text(json_array_get(value, i), &(struct json_path){ path, NULL, i }, reterr);
		if (!text)
			return -EINVAL;
		v[i] = strdup(text);
		if (!v[i])
			return err_oom(reterr);
	}
	return 0;
}

static int strv_or_string_read(const struct json_field *field, json_t *value, void *object,
	const struct json_path *path, struct err **reterr)
{
	if (json_is_array(value))
		return strv_read(field, value, object, path, reterr);
	if (!json_is_string(value))
		return json_expected(path, "a string or an array of strings", value, reterr);
	return strv_append(json_member(field, object), json_string_value(value)) < 0 ? err_oom(reterr) : 0;
}

static json_t *strv_write(const struct json_field *field, const void *object)
{
	char *const *v = *(char ***)json_member(field, object);
	if (!v)
		return unset_value(field, json_array);
	if (!*v)
		return empty_value(field, json_array);
	_autojson_ json_t *array = json_array();
	strv_foreach (item, v) {
		json_t *text = json_text_value(*item);
		if (!text || json_array_append_new(array, text) < 0)
			return NULL;
	}
	return TAKE(array);
}

static void strv_finish(const struct json_field *field, void *object)
{
	strv_free(*(char ***)json_member(field, object));
	*(char ***)json_member(field, object) = NULL;
}

static int strv_field_copy(const struct json_field *field, const void *from, void *to)
{
	char *const *v = *(char ***)json_member(field, from);
	if (!v)
		return 0;
	char **copy = calloc(strv_count(v) + 1, sizeof *copy);
	*(char ***)json_member(field, to) = copy;
	if (!copy)
		return -ENOMEM;
	for (size_t i = 0; v[i]; i++) {
		copy[i] = strdup(v[i]);
		if (!copy[i])
			return -ENOMEM;
	}
	return 0;
}

static bool strv_is_empty(const struct json_field *field, const void *object)
{
	char *const *v = *(char ***)json_member(field, object);
	return !v || !*v;
}

/* --- set: an object whose keys count --- */

static int set_read(const struct json_field *field, json_t *value, void *object, const struct json_path *path,
	struct err **reterr)
{
	if (!json_is_object(value))
		return json_expected(path, "an object", value, reterr);
	char **v = calloc(json_object_size(value) + 1, sizeof *v);
	*(char ***)json_member(field, object) = v;
	if (!v)
		return err_oom(reterr);

	const char *key;
	json_t *element;
	json_object_foreach (value, key, element) {
		if (!json_is_object(element) && !json_is_null(element))
			return json_expected(&(struct json_path){ path, key, 0 }, "an empty object", element, reterr);
		*v = strdup(key);
		if (!*v++)
			return err_oom(reterr);
	}
	return 0;
}

static json_t *set_write(const struct json_field *field, const void *object)
{
	char *const *v = *(char ***)json_member(field, object);
	if (!v)
		return unset_value(field, json_object);
	if (!*v)
		return empty_value(field, json_object);
	_autojson_ json_t *set = json_object();
	strv_foreach (item, v)
		if (json_set_member(set, *item, json_object()) < 0)
			return NULL;
	return TAKE(set);
}

/* --- map of strings --- */

static int strmap_add(struct map *map, const char *key, const char *text)
{
	char *copy = strdup(text);
	if (!copy || map_set(map, key, copy) < 0) {
		free(copy);
		return -ENOMEM;
	}
	return 0;
}

static int strmap_read(const struct json_field *field, json_t *value, void *object, const struct json_path *path,
	struct err **reterr)
{
	if (!json_is_object(value))
		return json_expected(path, "an object of strings", value, reterr);
	struct map *map = map_new(free);
	*(struct map **)json_member(field, object) = map;
	if (!map)
		return err_oom(reterr);

	const char *key;
	json_t *element;
	json_object_foreach (value, key, element) {
		const char *text = element_text(element, &(struct json_path){ path, key, 0 }, reterr);
		if (!text)
			return -EINVAL;
		if (strmap_add(map, key, text) < 0)
			return err_oom(reterr);
	}
	return 0;
}

static json_t *strmap_write(const struct json_field *field, const void *object)
{
	const struct map *map = *(struct map **)json_member(field, object);
	if (!map)
		return unset_value(field, json_object);
	if (!map_count(map))
		return empty_value(field, json_object);
	_autojson_ json_t *members = json_object();
	struct map_entry *entry;
	map_foreach (entry, map)
		if (json_set_member(members, entry->key, json_text_value(entry->value)) < 0)
			return NULL;
	return TAKE(members);
}

static void map_finish(const struct json_field *field, void *object)
{
	map_free(*(struct map **)json_member(field, object));
	*(struct map **)json_member(field, object) = NULL;
}

static int strmap_copy(const struct json_field *field, const void *from, void *to)
{
	const struct map *map = *(struct map **)json_member(field, from);
	if (!map)
		return 0;
	struct map *copy = map_new(free);
	*(struct map **)json_member(field, to) = copy;
	if (!copy)
		return -ENOMEM;
	struct map_entry *entry;
	map_foreach (entry, map)
		if (strmap_add(copy, entry->key, entry->value) < 0)
			return -ENOMEM;
	return 0;
}

static bool map_is_empty(const struct json_field *field, const void *object)
{
	const struct map *map = *(struct map **)json_member(field, object);
	return !map || !map_count(map);
}

/* --- array of integers --- */

static int ints_read(const struct json_field *field, json_t *value, void *object, const struct json_path *path,
	struct err **reterr)
{
	if (!json_is_array(value))
		return json_expected(path, "an array of integers", value, reterr);
	size_t count = json_array_size(value);
	int64_t *numbers = calloc(count + 1, sizeof *numbers);
	if (!numbers)
		return err_oom(reterr);
	*(int64_t **)json_member(field, object) = numbers;
	*json_member_count(field, object) = count;

	for (size_t i = 0; i < count; i++) {
		json_t *element = json_array_get(value, i);
		if (!json_is_integer(element))
			return json_expected(&(struct json_path){ path, NULL, i }, "an integer", element, reterr);
		numbers[i] = json_integer_value(element);
	}
	return 0;
}

static json_t *ints_write(const struct json_field *field, const void *object)
{
	const int64_t *numbers = *(int64_t **)json_member(field, object);
	size_t count = *json_member_count(field, object);
	if (!numbers)
		return unset_value(field, json_array);
	if (!count)
		return empty_value(field, json_array);
	_autojson_ json_t *array = json_array();
	for (size_t i = 0; i < count; i++)
		if (json_array_append_new(array, json_integer(numbers[i])) < 0)
			return NULL;
	return TAKE(array);
}

static void ints_finish(const struct json_field *field, void *object)
{
	pointer_free(field, object);
	*json_member_count(field, object) = 0;
}

static int ints_copy(const struct json_field *field, const void *from, void *to)
{
	const int64_t *numbers = *(int64_t **)json_member(field, from);
	size_t count = *json_member_count(field, from);
	if (!numbers)
		return 0;
	int64_t *copy = calloc(count + 1, sizeof *copy);
	if (!copy)
		return -ENOMEM;
	memcpy(copy, numbers, count * sizeof *copy);
	*(int64_t **)json_member(field, to) = copy;
	*json_member_count(field, to) = count;
	return 0;
}

static bool ints_is_empty(const struct json_field *field, const void *object)
{
	return !*json_member_count(field, object);
}

/* --- raw --- */

static int raw_read(const struct json_field *field, json_t *value, void *object, const struct json_path *path,
	struct err **reterr)
{
	(void)path;
	(void)reterr;
	*(json_t **)json_member(field, object) = json_incref(value);
	return 0;
}

static json_t *raw_write(const struct json_field *field, const void *object)
{
	json_t *value = *(json_t **)json_member(field, object);
	return value ? json_incref(value) : json_null();
}

static void raw_finish(const struct json_field *field, void *object)
{
	json_decref(*(json_t **)json_member(field, object));
	*(json_t **)json_member(field, object) = NULL;
}

static int raw_copy(const struct json_field *field, const void *from, void *to)
{
	json_t *value = *(json_t **)json_member(field, from);
	if (!value)
		return 0;
	json_t *copy = json_deep_copy(value);
	*(json_t **)json_member(field, to) = copy;
	return copy ? 0 : -ENOMEM;
}

static const struct json_type_ops bool_ops = { bool_read, bool_write, plain_finish, bool_copy, bool_is_empty };
static const struct json_type_ops opt_bool_ops = { opt_bool_read, opt_bool_write, plain_finish, opt_bool_copy,
	opt_bool_is_empty };
static const struct json_type_ops int_ops = { int_read, int_write, plain_finish, int_copy, int_is_empty };
static const struct json_type_ops opt_int_ops = { opt_int_read, opt_int_write, plain_finish, opt_int_copy,
	opt_int_is_empty };
static const struct json_type_ops uint_ops = { uint_read, uint_write, plain_finish, int_copy, int_is_empty };
static const struct json_type_ops double_ops = { double_read, double_write, plain_finish, double_copy,
	double_is_empty };
static const struct json_type_ops string_ops = { string_read, string_write, pointer_free, string_copy,
	string_is_empty };
static const struct json_type_ops strv_ops = { strv_read, strv_write, strv_finish, strv_field_copy, strv_is_empty };
static const struct json_type_ops strv_or_string_ops = { strv_or_string_read, strv_write, strv_finish, strv_field_copy,
	strv_is_empty };
static const struct json_type_ops set_ops = { set_read, set_write, strv_finish, strv_field_copy, strv_is_empty };
static const struct json_type_ops strmap_ops = { strmap_read, strmap_write, map_finish, strmap_copy, map_is_empty };
static const struct json_type_ops ints_ops = { ints_read, ints_write, ints_finish, ints_copy, ints_is_empty };
static const struct json_type_ops raw_ops = { raw_read, raw_write, raw_finish, raw_copy, pointer_is_null };

const struct json_type_ops *json_type_ops(enum json_type type)
{
	static const struct json_type_ops *const by_type[] = {
		[JSON_STRING_FIELD] = &string_ops,
		[JSON_BOOL_FIELD] = &bool_ops,
		[JSON_OPT_BOOL] = &opt_bool_ops,
		[JSON_INT] = &int_ops,
		[JSON_OPT_INT] = &opt_int_ops,
		[JSON_UINT] = &uint_ops,
		[JSON_DOUBLE] = &double_ops,
		[JSON_STRV] = &strv_ops,
		[JSON_STRV_OR_STRING] = &strv_or_string_ops,
		[JSON_STRMAP] = &strmap_ops,
		[JSON_SET] = &set_ops,
		[JSON_INTS] = &ints_ops,
		[JSON_OBJECT_FIELD] = &json_embedded_ops,
		[JSON_OBJECT_PTR] = &json_pointer_ops,
		[JSON_OBJECTS] = &json_array_ops,
		[JSON_OBJECT_MAP] = &json_map_ops,
		[JSON_RAW] = &raw_ops,
	};
	return by_type[type];
}
