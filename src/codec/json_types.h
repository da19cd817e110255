/*
 * What the table walk in json.c needs to know of each field type: one row of functions per enum json_type. Internal to
 * the codec; everybody else includes json.h.
 */
#pragma once

#include "codec/json.h"

/* Where we are in the document, as a chain on the stack: costs nothing until there is an error to report. */
struct json_path {
	const struct json_path *parent;
	const char *key; /* NULL: `index` counts */
	size_t index;
};

/*
 * All get the struct that holds the field. read finds the field finished or zeroed, and leaves something that finish can
 * free even when it fails. write returns a new reference or NULL when out of memory. copy writes over a zeroed field.
 */
struct json_type_ops {
	int (*read)(const struct json_field *field, json_t *value, void *object, const struct json_path *path,
		struct err **reterr);
	json_t *(*write)(const struct json_field *field, const void *object);
	void (*finish)(const struct json_field *field, void *object);
	int (*copy)(const struct json_field *field, const void *from, void *to);
	bool (*is_empty)(const struct json_field *field, const void *object); /* for JSON_OMITEMPTY */
};

const struct json_type_ops *json_type_ops(enum json_type type);

static inline void *json_member(const struct json_field *field, const void *object)
{
	return (char *)object + field->offset;
}

static inline size_t *json_member_count(const struct json_field *field, const void *object)
{
	return (size_t *)(void *)((char *)object + field->count_offset);
}

/* "PATH: expected WHAT, got a string"; returns -EINVAL. */
int json_expected(const struct json_path *path, const char *what, const json_t *got, struct err **reterr);
int json_invalid(const struct json_path *path, const char *problem, struct err **reterr);

/* New references that never fail for invalid UTF-8: it is repaired. */
json_t *json_text_value(const char *text);
int json_set_member(json_t *object, const char *key, json_t *value); /* takes `value`, NULL is out of memory */

/* The table walk, for the types that nest. */
int json_read_object(const struct json_table *table, json_t *value, void *out, const struct json_path *path,
	struct err **reterr);
int json_copy_fields(const struct json_table *table, const void *from, void *to);
