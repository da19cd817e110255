/*
 * Paths inside a tree that somebody else controls: a container's root, a volume, an image's layer. The one module that
 * resolves them; everything else works on the descriptors it returns.
 *
 * `root_fd` is the tree's root. Paths may be absolute or relative, hold "..", and pass through symlinks: all of it is
 * resolved as if the tree were "/", by the kernel (openat2 RESOLVE_IN_ROOT), and magic links (/proc/self/fd/N) are refused.
 * Races with somebody who renames at the same time are retried up to a deadline, then fail with -EAGAIN.
 *
 * No function allocates: all may be called between clone and exec. They return a descriptor (O_CLOEXEC) or -errno.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include <sys/types.h>

#define INROOT_RETRY_MS     100
#define INROOT_SYMLINKS_MAX 40

/* `flags` of open(2), without O_CREAT. */
int inroot_open(int root_fd, const char *path, int flags);

/* The same, but what leads out of the tree is refused (-EXDEV) and not turned back at its root: absolute symlinks too. */
int inroot_open_beneath(int root_fd, const char *path, int flags);

/* The folder, made with its parents where missing (dangling symlinks are followed to where they point): O_PATH. Folders that
 * exist keep their mode. */
int inroot_mkdir_p(int root_fd, const char *path, mode_t mode);

/* The file of any type at `path`, made empty with its parents where missing, never truncated or opened: O_PATH. */
int inroot_create(int root_fd, const char *path, mode_t mode);

/* Where something is to be mounted: a folder or, if not `is_dir`, a file, existing or made: O_PATH. -ENOTDIR or -EISDIR if
 * what exists is of the other sort. */
int inroot_mount_target(int root_fd, const char *path, bool is_dir);

/* The same, but a symlink at the very end is itself what is mounted on. */
int inroot_mount_target_nofollow(int root_fd, const char *path, bool is_dir);

/* Parent of the last component, parents made where missing, and that component (borrows from `path`): for mknodat and
 * symlinkat, which never follow. -EINVAL if the path ends in "..", "." or "/". */
int inroot_parent(int root_fd, const char *path, mode_t mode, const char **ret_name);

/* What `path` leads to when every symlink is followed, as an absolute path without symlinks; what is missing is taken as it is
 * written. It was so a moment ago and is good for showing, never for opening. `size` bytes at `out`. */
int inroot_resolve(int root_fd, const char *path, char *out, size_t size);

/* One path component that is a real folder, not a symlink, directly below `dir_fd`: O_PATH. */
int inroot_plain_dir(int dir_fd, const char *name);
