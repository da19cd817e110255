/*
 * From 6.7 on the layers are given one by one ("lowerdir+"), each up to 255 bytes: short relative names from a pinned folder,
 * since the option takes a path. Before, one string holds them all and mount(2) limits it to a page; a short-lived child does
 * that in a mount namespace of its own, over the first layer, and hands the tree over. Both change folder, and overlay
 * resolves a relative name against the working folder of who calls, so the caller's is put back.
 */
#include "runtime/overlay.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <linux/magic.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/wait.h>

#include "base/buf.h"
#include "runtime/report.h"
#include "sys/mounts.h"
#include "sys/namespaces.h"

#define PROC_FD_PATH_MAX 64

static int set_string(int fs, const char *key, const char *value)
{
	return fsconfig(fs, FSCONFIG_SET_STRING, key, value, 0) < 0 ? -errno : 0;
}

/*
 * Whatever this kernel's defaults are: an upper folder is all of what its container changed, so that what reads it without
 * the layers below (diff, commit) sees no folder that is only a reference, and no file that is only attributes.
 */
static const char *const plain_upper[][2] = { { "redirect_dir", "off" }, { "metacopy", "off" } };

/* The upper folder is not below the layers': named through our own descriptor table. */
static int set_upper(int fs, const struct container_rootfs *rootfs)
{
	char upper[PROC_FD_PATH_MAX], work[PROC_FD_PATH_MAX];

	if (rootfs->upper_fd < 0)
		return 0;
	snprintf(upper, sizeof(upper), "/proc/self/fd/%d/upper", rootfs->upper_fd);
	snprintf(work, sizeof(work), "/proc/self/fd/%d/work", rootfs->upper_fd);
	int r = set_string(fs, "upperdir", upper);
	if (r == 0)
		r = set_string(fs, "workdir", work);
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(plain_upper); i++)
		r = set_string(fs, plain_upper[i][0], plain_upper[i][1]);
	if (r == 0 && rootfs->is_volatile && fsconfig(fs, FSCONFIG_SET_FLAG, "volatile", NULL, 0) < 0)
		r = -errno;
	return r;
}

