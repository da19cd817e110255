/*
 * Unpacking, seen from the trusted side: a stream goes from its source through a child that inflates it (if it is
 * compressed) into a child that untars it, and what passes between the two goes through this process, which hashes it,
 * counts it against the limits, and watches the client.
 *
 *	source ─→ [inflate] ─→ hash, limits ─→ [extract] ─→ folder
 *
 * A regular file that is not compressed is read by both at once, without anything between: it does not change any more.
 * Nothing the children say is believed but "it failed": the digest is of the bytes this process saw. Between two pipes they
 * are not copied: the same pages go on into the second while they are read out of the first. A child that hangs is killed
 * after LIMIT_STALL_MS without a byte; when the client goes away, both are.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "archive/extract.h"
#include "base/err.h"
#include "store/image.h"
#include "worker/client.h"
#include "worker/inflate.h"
#include "worker/limits.h"

/* A reason to stop, or 0. */
typedef int unpack_check_fn(void *data, struct err **reterr);
typedef void unpack_progress_fn(int64_t bytes, void *data);

struct unpack {
	/* Where it comes from: a regular file from its beginning, a pipe, or the client's body. */
	int file_fd; /* -1: the client's */
	bool piped;  /* `file_fd` is a pipe; nobody can look into it first, so the two that follow are told */
	enum compression compression;
	int64_t in_bytes;
	/* Who wants it: once they are gone it ends. */
	struct client *client; /* NULL: watch_fd serves */
	int watch_fd;          /* hung up when nobody wants it any more */
	/* Where it goes. */
	int folder_fd; /* becomes the child's root */
	int empty_fd;  /* an empty folder: the root of the child that inflates */
	struct extract_options options;
	bool whole;  /* with what is mounted below the folder */
	int hold_fd; /* a lock that the child holds too; 0: none */
	/* COPY: to whom everything belongs, as Docker names users, by the tree's own accounts; NULL: to whom the archive says. */
	const char *user;
	unpack_check_fn *check; /* asked from time to time; may be NULL */
	void *check_data;
	bool needs_end_marker; /* a tar without its closing zeros counts as cut short: where no digest says that it is whole */
	unpack_progress_fn *progress; /* may be NULL */
	void *progress_data;
};

struct unpacked {
	char diff_id[STORE_DIGEST_SIZE];     /* digest of a layer's uncompressed stream */
	char file_digest[STORE_DIGEST_SIZE]; /* by an unpacker, of a whole file that is compressed; else empty */
	int64_t stream_bytes;
	int64_t size_bytes; /* of the files */
	bool opaque_root;
};

int unpack(const struct unpack *unpack, struct unpacked *ret, struct err **reterr);

/* Digest of a regular file, from its beginning. */
int file_digest(int fd, char ret[static STORE_DIGEST_SIZE], int64_t *ret_size, struct err **reterr);
