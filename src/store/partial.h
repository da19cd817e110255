/*
 * Downloads that are not whole yet. Each is partial/HEX, by the digest that it is to have, and is locked (flock) as long as
 * somebody works on it: two can't, and when its owner dies the next goes on where that one was. Nothing names it: no
 * row, no listing, no image; what it holds is worth no more than its digest, once whole, shows.
 *
 * Nobody's are kept for a while, in case that somebody comes back: PARTIAL_KEEP_S after their last byte, together not more
 * than PARTIAL_BYTES_MAX, and none that is smaller than PARTIAL_BYTES_MIN. The sweep moves the others into trash/.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "store/store.h"

#define PARTIAL_KEEP_S    900
#define PARTIAL_BYTES_MIN (4LL << 20)
#define PARTIAL_BYTES_MAX (4LL << 30)

#define PARTIAL_ETAG_SIZE 256

struct partial {
	int fd; /* readable and writable; -1: none */
	struct store *store;
	char digest[STORE_DIGEST_SIZE];
};

/* Opens or makes and locks it. -EWOULDBLOCK, without an error: somebody else works on it. Keep it where it is: no copies. */
int partial_open(struct store *store, const char *digest, struct partial *ret, struct err **reterr);
/* Lets go of it for the next; with `remove`, its name goes. -errno: it is still there, for the next sweep. */
int partial_close(struct partial *partial, bool remove);

/* What the server called this version of the blob, to ask for more of the same; "" if it is not known. Where the filesystem
 * keeps no attributes, it is not. */
void partial_set_etag(const struct partial *partial, const char *etag);
void partial_etag(const struct partial *partial, char ret[static PARTIAL_ETAG_SIZE]);

/* Whether there are any, also such that somebody works on. */
bool partials_exist(const struct store *store);
/* Moves nobody's partial blobs into trash/: all of them, or those that are not kept any longer. Bytes in *ret_bytes. */
int partials_expire(struct store *store, bool all, int64_t *ret_bytes, struct err **reterr);
