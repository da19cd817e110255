/*
 * Structs inside structs. Ownership is the same everywhere: the outer struct owns the inner one, and the inner table says
 * how to free it. A map's entries belong to a table that map_free could not know, so they are emptied here before the map
 * goes. null as an element or a map's value is a struct with nothing set, where the table requires
 * nothing.
 */
#include "codec/json_objects.h"

#include <errno.h>
#include <stdlib.h>

static int element_read(const struct json_table *table, json_t *element, void *inner, const struct json_path *path,
	struct err **reterr)
{
	if (!json_is_null(element))
		return json_read_object(table, element, inner, path, reterr);
	for (size_t i = 0; i < table->field_count; i++)
		if (table->fields[i].flags & JSON_REQUIRED)
			return json_invalid(&(struct json_path){ path, table->fields[i].key, 0 }, "is required",
				reterr);
	return 0;
}

/* --- embedded --- */

static int embedded_read(const struct json_field *field, json_t *value, void *object, const struct json_path *path,
	struct err **reterr)
{
	return json_read_object(field->table, value, json_member(field, object), path, reterr);
}

static json_t *embedded_write(const struct json_field *field, const void *object)
{
	return json_write(field->table, json_member(field, object));
}

static void embedded_finish(const struct json_field *field, void *object)
{
	json_finish(field->table, json_member(field, object));
}

static int embedded_copy(const struct json_field *field, const void *from, void *to)
{
	return json_copy_fields(field->table, json_member(field, from), json_member(field, to));
}

/* Empty when every field of it is, whatever their own flags say. */
static bool embedded_is_empty(const struct json_field *field, const void *object)
{
	const struct json_table *table = field->table;
	for (size_t i = 0; i < table->field_count; i++) {
		const struct json_field *inner = &table->fields[i];
		if (!json_type_ops(inner->type)->is_empty(inner, json_member(field, object)))
			return false;
	}
	return true;
}

/* --- by pointer --- */

static int pointer_read(const struct json_field *field, json_t *value, void *object, const struct json_path *path,
	struct err **reterr)
{
	void *inner = calloc(1, field->table->size);
	*(void **)json_member(field, object) = inner;
	if (!inner)
		return err_oom(reterr);
	return json_read_object(field->table, value, inner, path, reterr);
}

static json_t *pointer_write(const struct json_field *field, const void *object)
{
	const void *inner = *(void **)json_member(field, object);
	return inner ? json_write(field->table, inner) : json_null();
}

static void pointer_finish(const struct json_field *field, void *object)
{
	json_free(field->table, *(void **)json_member(field, object));
	*(void **)json_member(field, object) = NULL;
}

static int pointer_copy(const struct json_field *field, const void *from, void *to)
{
	const void *inner = *(void **)json_member(field, from);
	if (!inner)
		return 0;
	void *copy = calloc(1, field->table->size);
	*(void **)json_member(field, to) = copy;
	return copy ? json_copy_fields(field->table, inner, copy) : -ENOMEM;
}

static bool pointer_is_empty(const struct json_field *field, const void *object)
{
	return !*(void **)json_member(field, object);
}

/* --- array --- */

/* Allocates `count` zeroed structs in the field; the count is set at once, so finish frees what is there. */
static char *array_make(const struct json_field *field, void *object, size_t count)
{
	char *items = calloc(count ? count : 1, field->table->size);
	*(void **)json_member(field, object) = items;
	*json_member_count(field, object) = items ? count : 0;
	return items;
}

static int array_read(const struct json_field *field, json_t *value, void *object, const struct json_path *path,
	struct err **reterr)
{
	if (!json_is_array(value))
		return json_expected(path, "an array of objects", value, reterr);
	size_t count = json_array_size(value);
	char *items = array_make(field, object, count);
	if (!items)
		return err_oom(reterr);

	for (size_t i = 0; i < count; i++) {
		json_t *element = json_array_get(value, i);
		int ret = element_read(field->table, element, items + i * field->table->size,
			&(struct json_path){ path, NULL, i }, reterr);
		if (ret < 0)
			return ret;
	}
	return 0;
}

