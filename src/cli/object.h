/*
 * JSON objects built member by member: values that say nothing (NULL, 0, false, empty) are left out, and running out of
 * memory is remembered until the end.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

struct object {
	json_t *json;
	bool failed;
};

void object_init(struct object *object);
void object_finish(struct object *object);

void object_put_string(struct object *object, const char *key, const char *value);
void object_put_int(struct object *object, const char *key, int64_t value);
void object_put_bool(struct object *object, const char *key, bool value);
void object_put_array(struct object *object, const char *key, char *const *strings);
/* ["a=b"] as {"a": "b"} */
void object_put_map(struct object *object, const char *key, char *const *assignments);
/* Takes `value`, whatever it is; NULL counts as out of memory. */
void object_put(struct object *object, const char *key, json_t *value);
/* The same, but an empty array or object is left out. */
void object_put_filled(struct object *object, const char *key, json_t *value);

/* Moves the object out, or returns the error. */
int object_take(struct object *object, json_t **ret, struct err **reterr);

/* A string value of any bytes: what is not UTF-8 is repaired. NULL when out of memory. */
json_t *object_string(const char *text);
