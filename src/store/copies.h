/*
 * Where layers are to be had: "as this blob, in that repository". Learnt when they are pulled and pushed, so that a push does not
 * send what the registry can take from its own other repository, and does not compress again what has been compressed before. Hints:
 * whoever follows one finds out whether it still holds. They go with their layer, and there are COPIES_MAX of each at most.
 */
#pragma once

#include <stdint.h>

#include "base/err.h"
#include "codec/digest.h"
#include "store/store.h"

#define COPIES_MAX 16

struct layer_copy {
	char digest[DIGEST_SIZE];
	int64_t size_bytes;
};

/* `repository` in full, "docker.io/library/debian". The oldest makes room. */
int store_copy_add(struct store *store, const char *diff_id, const char *repository, const struct layer_copy *copy,
	struct err **reterr);
/*
 * What is known of a layer, as far as it is the blob `digest` (NULL: any) and of use to a push to `repository`: *ret_from gets another
 * repository of the same registry that has it ("library/debian"), or NULL if there is none; `ret` the blob there, or else anywhere.
 * 1 or, if nothing is known, 0.
 */
int store_copy_find(struct store *store, const char *diff_id, const char *digest, const char *repository,
	struct layer_copy *ret, char **ret_from, struct err **reterr);
