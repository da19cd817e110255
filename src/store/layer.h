/*
 * Layers, one unpacked folder per diff ID. A worker claims a diff ID, unpacks into its job's folder, verifies, and commits:
 * only then is there a folder of that name, and a row that says so. Two jobs that want the same layer unpack it once: the
 * second is told LAYER_BUSY and asks again.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "store/job.h"

enum layer_claim {
	LAYER_READY, /* it is here, and held for this job */
	LAYER_MINE,  /* to be made by this job */
	LAYER_BUSY,  /* another job is making it */
};

int layer_claim(struct job *job, const char *diff_id, enum layer_claim *ret, struct err **reterr);
/* Holds all layers of an image for this job. ERR_NOT_FOUND: the image has gone since it was looked up. */
int layer_hold_image(struct job *job, const char *image_id, struct err **reterr);

struct layer_content {
	const char *folder; /* below the job's folder: the unpacked tree */
	int64_t size_bytes;
	bool opaque_root; /* hides every layer below it */
	bool synced;      /* the caller has seen to it that the tree is on disk */
	/* The layer as it came, compressed or not: linked under its digest, which the caller has verified. */
	int blob_fd; /* borrowed; a regular file of this filesystem that nobody writes any more */
	const char *blob_digest;
	int64_t blob_size_bytes;
};

/* Makes a claimed layer visible, for good: the tree and the blob are on disk before the row says so. */
int layer_commit(struct job *job, const char *diff_id, const struct layer_content *content, struct err **reterr);
