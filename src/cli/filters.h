/* --filter name=value, as the API takes them. */
#pragma once

#include "base/buf.h"
#include "base/err.h"

/* Appends the query parameter "filters" with {"name": {"value": true}}; nothing if there are none. */
int filters_append(char *const *filters, struct buf *path, struct err **reterr);
