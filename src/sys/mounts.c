#include "sys/mounts.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include <sys/mount.h>
#include <sys/syscall.h>

#include "base/cleanup.h"

static int set_option(int fs_fd, const struct mount_option *option)
{
	unsigned command = option->value ? FSCONFIG_SET_STRING : FSCONFIG_SET_FLAG;

	return fsconfig(fs_fd, command, option->key, option->value, 0) < 0 ? -errno : 0;
}

int mount_new(const char *type, const char *source, const struct mount_option *options, size_t count, uint64_t attrs,
	size_t *ret_bad)
{
	_autoclose_ int fs_fd = fsopen(type, FSOPEN_CLOEXEC);

	if (ret_bad)
		*ret_bad = count;
	if (fs_fd < 0)
		return -errno;
	if (source && fsconfig(fs_fd, FSCONFIG_SET_STRING, "source", source, 0) < 0)
		return -errno;
	for (size_t i = 0; i < count; i++) {
		int r = set_option(fs_fd, &options[i]);
		if (r < 0) {
			if (ret_bad)
				*ret_bad = i;
			return r;
		}
	}
	if (fsconfig(fs_fd, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return -errno;

	int fd = fsmount(fs_fd, FSMOUNT_CLOEXEC, (unsigned)attrs);
	return fd < 0 ? -errno : fd;
}

int mount_clone(int dir_fd, const char *path, bool recursive)
{
	unsigned flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC;

	if (recursive)
		flags |= AT_RECURSIVE;
	if (*path == '\0')
		flags |= AT_EMPTY_PATH;
	int fd = open_tree(dir_fd, path, flags);
	return fd < 0 ? -errno : fd;
}

int mount_change(int mount_fd, const struct mount_attrs *attrs)
{
	struct mount_attr change = {
		.attr_set = attrs->set, .attr_clr = attrs->clear, .propagation = attrs->propagation
	};
	unsigned flags = AT_EMPTY_PATH | (attrs->recursive ? AT_RECURSIVE : 0);

	/* The atime modes are one field: setting any of them, relatime (0) included, needs all its bits cleared. */
	if ((attrs->set | attrs->clear) & MOUNT_ATTR__ATIME)
		change.attr_clr |= MOUNT_ATTR__ATIME;
	if (!change.attr_set && !change.attr_clr && !change.propagation)
		return 0;
	return mount_setattr(mount_fd, "", flags, &change, sizeof(change)) < 0 ? -errno : 0;
}

int mount_attach(int mount_fd, int target_fd)
{
	unsigned flags = MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH;

	return move_mount(mount_fd, "", target_fd, "", flags) < 0 ? -errno : 0;
}

int mount_set_propagation_all(unsigned long propagation)
{
	return mount(NULL, "/", NULL, MS_REC | propagation, NULL) < 0 ? -errno : 0;
}

int mount_pivot(int root_fd)
{
	/* pivot_root(".", ".") stacks the old root on top of the new one, where it is detached: no folder for it is needed. */
	if (fchdir(root_fd) < 0 || syscall(SYS_pivot_root, ".", ".") < 0)
		return -errno;
	/* Should the old root be shared with the host, detaching it must not reach there. */
	if (mount(NULL, ".", NULL, MS_SLAVE | MS_REC, NULL) < 0 || umount2(".", MNT_DETACH) < 0)
		return -errno;
	return chdir("/") < 0 ? -errno : 0;
}

int mount_move_to_root(int root_fd)
{
	/* The container's root was attached on top of "/" already; entering it by descriptor hides what is below. */
	if (fchdir(root_fd) < 0 || chroot(".") < 0 || chdir("/") < 0)
		return -errno;
	return 0;
}
