#include "sys/mounts.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
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

int mount_idmap(int mount_fd, int userns_fd, bool recursive)
{
	struct mount_attr change = { .attr_set = MOUNT_ATTR_IDMAP, .userns_fd = (uint64_t)userns_fd };
	unsigned flags = AT_EMPTY_PATH | (recursive ? AT_RECURSIVE : 0);

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
	/* pivot_root(".", ".") stacks the old root on top of the new one, where it is detached: no folder for it is needed.
	 * It is private by now: detaching it does not reach the host. */
	if (fchdir(root_fd) < 0 || syscall(SYS_pivot_root, ".", ".") < 0)
		return -errno;
	if (umount2(".", MNT_DETACH) < 0)
		return -errno;
	return chdir("/") < 0 ? -errno : 0;
}

int mount_become_root(int mount_fd)
{
	_autoclose_ int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	int r = root < 0 ? -errno : mount_set_propagation_all(MS_PRIVATE);
	if (r == 0)
		r = mount_attach(mount_fd, root);
	return r < 0 ? r : mount_pivot(mount_fd);
}

int mount_enter(int root_fd)
{
	return fchdir(root_fd) < 0 || chroot(".") < 0 || chdir("/") < 0 ? -errno : 0;
}

/* "\\040" is a space. */
static void unescape(char *text)
{
	char *to = text;

	for (const char *from = text; *from; to++)
		if (from[0] == '\\' && from[1] && from[2] && from[3]) {
			*to = (char)((from[1] - '0') * 64 + (from[2] - '0') * 8 + from[3] - '0');
			from += 4;
		} else {
			*to = *from++;
		}
	*to = '\0';
}

/* A line of mountinfo: the place is its fifth field; the type follows a lone dash. NULL: of no interest. */
static char *kernel_view_place(char *line)
{
	char *type = strstr(line, " - ");

	if (!type || (strncmp(type + 3, "proc ", 5) != 0 && strncmp(type + 3, "sysfs ", 6) != 0))
		return NULL;
	for (int i = 0; i < 4 && line; i++)
		line = strchr(line + 1, ' ');
	if (!line || line > type)
		return NULL;
	line[1 + strcspn(line + 1, " ")] = '\0';
	unescape(line + 1);
	return line + 1;
}

/* What can't be detached (locked, in a user namespace) is covered. The container's own have names that mean nothing here, as
 * they are told from its root; and if they do, it is only the host's tree that changes, which nobody sees any more. */
static void hide_kernel_view(const char *place)
{
	while (umount2(place, MNT_DETACH | UMOUNT_NOFOLLOW) == 0)
		;
	(void)mount("tmpfs", place, "tmpfs", MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, "nr_inodes=2");
}

static int hide_kernel_views(void)
{
	char text[2 * PATH_MAX];
	size_t kept = 0;
	int fd = open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	for (ssize_t len; (len = read(fd, text + kept, sizeof(text) - 1 - kept)) > 0;) {
		char *line = text, *end;
		text[kept + (size_t)len] = '\0';
		for (; (end = strchr(line, '\n')); line = end + 1) {
			*end = '\0';
			const char *place = kernel_view_place(line);
			if (place)
				hide_kernel_view(place);
		}
		kept = strlen(line);
		memmove(text, line, kept + 1);
		if (kept == sizeof(text) - 1)
			kept = 0; /* longer than any of theirs */
	}
	close(fd);
	return 0;
}

int mount_move_to_root(int root_fd)
{
	int r = hide_kernel_views();

	/* The container's root was attached already; entering it by descriptor hides what is outside. */
	if (r < 0)
		return r;
	return mount_enter(root_fd);
}
