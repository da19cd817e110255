/* Getting one layer into the store: found there, waited for while another worker makes it, or unpacked and verified. */
#pragma once

#include "base/err.h"
#include "store/layer.h"
#include "worker/task.h"
#include "worker/unpack.h"

struct layer_file {
	int fd;              /* a regular file, open for reading alone, at its start */
	int link_fd;         /* the same file; -1: `fd` serves */
	const char *diff_id; /* what it must be unpacked */
	const char *digest;  /* what it must be as it is; NULL: not said */
	int64_t size_bytes;  /* how large it must be; -1: not said */
};

/* Held by the task's job afterwards. ERR_INVALID if either digest is wrong: then nothing of it is kept. */
int layer_obtain(struct task *task, const struct layer_file *file, struct err **reterr);

/* For content whose diff ID is known only after unpacking: unpacks into the job's folder `name`. */
int layer_unpack(struct task *task, const char *name, int file_fd, bool needs_end_marker, const char *label,
	struct unpacked *ret, struct err **reterr);
/* A whole layer, of which nothing is known before: `fd` reads it from its beginning, `link_fd` is the same file. Held by the
 * task's job afterwards. */
int layer_add(struct task *task, int fd, int link_fd, char ret_diff_id[static STORE_DIGEST_SIZE], struct err **reterr);
/* The claim, waiting while it is busy. */
int layer_claim_waiting(struct task *task, const char *diff_id, enum layer_claim *ret, struct err **reterr);
