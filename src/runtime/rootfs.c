#include "runtime/rootfs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <sys/file.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/strv.h"
#include "runtime/overlay.h"

#define LOCK_STEP_MS 20

static const char lock_name[] = "lock";
static const char work_name[] = "work";
static const char upper_name[] = "upper";

void rootfs_finish(struct rootfs *rootfs)
{
	fd_close(&rootfs->dir_fd);
	fd_close(&rootfs->lock_fd);
	fd_close(&rootfs->layers_fd);
	strv_free(rootfs->lowers);
	rootfs->lowers = NULL;
}

int rootfs_open_folder(struct rootfs *rootfs, const char *path, bool make, struct err **reterr)
{
	if (make && mkdir(path, 0700) < 0 && errno != EEXIST)
		return err_errno(reterr, -errno, "cannot make the container's folder %s", path);
	rootfs->dir_fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (rootfs->dir_fd < 0)
		return err_errno(reterr, -errno, "cannot open the container's folder %s", path);
	return 0;
}

/* ---- the lock */

static struct flock first_byte(short type)
{
	return (struct flock){ .l_type = type, .l_whence = SEEK_SET, .l_start = 0, .l_len = 1 };
}

/* Several may want it. */
static void ask_for_it(int fd, bool ask)
{
	struct flock byte = first_byte(ask ? F_RDLCK : F_UNLCK);

	(void)fcntl(fd, F_OFD_SETLK, &byte);
}

bool rootfs_is_wanted(int lock_fd)
{
	struct flock byte = first_byte(F_WRLCK);

	return fcntl(lock_fd, F_OFD_GETLK, &byte) == 0 && byte.l_type != F_UNLCK;
}

static int lock_wait(int fd)
{
	const struct timespec step = { .tv_nsec = LOCK_STEP_MS * NS_PER_MS };
	int64_t deadline_ms = clock_monotonic_ms() + ROOTFS_WAIT_MS;

	while (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		if (errno != EWOULDBLOCK)
			return -errno;
		if (clock_monotonic_ms() >= deadline_ms)
			return -EBUSY;
		nanosleep(&step, NULL);
	}
	return 0;
}

int rootfs_lock(struct rootfs *rootfs, bool urgent, struct err **reterr)
{
	_autoclose_ int fd = openat(rootfs->dir_fd, lock_name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	int r = fd < 0 ? -errno : 0;

	if (r == 0 && urgent)
		ask_for_it(fd, true);
	r = r ?: lock_wait(fd);
	if (r == -EBUSY)
		return err_set(reterr, ERR_CONFLICT, EBUSY, "the container's root is in use by another operation");
	if (r < 0)
		return err_errno(reterr, r, "cannot lock the container's folder");
	if (urgent)
		ask_for_it(fd, false);
	rootfs->lock_fd = TAKE_FD(fd);
	return 0;
}

/* ---- layers */

/* The lowest of all; not below as many layers as the kernel takes. */
static int add_base(struct rootfs *rootfs, bool all_inside)
{
	if (!all_inside || strv_count(rootfs->lowers) >= OVERLAY_LAYERS_MAX ||
		faccessat(rootfs->layers_fd, "../base", F_OK, AT_SYMLINK_NOFOLLOW) < 0)
		return 0;
	return strv_append(&rootfs->lowers, "../base");
}

int rootfs_open_layers(struct rootfs *rootfs, const char *data_root, char *const *lowers, struct err **reterr)
{
	_cleanup_free_ char *layers = NULL;
	bool all_inside = true;
	size_t len;

	if (asprintf(&layers, "%s/layers/", data_root) < 0) {
		layers = NULL;
		return err_oom(reterr);
	}
	len = strlen(layers);
	strv_foreach (lower, lowers)
		all_inside &= strncmp(*lower, layers, len) == 0 && (*lower)[len];
	rootfs->layers_fd = open(all_inside ? layers : "/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (rootfs->layers_fd < 0)
		return err_errno(reterr, -errno, "cannot open the layers' folder");
	strv_foreach (lower, lowers)
		if (strv_append(&rootfs->lowers, *lower + (all_inside ? len : 1)) < 0)
			return err_oom(reterr);
	return add_base(rootfs, all_inside) < 0 ? err_oom(reterr) : 0;
}

/* The root folder of the container looks like that of its topmost layer: overlay takes it from upper. */
static int copy_root_owner(const struct rootfs *rootfs)
{
	struct stat st;

	if (!rootfs->lowers || !rootfs->lowers[0])
		return 0;
	if (fstatat(rootfs->layers_fd, rootfs->lowers[0], &st, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	if (fchownat(rootfs->dir_fd, upper_name, st.st_uid, st.st_gid, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	return fchmodat(rootfs->dir_fd, upper_name, st.st_mode & 07777, 0) < 0 ? -errno : 0;
}

/* Upper comes last, so that one that exists is complete. */
int rootfs_make_upper(const struct rootfs *rootfs, struct err **reterr)
{
	int r = 0;

	if (mkdirat(rootfs->dir_fd, work_name, 0700) < 0 && errno != EEXIST)
		r = -errno;
	else if (mkdirat(rootfs->dir_fd, upper_name, 0755) == 0)
		r = copy_root_owner(rootfs);
	else if (errno != EEXIST)
		r = -errno;
	return r < 0 ? err_errno(reterr, r, "cannot prepare the container's root") : 0;
}
