/*
 * Query strings and urlencoded forms: "a=1&b=x%20y&a=2". A key may be repeated; lookups take the first, as the Engine's own
 * server does. Bounds: QUERY_PAIRS_MAX pairs, and the request line's limit before the text gets here.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/cleanup.h"

#define QUERY_PAIRS_MAX 1000

struct query;

/* Returns 0, -ENOMEM, -E2BIG (too many pairs), or -EINVAL: a broken escape, an encoded NUL or a semicolon. */
int query_parse(const char *text, struct query **ret);
void query_free(struct query *query);
DEFINE_AUTOFREE(query, struct query *, query_free);

bool query_has(const struct query *query, const char *key);
/* Borrows; NULL when the key is absent. */
const char *query_get(const struct query *query, const char *key);
/* The values of a repeated key, in order: start with *cursor = 0; NULL at the end. */
const char *query_next(const struct query *query, const char *key, size_t *cursor);

/* Docker's idea of truth: absent gives `fallback`; "", 0, no, false and none in any case are false, all else is true. */
bool query_bool(const struct query *query, const char *key, bool fallback);
/* Absent or empty gives `fallback`. Returns 0, -EINVAL or -ERANGE. */
int query_int(const struct query *query, const char *key, int64_t fallback, int64_t *ret);

/* Appends "?key=value" to a path, or "&key=value" if it has a query already. */
int query_append(struct buf *path, const char *key, const char *value);
