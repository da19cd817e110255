/*
 * SHA-256 in pieces, by OpenSSL (which uses the processor's own instructions). A library of its own, so that only programs
 * that hash link libcrypto.
 */
#pragma once

#include <stddef.h>

#include "base/cleanup.h"
#include "codec/digest.h"

struct sha256;

/* Returns NULL when out of memory. */
struct sha256 *sha256_new(void);
void sha256_free(struct sha256 *sha256);
DEFINE_AUTOFREE(sha256, struct sha256 *, sha256_free);

void sha256_update(struct sha256 *sha256, const void *data, size_t len);

/* Of all so far; afterwards it is as new. 0, or -EIO: OpenSSL has refused somewhere, which on a sane machine it does not. */
int sha256_finish(struct sha256 *sha256, struct digest *ret);
/* The same as text, "sha256:HEX"; "" where finish would fail, which is equal to no digest. */
void sha256_digest(struct sha256 *sha256, char out[static DIGEST_SIZE]);

/* Of one piece. 0, -ENOMEM or -EIO. */
int sha256_of(const void *data, size_t len, struct digest *ret);
