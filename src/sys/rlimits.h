/* Resource limits by the OCI document's names. */
#pragma once

#include <stdint.h>

/* "RLIMIT_NOFILE" to its number, or -EINVAL. */
int rlimit_from_name(const char *name);

/* Sets both limits of the calling process. Without the right to raise the hard one, both are cut to it: 1 then, else 0 or
 * -errno. */
int rlimit_set(int resource, uint64_t soft, uint64_t hard);
