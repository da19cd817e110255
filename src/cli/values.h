/* Looking into the engine's JSON answers: what is missing, or of another type, is empty. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

/* "State.Running": a member of a member. Borrows; NULL if there is none. */
json_t *value_at(const json_t *object, const char *path);
const char *value_string(const json_t *object, const char *path); /* "" */
int64_t value_int(const json_t *object, const char *path);        /* 0 */
bool value_bool(const json_t *object, const char *path);          /* false */

/* The first 12 digits of "sha256:..." or of an ID. */
#define VALUE_SHORT_ID_MAX 16
void value_short_id(const char *id, char out[static VALUE_SHORT_ID_MAX]);

/* "a=1,b=2", sorted; appended. */
int value_join_labels(const json_t *labels, struct buf *out);
/* At most `max` characters, the last of them "…" if some are cut off; appended. */
int value_ellipsis(const char *text, size_t max, struct buf *out);
