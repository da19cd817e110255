/* Small text parsers that several options share. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

/* Fields of one line of comma-separated values, quotes as in RFC 4180. Returns 0, -ENOMEM or -EINVAL. */
int text_split_csv(const char *line, char ***ret);

/* Splits "key=value" in place: borrows the value, or NULL if there is no "=". */
char *text_cut(char *text, char separator);

/* ["a=b", "c"] as {"a": "b", "c": ""}; NULL when out of memory. A new reference. */
json_t *text_map(char *const *assignments);
/* A vector of strings as a JSON array; NULL when out of memory. */
json_t *text_array(char *const *strings);

/* Folder and "./name" made absolute; other text is copied. NULL when out of memory. */
char *text_absolute(const char *path);

/* "Name" and "NAME" of an environment: those of the files, then `assignments`; a bare name of `assignments` takes its
 * value from this process's environment, or stays bare. */
int text_read_env(char *const *files, char *const *assignments, char ***ret, struct err **reterr);
/* The same for labels, where a bare name stays. */
int text_read_labels(char *const *files, char *const *assignments, char ***ret, struct err **reterr);
