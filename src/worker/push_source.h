/*
 * The bytes of a layer as they go to a registry: the store's blob as it is, or compressed on the way if it came uncompressed (or so
 * that registries don't know it), by confined children that a pipe connects with us. Beginning anew means to compress anew: the
 * same comes out, and is not hashed twice.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <sys/types.h>

#include "codec/digest.h"
#include "codec/sha256.h"
#include "store/blob.h"
#include "worker/inflate.h"

struct push_source {
	int blob_fd; /* -1: closed */
	int64_t blob_bytes;
	enum compression compression; /* of the blob */
	bool compresses;
	int empty_fd; /* borrowed: the children's root */
	int pipe_fd;
	pid_t inflater;
	pid_t deflater;
	bool ended;
	int64_t position; /* of the next byte to give */
	int64_t skip;     /* that have been given before */
	int64_t hashed;
	struct sha256 *hash; /* NULL: the digest is the blob's */
	char digest[DIGEST_SIZE];
};

/* Of a layer that the job holds. */
int push_source_open(struct store *store, const struct layer_blob *blob, int empty_fd, struct push_source *ret,
	struct err **reterr);
void push_source_finish(struct push_source *source);

/* For registry_upload. */
ssize_t push_source_read(struct push_source *source, void *data, size_t len);
int push_source_seek(struct push_source *source, int64_t offset);
int push_source_fd(const struct push_source *source);
/* After the end. */
const char *push_source_digest(struct push_source *source);
/* How far it is in the blob. */
int64_t push_source_progress(const struct push_source *source);
