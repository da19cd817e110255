/*
 * A container's tree made visible to a worker, in a mount namespace of the worker's own: the root, and on it the
 * container's volumes and binds where they belong. Nobody else sees these mounts, and they end with the worker.
 *
 * The root of a container that runs is lent by its monitor; any other is mounted here, under the container's lock, which is
 * held until the stage is finished, by the children too. Where a volume belongs is found in-root, by descriptor: what a
 * container's process does meanwhile can move it elsewhere inside that container's tree and no further. In a container that
 * does not run, a missing place is made, as its start would.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "runtime/rootfs.h"
#include "spec/handover.h"
#include "worker/task.h"

struct stage {
	struct rootfs rootfs;
	int top_fd;   /* a tmpfs of our own */
	int root_fd;  /* the container's root: top/root */
	int empty_fd; /* an empty folder: top/empty */
	int held_fd;  /* the lock, borrowed from `rootfs` or from the task */
	struct task *task;
	int64_t wanted_since_ms;
};

#define STAGE_INIT                                                                   \
 {                                                                                   \
  .rootfs = ROOTFS_INIT, .top_fd = -1, .root_fd = -1, .empty_fd = -1, .held_fd = -1, \
 }

int stage_open(struct stage *stage, struct task *task, const struct handover_tree *tree, bool with_mounts,
	struct err **reterr);
/* For a look at what changed: the upper folder as top/upper and the layers below it as top/lower, both to read. */
int stage_open_layers(struct stage *stage, struct task *task, const struct handover_tree *tree, struct err **reterr);
void stage_finish(struct stage *stage);

/* From time to time: -ECANCELED with an error if the client is gone, or somebody has wanted to start the container for too
 * long. */
int stage_check(struct stage *stage, struct err **reterr);
