/*
 * Digests of content, as text "sha256:HEX". The grammar is the OCI image specification's ("Digests"); SHA-256 is the one
 * algorithm accepted, everything else that fits the grammar is told apart as unsupported.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#define DIGEST_PREFIX    "sha256:"
#define DIGEST_HEX_LEN   64
#define DIGEST_SIZE      (sizeof DIGEST_PREFIX + DIGEST_HEX_LEN) /* of the text, with the NUL */
#define DIGEST_BYTES_LEN 32

/* hex[0] is NUL when unset. */
struct digest {
	char hex[DIGEST_HEX_LEN + 1];
};

/* Returns 0, -EINVAL (not a digest), or -EOPNOTSUPP (of another algorithm). */
int digest_parse(const char *text, struct digest *ret);
/* 64 lower-case hex digits without the prefix. 0 or -EINVAL. */
int digest_parse_hex(const char *hex, struct digest *ret);
void digest_from_bytes(const unsigned char bytes[static DIGEST_BYTES_LEN], struct digest *ret);

void digest_format(const struct digest *digest, char out[static DIGEST_SIZE]);

bool digest_is_set(const struct digest *digest);
bool digest_equal(const struct digest *a, const struct digest *b);
