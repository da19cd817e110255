/*
 * Blobs: each layer as it came, compressed or not, under the digest that was verified then. They are what is saved and pushed.
 * Whoever reads one holds its layer by a lease (layer_hold_image): then it stays, whatever is removed meanwhile.
 */
#pragma once

#include <stdint.h>

#include "base/err.h"
#include "codec/digest.h"
#include "store/store.h"

struct layer_blob {
	char digest[DIGEST_SIZE];
	int64_t size_bytes;
};

/* The blob that a layer was made from. */
int store_layer_blob(struct store *store, const char *diff_id, struct layer_blob *ret, struct err **reterr);
/* Opens it for reading; the caller's to close. It has the length that its row says, or it is refused. */
int store_blob_open(struct store *store, const struct layer_blob *blob, int *ret_fd, struct err **reterr);
