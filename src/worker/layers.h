/*
 * Getting layers into the store: found there, waited for while another worker makes them, or unpacked and verified. Several of
 * an archive are unpacked at once, each in a process of its own (unpacker.h), so that one's bytes go to disk while the next
 * one is at the processors.
 */
#pragma once

#include "base/err.h"
#include "store/layer.h"
#include "worker/task.h"
#include "worker/unpack.h"

struct layer_file {
	int fd;             /* a regular file, open for reading alone, at its start */
	const char *digest; /* what it must be as it is; NULL: not said */
	int64_t size_bytes; /* how large it must be; -1: not said */
};

/* Opens the file of the layer `index`. */
typedef int layer_open_fn(size_t index, struct layer_file *ret, void *data, struct err **reterr);

/* Each of the diff IDs from its file. Held by the task's job afterwards. ERR_INVALID if either digest of one is wrong: then
 * nothing of that is kept. */
int layers_obtain(struct task *task, char *const *diff_ids, layer_open_fn *open, void *data, struct err **reterr);

/* A whole layer, of which nothing is known before: `fd` reads it from its beginning, `link_fd` is the same file. Held by the
 * task's job afterwards. */
int layer_add(struct task *task, int fd, int link_fd, char ret_diff_id[static STORE_DIGEST_SIZE], struct err **reterr);
/* The claim, waiting while it is busy. */
int layer_claim_waiting(struct task *task, const char *diff_id, enum layer_claim *ret, struct err **reterr);
