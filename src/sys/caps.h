/* Capabilities of the calling thread, as 64-bit sets (bit N is capability number N). Nothing allocates. */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct cap_sets {
	uint64_t effective;
	uint64_t permitted;
	uint64_t inheritable;
	uint64_t bounding;
	uint64_t ambient;
};

/* "CAP_NET_RAW" (any case, prefix optional) to its number, or -EINVAL. */
int cap_from_name(const char *name);
/* "CAP_NET_RAW", or NULL beyond the last one known here. */
const char *cap_name(unsigned number);
/* Number of capabilities this kernel has. */
unsigned cap_count(void);

int caps_get(struct cap_sets *ret);
/* The permitted set alone, in one call. */
int caps_get_permitted(uint64_t *ret);
/* Drops from the bounding set what is not in `keep`; needs CAP_SETPCAP. */
int caps_limit_bounding(uint64_t keep);
/* Effective, permitted, inheritable, then ambient; the bounding set is left alone. */
int caps_set(const struct cap_sets *sets);
