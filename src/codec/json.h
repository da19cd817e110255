/*
 * JSON documents as C structs: a table of fields drives parsing, the error's path, serialising and freeing, so a
 * document's shape stands in one place. jansson does the text.
 *
 *	static const struct json_field log_config_fields[] = {
 *		JSON_FIELD(struct log_config, type, "Type", JSON_STRING_FIELD),
 *		JSON_FIELD(struct log_config, config, "Config", JSON_STRMAP),
 *	};
 *	const struct json_table log_config_table = JSON_TABLE(struct log_config, log_config_fields);
 *
 * Keys match exactly first, else without regard to case (as Go's decoder, which the clients were written against).
 * Unknown keys are ignored; a duplicate key's last value wins; null leaves the field unset. Bounds: JSON_DEPTH_MAX levels,
 * JSON_MEMBERS_MAX members in all, and the caller's size limit before the text gets here.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/map.h"

#define JSON_DEPTH_MAX   64
#define JSON_MEMBERS_MAX 100000

enum json_type {
	JSON_STRING_FIELD,   /* char *: NULL when absent */
	JSON_BOOL_FIELD,     /* bool */
	JSON_OPT_BOOL,       /* struct json_opt_bool */
	JSON_INT,            /* int64_t */
	JSON_OPT_INT,        /* struct json_opt_int */
	JSON_UINT,           /* uint64_t */
	JSON_DOUBLE,         /* double */
	JSON_STRV,           /* char **: array of strings; NULL and [] are told apart (calloc'ed empty vector) */
	JSON_STRV_OR_STRING, /* char **: as JSON_STRV, a bare string counts as one element */
	JSON_STRMAP,         /* struct map * of char *: object of strings */
	JSON_SET,            /* char **: object whose keys count and whose values are {} (ExposedPorts, Volumes) */
	JSON_INTS,           /* int64_t *, with a size_t count */
	JSON_OBJECT_FIELD,   /* struct, embedded: `table` */
	JSON_OBJECT_PTR,     /* struct *: `table`; NULL when absent */
	JSON_OBJECTS,        /* struct *, an array of structs with a size_t count: `table` */
	JSON_OBJECT_MAP,     /* struct map * of struct *: object of objects: `table` */
	JSON_RAW,            /* json_t *: kept as it is */
};

enum json_flags {
	JSON_OMITEMPTY = 1 << 0, /* not written when unset, zero, false, "" or empty */
	JSON_REQUIRED = 1 << 1,  /* absent or null is an error */
	JSON_NULLEMPTY = 1 << 2, /* an empty vector or map is written as null even when allocated */
	JSON_EMPTYNULL = 1 << 3, /* a NULL vector is written as [], a NULL map or set as {} , a NULL string as "" */
};

/* jansson opens a file for the seed of its tables, once: here is one that costs less. Best effort. */
void json_seed(void);

struct json_opt_bool {
	bool set;
	bool value;
};

struct json_opt_int {
	bool set;
	int64_t value;
};

struct json_table;

/* Small: pointers in a table are a program's own pages as soon as it runs, and each monitor has them. */
struct json_field {
	const char *key;
	const struct json_table *table;
	uint16_t offset;
	uint16_t count_offset; /* JSON_INTS, JSON_OBJECTS */
	enum json_type type : 8;
	unsigned flags : 8;
};

struct json_table {
	const char *name; /* "HostConfig", for messages */
	size_t size;      /* of the struct */
	const struct json_field *fields;
	size_t field_count;
};

#define JSON_FIELD(type_, member, key_, kind, ...)                              \
 {                                                                              \
  .key = (key_), .type = (kind), .offset = offsetof(type_, member), __VA_ARGS__ \
 }
#define JSON_FIELD_ARRAY(type_, member, count_member, key_, kind, ...)                                             \
 {                                                                                                                 \
  .key = (key_), .type = (kind), .offset = offsetof(type_, member), .count_offset = offsetof(type_, count_member), \
  __VA_ARGS__                                                                                                      \
 }
#define JSON_TABLE(type_, fields_)                                                               \
 {                                                                                               \
  .name = #type_, .size = sizeof(type_), .fields = (fields_), .field_count = ARRAY_SIZE(fields_) \
 }

/*
 * Parses `text` into the zeroed struct `out`. On failure ERR_INVALID names the path and what was expected
 * ("HostConfig.Memory: expected an integer, got a string"), and `out` is finished already.
 * json_read takes a parsed value in place of text.
 */
int json_parse(const struct json_table *table, const char *text, size_t len, void *out, struct err **reterr);
int json_read(const struct json_table *table, json_t *value, void *out, struct err **reterr);

/* Syntax only, with the bounds above; returns a new reference. Integers outside int64 are refused; but naturals up to
 * uint64's end that a double keeps exactly, and UINT64_MAX, come as reals, which JSON_UINT (and no JSON_INT) accepts. */
int json_load(const char *text, size_t len, json_t **ret, struct err **reterr);

/* Returns a new reference, or NULL when out of memory. json_print appends compact text. */
json_t *json_write(const struct json_table *table, const void *in);
int json_print(const struct json_table *table, const void *in, struct buf *out);
int json_print_value(const json_t *value, struct buf *out);

/* Frees what the fields own and zeroes the struct. Harmless on a zeroed one. */
void json_finish(const struct json_table *table, void *object);
/* The same for a heap struct, and the struct itself. */
void json_free(const struct json_table *table, void *object);
/* Deep copy by way of the table; returns 0 or -ENOMEM. `out` need not be initialised. */
int json_clone(const struct json_table *table, const void *in, void *out);

static inline void json_decref_cleanup(json_t **value)
{
	json_decref(*value);
}
#define _autojson_ __attribute__((cleanup(json_decref_cleanup)))
