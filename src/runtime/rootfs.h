/*
 * A container's own folder: "upper" and "work" of its root, and the lock that is held as long as the root is mounted, because
 * the kernel would allow a second overlay on the same upper and corrupt it. A monitor holds it while its container runs; a
 * worker that copies or exports holds it too: of a stopped container by itself, of a running one as a copy of the monitor's
 * descriptor, so that it stays locked until the last of them lets go.
 *
 * Whoever starts a container is waited for by nobody: it says that it wants the lock (a second lock, on the file's first
 * byte), and a worker that is asked so for ROOTFS_YIELD_MS gives up its job.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

#define ROOTFS_WAIT_MS  10000
#define ROOTFS_YIELD_MS 2000

struct rootfs {
	int dir_fd;  /* the container's folder */
	int lock_fd; /* "lock" there, held */
	int layers_fd;
	char **lowers; /* relative to layers_fd: the kernel takes all of them in one page on older versions */
};

#define ROOTFS_INIT                            \
 {                                             \
  .dir_fd = -1, .lock_fd = -1, .layers_fd = -1 \
 }

void rootfs_finish(struct rootfs *rootfs);

/* `path` is absolute and ours. `make`: where it is missing; a job on a container that has just been removed must not. */
int rootfs_open_folder(struct rootfs *rootfs, const char *path, bool make, struct err **reterr);
/* Takes the lock, waiting up to ROOTFS_WAIT_MS; ERR_CONFLICT then. `urgent`: others are asked to give way. */
int rootfs_lock(struct rootfs *rootfs, bool urgent, struct err **reterr);
/* `lowers` are absolute paths; data-root/base (engine/base_folder.h) is added below them, if it is there. */
int rootfs_open_layers(struct rootfs *rootfs, const char *data_root, char *const *lowers, struct err **reterr);
/* "upper" and "work" where they are missing. */
int rootfs_make_upper(const struct rootfs *rootfs, struct err **reterr);

/* Whether somebody asks for the lock that `lock_fd` holds. */
bool rootfs_is_wanted(int lock_fd);
