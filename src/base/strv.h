/* NULL-terminated vectors of heap strings (char **): a NULL vector is an empty one. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/cleanup.h"

void strv_free(char **v);
DEFINE_AUTOFREE(strv, char **, strv_free);

size_t strv_count(char *const *v);
/* Appends a copy. Returns 0 or -ENOMEM; *v is unchanged on failure. */
int strv_append(char ***v, const char *string);
int strv_appendf(char ***v, const char *format, ...) printf_like(2, 3);
/* Appends `string` itself, taking it (freed on failure; NULL is out of memory). */
int strv_append_take(char ***v, char *string);
int strv_extend(char ***v, char *const *other);
/* Returns NULL when out of memory; a copy of NULL is an empty vector. */
char **strv_copy(char *const *v);
bool strv_has(char *const *v, const char *string);
bool strv_equal(char *const *a, char *const *b);
/* Splits at `separator`, keeping empty pieces; "" gives one empty piece. NULL when out of memory. */
char **strv_split(const char *string, char separator);
char *strv_join(char *const *v, const char *separator);
void strv_sort(char **v);

/* Environment vectors ("NAME=value"): borrows the value, or NULL. */
const char *strv_env_get(char *const *env, const char *name);
/* Replaces the entry with the same NAME, or appends. */
int strv_env_set(char ***env, const char *assignment);

#define strv_foreach(item, v) for (char *const *item = (v); item && *item; item++)
