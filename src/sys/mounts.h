/*
 * Mounts as descriptors. A mount is made detached (seen by nobody), given its attributes, and only then attached onto a
 * target that is a descriptor too: there is no writable moment and no path to swap. After mount_attach the same descriptor
 * is the attached mount. Nothing allocates. All return a descriptor, 0, or -errno.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct mount_option {
	const char *key;
	const char *value; /* NULL: a flag */
};

struct mount_attrs {
	uint64_t set; /* MOUNT_ATTR_* */
	uint64_t clear;
	uint64_t propagation; /* MS_PRIVATE, MS_SLAVE, MS_SHARED, MS_UNBINDABLE or 0 */
	bool recursive;
};

/* A new filesystem instance. On failure *ret_bad, unless NULL, is the index of the option refused, or `count`. */
int mount_new(const char *type, const char *source, const struct mount_option *options, size_t count, uint64_t attrs,
	size_t *ret_bad);

/* A detached copy of what `dir_fd`/`path` shows ("" = dir_fd itself). */
int mount_clone(int dir_fd, const char *path, bool recursive);

int mount_change(int mount_fd, const struct mount_attrs *attrs);
/* Detached and never attached before: who owns what in it as the user namespace's maps say. -EINVAL: not on this filesystem. */
int mount_idmap(int mount_fd, int userns_fd, bool recursive);
int mount_attach(int mount_fd, int target_fd);

/* The whole tree below "/" of this mount namespace: MS_PRIVATE, MS_SLAVE, ... */
int mount_set_propagation_all(unsigned long propagation);

/* Makes the attached mount `root_fd` this process's root and lets go of the old one for good. */
int mount_pivot(int root_fd);
/* All of it for a mount that is still detached: it is attached over what the root is, in a mount namespace that nobody shares. */
int mount_become_root(int mount_fd);
/* Only that: where the mount namespace is not ours to change, and the tree may be detached. */
int mount_enter(int root_fd);
/* The same where pivot_root can't work (the host's root is the initial ramfs): chroot. What this namespace still has of procfs and
 * sysfs outside is detached before or covered: else it would be the kernel's reason to let a user namespace mount them bare. */
int mount_move_to_root(int root_fd);
