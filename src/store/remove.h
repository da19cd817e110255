/* Removing images by Docker's rules, and what to tell the client of it. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "store/image.h"

/* One line of the answer to DELETE /images/X. */
struct store_removed {
	bool untagged; /* else deleted */
	char *what;    /* "debian:12", "debian@sha256:...", or "sha256:..." of an image or layer chain */
	char image[STORE_DIGEST_SIZE];
};

/* Who uses an image: true, with the container's ID (64 hex digits and NUL), if any does; asks for running ones only, or
 * for those that are not. */
typedef bool store_user_fn(const char *image_id, bool running, char ret_container[static 65], void *data);

/*
 * Docker's rules for DELETE /images/NAME: a name untags, and deletes the image with its last name; an ID deletes if it
 * has one tag at most, or with `force`. Conflicts (ERR_CONFLICT) have Docker's sentences: in use by a container,
 * several repositories, child images. With `prune_parents`, nameless parents without other children go too. Layers and
 * blobs that nothing reaches any more are moved to trash/.
 */
struct store_remove_options {
	bool force;
	bool prune_parents;
	store_user_fn *is_used;
	void *is_used_data;
};
int store_image_remove(struct store *store, const char *name, const struct store_remove_options *options,
	struct store_removed **ret, size_t *ret_count, struct err **reterr);
void store_removed_free(struct store_removed *removed, size_t count);
