/*
 * The `filters` parameter of lists, prunes and events: a JSON object of sets, {"status":{"exited":true}} or
 * {"status":["exited"]}. Several values of a key are alternatives, several keys must all hold. A key that a list does not
 * know is refused in Docker's words.
 */
#pragma once

#include <stdbool.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/map.h"

struct filters;

/* `known` ends with NULL. `text` NULL or "": no filters. */
int filters_parse(const char *text, const char *const *known, struct filters **ret, struct err **reterr);
void filters_free(struct filters *filters);
DEFINE_AUTOFREE(filters, struct filters *, filters_free);

bool filters_has(const struct filters *filters, const char *key);
/* NULL-terminated, borrowed; NULL if the key is absent. */
char *const *filters_values(const struct filters *filters, const char *key);

/* Each is true when the key is absent. */
bool filters_match(const struct filters *filters, const char *key, const char *value);
/* One of the values is a prefix of, or occurs in, `value`. */
bool filters_match_prefix(const struct filters *filters, const char *key, const char *value);
bool filters_match_part(const struct filters *filters, const char *key, const char *value);
/* "name" or "name=value" of a map of strings, which may be NULL; here all the values must hold. */
bool filters_match_labels(const struct filters *filters, const char *key, const struct map *labels);
/* The inverse, "label!": none of the values may hold. */
bool filters_refuse_labels(const struct filters *filters, const char *key, const struct map *labels);
/* One value that is a truth: ERR_INVALID otherwise. */
int filters_bool(const struct filters *filters, const char *key, bool fallback, bool *ret, struct err **reterr);
