/* SHA-256 of a stream, as a digest string. */
#pragma once

#include <stddef.h>

#include "base/cleanup.h"

struct sha256;

/* Returns NULL when out of memory. */
struct sha256 *sha256_new(void);
void sha256_free(struct sha256 *hash);
DEFINE_AUTOFREE(sha256, struct sha256 *, sha256_free);

void sha256_update(struct sha256 *hash, const void *data, size_t len);
/* "sha256:HEX" of all so far; begins anew. `out` holds STORE_DIGEST_SIZE bytes. */
void sha256_digest(struct sha256 *hash, char *out);
