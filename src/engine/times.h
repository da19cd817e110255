/* Points in time as people give them to `since` and `until`. */
#pragma once

#include <stdint.h>

#include "base/err.h"
#include "engine/filters.h"

/* "1700000000", "1700000000.123456789", RFC 3339 (date alone, or without a zone, is UTC), or a duration that ends now
 * ("10m"). ERR_INVALID names `what`. */
int times_parse(const char *text, const char *what, int64_t *ret_ns, struct err **reterr);

/* The filter "until" of a prune: INT64_MAX if absent. */
int times_until(const struct filters *filters, int64_t *ret_ns, struct err **reterr);

/* "3 minutes", "About an hour", as people read it in lists; `ns` is not negative. */
#define TIMES_HUMAN_MAX 32
void times_human(int64_t ns, char out[static TIMES_HUMAN_MAX]);
