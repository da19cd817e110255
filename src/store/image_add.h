/* Adding an image whose layers are in the store: the last step of a load, an import, a pull. */
#pragma once

#include <stdbool.h>

#include "base/err.h"
#include "store/image.h"
#include "store/job.h"

struct image_added {
	char id[STORE_DIGEST_SIZE];
	bool existed;
	bool unchanged; /* it had all these names before */
	char **renamed; /* "NAME ID" of images that lost their name to this one, in the order of the names */
};

/*
 * Stores the config and gives the image its names ("repo:tag" or "repo@digest", checked here), in one transaction: image and
 * names are seen together or not at all. The ID is computed here, from the bytes. Every layer that the config names is held by the job.
 */
int store_image_add(struct job *job, const char *config, size_t config_len, char *const *names, struct image_added *ret,
	struct err **reterr);
/* What it was made of on this machine; nothing if that is no longer here. */
int store_image_set_parent(struct job *job, const char *id, const char *parent, struct err **reterr);
void image_added_finish(struct image_added *added);