/* 1: this kernel takes no list. Before 6.5 any option, known or not, is taken until the mount is made. */
static int mount_by_list(const struct container_rootfs *rootfs, int *ret_fd)
{
	_autoclose_ int fs = fsopen("overlay", FSOPEN_CLOEXEC);
	int r = 0;

	if (fs < 0)
		return -errno;
	if (fsconfig(fs, FSCONFIG_SET_FLAG, "no-such-option", NULL, 0) == 0)
		return 1;
	set_string(fs, "source", "overlay");
	for (const char *const *lower = rootfs->lowers; *lower && r == 0; lower++)
		r = set_string(fs, "lowerdir+", *lower);
	if (r == -EINVAL)
		return 1;
	if (r == 0)
		r = set_upper(fs, rootfs);
	if (r < 0)
		return r;
	if (fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return -errno;
	int fd = fsmount(fs, FSMOUNT_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	*ret_fd = fd;
	return 0;
}

static int classic_options(const struct container_rootfs *rootfs, struct buf *options)
{
	int r = buf_puts(options, "lowerdir=");

	for (const char *const *lower = rootfs->lowers; *lower && r == 0; lower++)
		r = buf_printf(options, "%s%s", lower == rootfs->lowers ? "" : ":", *lower);
	if (r == 0 && rootfs->upper_fd >= 0)
		r = buf_printf(options, ",upperdir=/proc/self/fd/%d/upper,workdir=/proc/self/fd/%d/work%s",
			rootfs->upper_fd, rootfs->upper_fd, rootfs->is_volatile ? ",volatile" : "");
	for (size_t i = 0; r == 0 && rootfs->upper_fd >= 0 && i < ARRAY_SIZE(plain_upper); i++)
		r = buf_printf(options, ",%s=%s", plain_upper[i][0], plain_upper[i][1]);
	return r;
}

/*
 * Overlay takes an upper folder of its caller's mount namespace alone. The working folder moved into the new one with the
 * child, the descriptor did not: the same folder is opened there, and takes the descriptor's number.
 */
static int reopen_upper(int upper_fd)
{
	char link[PROC_FD_PATH_MAX], path[PATH_MAX];
	struct stat before, after;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", upper_fd);
	ssize_t len = readlink(link, path, sizeof(path) - 1);
	if (len < 0)
		return -errno;
	path[len] = '\0';
	_autoclose_ int fd = open(path, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fstat(upper_fd, &before) < 0 || fstat(fd, &after) < 0)
		return -errno;
	if (before.st_dev != after.st_dev || before.st_ino != after.st_ino)
		return -ESTALE;
	return dup3(fd, upper_fd, O_CLOEXEC) < 0 ? -errno : 0;
}

/* The mount hides the first layer, which has been looked up by then, and gives the tree a name to be found by. */
static int classic_mount(const struct container_rootfs *rootfs, const char *options)
{
	int r = mount_set_propagation_all(MS_PRIVATE);

	if (r == 0 && rootfs->upper_fd >= 0)
		r = reopen_upper(rootfs->upper_fd);
	if (r == 0 && mount("overlay", rootfs->lowers[0], "overlay", 0, options) < 0)
		r = -errno;
	return r < 0 ? r : mount_clone(AT_FDCWD, rootfs->lowers[0], false);
}

_Noreturn static void classic_child(const struct container_rootfs *rootfs, const char *options, int sync)
{
	struct report report = { .type = REPORT_READY };
	int tree = classic_mount(rootfs, options);

	if (tree < 0)
		report.errnum = -tree;
	report_send(sync, &report, tree);
	_exit(0);
}

static int mount_by_string(const struct container_rootfs *rootfs, int *ret_fd)
{
	_cleanup_(buf_finish) struct buf options = BUF_INIT(4095);
	struct report report = { 0 };
	int pair[2], pidfd = -1, tree = -1;
	int r = classic_options(rootfs, &options);

	if (r < 0)
		return r;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	pid_t pid = process_clone(CLONE_NEWNS, -1, &pidfd);
	if (pid == 0)
		classic_child(rootfs, options.data, pair[1]);
	fd_close(&pair[1]);
	r = pid < 0 ? pid : report_receive(pair[0], &report, &tree);
	fd_close(&pair[0]);
	if (pid > 0)
		waitpid(pid, NULL, 0);
	fd_close(&pidfd);
	if (r == 1 && tree >= 0) {
		*ret_fd = tree;
		return 0;
	}
	fd_close(&tree);
	return r == 1 && report.errnum ? -report.errnum : -EIO;
}

/* A volatile mount leaves a mark in its working folder, so that nobody takes what a crash may have left for whole: any other mount of it
 * is refused. Whose root is thrown away at its end has nothing to lose, and may be mounted more than once: for an archive
 * before its start, and when it is restarted. */
static void clear_volatile_mark(const struct container_rootfs *rootfs)
{
	if (!rootfs->is_volatile || rootfs->upper_fd < 0)
		return;
	if (unlinkat(rootfs->upper_fd, "work/work/incompat/volatile/dirty", 0) == 0)
		(void)unlinkat(rootfs->upper_fd, "work/work/incompat/volatile", AT_REMOVEDIR);
}

static int mount_from_layers(const struct container_rootfs *rootfs, int *ret_fd)
{
	if (fchdir(rootfs->layers_fd) < 0)
		return -errno;
	clear_volatile_mark(rootfs);
	int r = mount_by_list(rootfs, ret_fd);
	return r == 1 ? mount_by_string(rootfs, ret_fd) : r;
}

static bool is_on_overlay(int fd)
{
	struct statfs status;

	return fd >= 0 && fstatfs(fd, &status) == 0 && status.f_type == OVERLAYFS_SUPER_MAGIC;
}

int overlay_mount(const struct container_rootfs *rootfs, int *ret_fd, struct err **reterr)
{
	_autoclose_ int cwd = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	size_t count = 0;

	while (rootfs->lowers && rootfs->lowers[count])
		count++;
	if (count == 0 || count > OVERLAY_LAYERS_MAX)
		return err_set(reterr, ERR_INVALID, 0, "a root filesystem has 1 to %d layers, not %zu",
			OVERLAY_LAYERS_MAX, count);
	if (cwd < 0)
		return err_errno(reterr, -errno, "cannot open the working folder");
	int r = mount_from_layers(rootfs, ret_fd);
	if (fchdir(cwd) < 0 && r == 0)
		r = -errno;
	if (r == -EINVAL && is_on_overlay(rootfs->upper_fd))
		return err_set(reterr, ERR_UNSUPPORTED, 0,
			"the data folder is itself on an overlay (tare in a container?), which can't hold what a container changes: "
			"give it a volume (-v NAME:/var/lib/tare), or --data-root a folder on a disk");
	return r < 0 ? err_errno(reterr, r, "cannot mount the root filesystem from %zu layers", count) : 0;
}
