/*
 * The container's root: its layers, and the folders "upper" and "work" in its own folder. A lock there is held as long as
 * the root is mounted, because the kernel would allow a second overlay on the same upper and corrupt it.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <sys/file.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/strv.h"
#include "monitor/monitor.h"
#include "monitor/prepare.h"

#define ROOT_LOCK_WAIT_MS 10000
#define ROOT_LOCK_STEP_MS 20

static const char lock_file[] = "lock";
static const char work_name[] = "work";
static const char upper_name[] = "upper";

/* A copy or an export may hold the lock for a moment. */
static int lock_wait(int fd)
{
	const struct timespec step = { .tv_nsec = ROOT_LOCK_STEP_MS * NS_PER_MS };
	int64_t deadline_ms = clock_monotonic_ms() + ROOT_LOCK_WAIT_MS;

	while (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		if (errno != EWOULDBLOCK)
			return -errno;
		if (clock_monotonic_ms() >= deadline_ms)
			return -EBUSY;
		nanosleep(&step, NULL);
	}
	return 0;
}

static int lock_root(struct prepared *prepared, const char *folder, struct err **reterr)
{
	prepared->root_lock_fd = openat(prepared->container_dir_fd, lock_file,
		O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	int ret = prepared->root_lock_fd < 0 ? -errno : lock_wait(prepared->root_lock_fd);
	if (ret == -EBUSY)
		return err_set(reterr, ERR_CONFLICT, EBUSY, "the container's root is in use by another operation");
	return ret < 0 ? err_errno(reterr, ret, "cannot lock the container's folder %s", folder) : 0;
}

/* The root folder of the container looks like that of its topmost layer: overlay takes it from upper. */
static int copy_root_owner(struct prepared *prepared)
{
	struct stat st;
	if (!prepared->lowers || !prepared->lowers[0])
		return 0;
	if (fstatat(prepared->layers_fd, prepared->lowers[0], &st, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	if (fchownat(prepared->container_dir_fd, upper_name, st.st_uid, st.st_gid, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	return fchmodat(prepared->container_dir_fd, upper_name, st.st_mode & 07777, 0) < 0 ? -errno : 0;
}

/* Upper comes last, so that one that exists is complete. */
static int make_upper(struct prepared *prepared)
{
	if (mkdirat(prepared->container_dir_fd, work_name, 0700) < 0 && errno != EEXIST)
		return -errno;
	if (mkdirat(prepared->container_dir_fd, upper_name, 0755) == 0)
		return copy_root_owner(prepared);
	return errno == EEXIST ? 0 : -errno;
}

/* Short paths matter: the kernel takes all layers in one page on older versions. */
static int relative_lowers(const struct monitor *monitor, struct prepared *prepared)
{
	_cleanup_free_ char *layers = NULL;
	if (asprintf(&layers, "%s/layers/", monitor->options.data_root) < 0) {
		layers = NULL;
		return -ENOMEM;
	}
	size_t len = strlen(layers);
	bool all_inside = true;
	strv_foreach (lower, monitor->launch.rootfs.lowers)
		all_inside &= strncmp(*lower, layers, len) == 0 && (*lower)[len];

	prepared->layers_fd = open(all_inside ? layers : "/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (prepared->layers_fd < 0)
		return -errno;
	strv_foreach (lower, monitor->launch.rootfs.lowers) {
		int ret = strv_append(&prepared->lowers, *lower + (all_inside ? len : 1));
		if (ret < 0)
			return ret;
	}
	return 0;
}

int prepare_root(struct monitor *monitor, struct prepared *prepared, struct err **reterr)
{
	const struct launch_rootfs *rootfs = &monitor->launch.rootfs;
	struct container_rootfs *out = &prepared->options.rootfs;

	if (mkdir(rootfs->container_dir, 0700) < 0 && errno != EEXIST)
		return err_errno(reterr, -errno, "cannot make the container's folder %s", rootfs->container_dir);
	prepared->container_dir_fd = open(rootfs->container_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (prepared->container_dir_fd < 0)
		return err_errno(reterr, -errno, "cannot open the container's folder %s", rootfs->container_dir);
	int ret = lock_root(prepared, rootfs->container_dir, reterr);
	if (ret < 0)
		return ret;
	if (rootfs->path) {
		*out = (struct container_rootfs){
			.kind = CONTAINER_ROOTFS_PATH, .path = rootfs->path, .layers_fd = -1, .upper_fd = -1
		};
		return 0;
	}
	ret = relative_lowers(monitor, prepared) ?: make_upper(prepared);
	if (ret < 0)
		return err_errno(reterr, ret, "cannot prepare the container's root in %s", rootfs->container_dir);
	*out = (struct container_rootfs){
		.kind = CONTAINER_ROOTFS_OVERLAY,
		.layers_fd = prepared->layers_fd,
		.lowers = (const char *const *)prepared->lowers,
		.upper_fd = prepared->container_dir_fd,
		.is_volatile = rootfs->is_volatile,
	};
	return 0;
}
