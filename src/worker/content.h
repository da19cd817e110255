/*
 * An image of the store as layouts and registries have it: a manifest, which names a config and blobs. Layers go out as they
 * came, so the manifest is made here, of what they are now; the same image always gets the same bytes.
 */
#pragma once

#include "base/buf.h"
#include "store/blob.h"
#include "store/image.h"
#include "store/job.h"

struct content {
	struct store_image *image;
	struct layer_blob *layers; /* image->layer_count, the lowest first */
	const char **media_types;  /* likewise; static */
	struct buf manifest; /* OCI_MEDIA_TYPE_MANIFEST; the config, image->config_text, is OCI_MEDIA_TYPE_CONFIG */
	char manifest_digest[DIGEST_SIZE];
};

/* Finds the image and holds its layers for the job. `out` is overwritten, and finished already on failure. */
int content_open(struct job *job, const char *name, struct content *out, struct err **reterr);
void content_finish(struct content *content);