static json_t *array_write(const struct json_field *field, const void *object)
{
	const char *items = *(char **)json_member(field, object);
	size_t count = *json_member_count(field, object);
	if (field->flags & JSON_NULLEMPTY && !count)
		return json_null();
	if (!items && !(field->flags & JSON_EMPTYNULL))
		return json_null();
	_autojson_ json_t *array = json_array();
	for (size_t i = 0; items && i < count; i++) {
		json_t *element = json_write(field->table, items + i * field->table->size);
		if (!element || json_array_append_new(array, element) < 0)
			return NULL;
	}
	return TAKE(array);
}

static void array_finish(const struct json_field *field, void *object)
{
	char *items = *(char **)json_member(field, object);
	for (size_t i = 0; items && i < *json_member_count(field, object); i++)
		json_finish(field->table, items + i * field->table->size);
	free(items);
	*(void **)json_member(field, object) = NULL;
	*json_member_count(field, object) = 0;
}

static int array_copy(const struct json_field *field, const void *from, void *to)
{
	const char *items = *(char **)json_member(field, from);
	if (!items)
		return 0;
	size_t count = *json_member_count(field, from);
	char *copy = array_make(field, to, count);
	if (!copy)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		size_t offset = i * field->table->size;
		int ret = json_copy_fields(field->table, items + offset, copy + offset);
		if (ret < 0)
			return ret;
	}
	return 0;
}

static bool array_is_empty(const struct json_field *field, const void *object)
{
	return !*json_member_count(field, object);
}

/* --- map --- */

/* Adds a zeroed struct under `key` and returns it, or NULL when out of memory. */
static void *map_add(const struct json_field *field, struct map *map, const char *key)
{
	void *inner = calloc(1, field->table->size);
	if (!inner || map_set(map, key, inner) < 0) {
		free(inner);
		return NULL;
	}
	return inner;
}

static int map_read(const struct json_field *field, json_t *value, void *object, const struct json_path *path,
	struct err **reterr)
{
	if (!json_is_object(value))
		return json_expected(path, "an object", value, reterr);
	struct map *map = map_new(free);
	*(struct map **)json_member(field, object) = map;
	if (!map)
		return err_oom(reterr);

	const char *key;
	json_t *element;
	json_object_foreach (value, key, element) {
		void *inner = map_add(field, map, key);
		if (!inner)
			return err_oom(reterr);
		int ret = element_read(field->table, element, inner, &(struct json_path){ path, key, 0 }, reterr);
		if (ret < 0)
			return ret;
	}
	return 0;
}

static json_t *map_write(const struct json_field *field, const void *object)
{
	const struct map *map = *(struct map **)json_member(field, object);
	if (field->flags & JSON_NULLEMPTY && (!map || !map_count(map)))
		return json_null();
	if (!map)
		return field->flags & JSON_EMPTYNULL ? json_object() : json_null();
	_autojson_ json_t *members = json_object();
	struct map_entry *entry;
	map_foreach (entry, map)
		if (json_set_member(members, entry->key, json_write(field->table, entry->value)) < 0)
			return NULL;
	return TAKE(members);
}

static void map_finish(const struct json_field *field, void *object)
{
	struct map *map = *(struct map **)json_member(field, object);
	if (!map)
		return;
	struct map_entry *entry;
	map_foreach (entry, map)
		json_finish(field->table, entry->value);
	map_free(map);
	*(struct map **)json_member(field, object) = NULL;
}

static int map_copy(const struct json_field *field, const void *from, void *to)
{
	const struct map *map = *(struct map **)json_member(field, from);
	if (!map)
		return 0;
	struct map *copy = map_new(free);
	*(struct map **)json_member(field, to) = copy;
	if (!copy)
		return -ENOMEM;
	struct map_entry *entry;
	map_foreach (entry, map) {
		void *inner = map_add(field, copy, entry->key);
		int ret = inner ? json_copy_fields(field->table, entry->value, inner) : -ENOMEM;
		if (ret < 0)
			return ret;
	}
	return 0;
}

static bool map_is_empty(const struct json_field *field, const void *object)
{
	const struct map *map = *(struct map **)json_member(field, object);
	return !map || !map_count(map);
}

const struct json_type_ops json_embedded_ops = { embedded_read, embedded_write, embedded_finish, embedded_copy,
	embedded_is_empty };
const struct json_type_ops json_pointer_ops = { pointer_read, pointer_write, pointer_finish, pointer_copy,
	pointer_is_empty };
const struct json_type_ops json_array_ops = { array_read, array_write, array_finish, array_copy, array_is_empty };
const struct json_type_ops json_map_ops = { map_read, map_write, map_finish, map_copy, map_is_empty };
