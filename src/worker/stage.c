#include "worker/stage.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <unistd.h>

#include <sys/mount.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/strv.h"
#include "runtime/overlay.h"
#include "sys/inroot.h"
#include "sys/mounts.h"

static int make_top(struct stage *stage, struct err **reterr)
{
	static const struct mount_option options[] = { { "mode", "0700" }, { "size", "64k" }, { "nr_inodes", "8" } };
	int r;

	stage->top_fd = mount_new("tmpfs", "tmpfs", options, ARRAY_SIZE(options), MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV,
		NULL);
	r = stage->top_fd < 0 ? stage->top_fd : mount_attach(stage->top_fd, stage->rootfs.dir_fd);
	return r < 0 ? err_errno(reterr, r, "cannot mount a place for the container's root") : 0;
}

static int make_folder(struct stage *stage, const char *name)
{
	int fd;

	if (mkdirat(stage->top_fd, name, 0700) < 0)
		return -errno;
	fd = openat(stage->top_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* Takes `mount_fd`: it becomes what is seen below `name`. */
static int attach_at(struct stage *stage, int mount_fd, const char *name, struct err **reterr)
{
	_autoclose_ int folder = make_folder(stage, name);
	int r = folder < 0 ? folder : mount_attach(mount_fd, folder);

	return r < 0 ? err_errno(reterr, r, "cannot attach the container's root") : 0;
}

/* Everything below is of the new namespace: overlay takes no upper folder of another. */
static int leave_host(struct stage *stage, const struct handover_tree *tree, struct err **reterr)
{
	int r = unshare(CLONE_NEWNS) < 0 ? -errno : mount_set_propagation_all(MS_PRIVATE);

	if (r < 0)
		return err_errno(reterr, r, "cannot make a mount namespace");
	return rootfs_open_folder(&stage->rootfs, tree->folder, false, reterr);
}

/* ---- the root */

static int mount_root(struct stage *stage, const struct handover_tree *tree, struct err **reterr)
{
	struct rootfs *rootfs = &stage->rootfs;
	int r = rootfs_lock(rootfs, false, reterr);

	if (r == 0)
		r = rootfs_open_layers(rootfs, stage->task->data_root, tree->lowers, reterr);
	if (r == 0)
		r = rootfs_make_upper(rootfs, reterr);
	if (r < 0)
		return r;
	stage->held_fd = rootfs->lock_fd;
	const struct container_rootfs overlay = {
		.kind = CONTAINER_ROOTFS_OVERLAY,
		.layers_fd = rootfs->layers_fd,
		.lowers = (const char *const *)rootfs->lowers,
		.upper_fd = rootfs->dir_fd,
		.is_volatile = tree->is_volatile,
	};
	return overlay_mount(&overlay, &stage->root_fd, reterr);
}

static int open_root(struct stage *stage, const struct handover_tree *tree, struct err **reterr)
{
	const int *lent = stage->task->lent;

	if (lent[0] < 0)
		return mount_root(stage, tree, reterr);
	stage->held_fd = lent[1];
	stage->root_fd = fcntl(lent[0], F_DUPFD_CLOEXEC, 3);
	return stage->root_fd < 0 ? err_errno(reterr, -errno, "cannot take the container's root") : 0;
}

/* ---- what is mounted on it */

static bool runs(const struct stage *stage)
{
	return stage->task->lent[0] >= 0;
}

/* Where something is to appear; -ENOENT in a container that runs if there is no such place. */
static int open_place(const struct stage *stage, const char *destination, bool is_folder)
{
	struct stat st;
	int fd = runs(stage) ? inroot_open(stage->root_fd, destination, O_PATH)
			     : inroot_mount_target(stage->root_fd, destination, is_folder);

	if (fd >= 0 && (fstat(fd, &st) < 0 || S_ISDIR(st.st_mode) != is_folder)) {
		fd_close(&fd);
		return -ENOENT;
	}
	return fd;
}

/* Takes `fd`, a detached mount. What has no place, has none in the container either. */
static int attach(struct stage *stage, int fd, const char *destination, bool read_only)
{
	const struct mount_attrs attrs = {
		.set = read_only ? (uint64_t)MOUNT_ATTR_RDONLY : 0, .propagation = MS_PRIVATE, .recursive = true
	};
	_autoclose_ int mount_fd = fd, place = -1;
	struct stat st;
	int r = fstat(mount_fd, &st) < 0 ? -errno : mount_change(mount_fd, &attrs);

	if (r < 0)
		return r;
	place = open_place(stage, destination, S_ISDIR(st.st_mode));
	return place < 0 ? place : mount_attach(mount_fd, place);
}

static int clone_source(const struct handover_mount *mount)
{
	_autoclose_ int folder = -1, inner = -1;

	if (!mount->subpath)
		return mount_clone(AT_FDCWD, mount->source, mount->recursive);
	folder = open(mount->source, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (folder < 0)
		return -errno;
	inner = inroot_open_beneath(folder, mount->subpath, O_PATH);
	return inner < 0 ? inner : mount_clone(inner, "", mount->recursive);
}

static int attach_volumes(struct stage *stage, const struct handover_tree *tree, struct err **reterr)
{
	for (size_t i = 0; i < tree->mount_count; i++) {
		const struct handover_mount *mount = &tree->mounts[i];
		int fd = clone_source(mount);
		int r = fd < 0 ? fd : attach(stage, fd, mount->destination, mount->read_only);

		if (r < 0 && r != -ENOENT && r != -ENOTDIR)
			return err_errno(reterr, r, "cannot mount %s at %s", mount->source, mount->destination);
	}
	return 0;
}

static bool has_mount(const struct handover_tree *tree, const char *destination)
{
	for (size_t i = 0; i < tree->mount_count; i++)
		if (strcmp(tree->mounts[i].destination, destination) == 0)
			return true;
	return false;
}

/* Those of ours, once a start has written them; nobody writes them from here. */
static void attach_files(struct stage *stage, const struct handover_tree *tree)
{
	static const char *const files[][2] = { { "hostname", "/etc/hostname" }, { "hosts", "/etc/hosts" },
		{ "resolv.conf", "/etc/resolv.conf" } };

	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		_autoclose_ int file = openat(stage->rootfs.dir_fd, files[i][0], O_PATH | O_NOFOLLOW | O_CLOEXEC);
		int fd = file < 0 || has_mount(tree, files[i][1]) ? -1 : mount_clone(file, "", false);

		if (fd >= 0)
			(void)attach(stage, fd, files[i][1], true);
	}
}

static int attach_all(struct stage *stage, const struct handover_tree *tree, struct err **reterr)
{
	static const struct mount_attrs read_only = { .set = MOUNT_ATTR_RDONLY };
	int r = attach_volumes(stage, tree, reterr);

	if (r < 0)
		return r;
	attach_files(stage, tree);
	r = tree->read_only ? mount_change(stage->root_fd, &read_only) : 0;
	return r < 0 ? err_errno(reterr, r, "cannot protect the container's root") : 0;
}

static int patience(void *data)
{
	return stage_check(data, NULL);
}

int stage_open(struct stage *stage, struct task *task, const struct handover_tree *tree, bool with_mounts,
	struct err **reterr)
{
	int r = leave_host(stage, tree, reterr);

	stage->task = task;
	client_set_patience(task->client, patience, stage);
	if (r == 0)
		r = open_root(stage, tree, reterr);
	if (r == 0)
		r = make_top(stage, reterr);
	if (r == 0)
		r = attach_at(stage, stage->root_fd, "root", reterr);
	if (r < 0)
		return r;
	stage->empty_fd = make_folder(stage, "empty");
	if (stage->empty_fd < 0)
		return err_errno(reterr, stage->empty_fd, "cannot make a folder");
	return with_mounts ? attach_all(stage, tree, reterr) : 0;
}

/* ---- layers */

/* Overlay wants two folders at least. */
static int mount_lowers(struct stage *stage, struct err **reterr)
{
	const struct rootfs *rootfs = &stage->rootfs;
	const struct container_rootfs overlay = {
		.kind = CONTAINER_ROOTFS_OVERLAY,
		.layers_fd = rootfs->layers_fd,
		.lowers = (const char *const *)rootfs->lowers,
		.upper_fd = -1,
	};
	int fd = -1;

	if (strv_count(rootfs->lowers) > 1)
		return overlay_mount(&overlay, &fd, reterr) < 0 ? -EIO : fd;
	fd = mount_clone(rootfs->layers_fd, rootfs->lowers[0], false);
	return fd < 0 ? err_errno(reterr, fd, "cannot open the image's layer") : fd;
}

int stage_open_layers(struct stage *stage, struct task *task, const struct handover_tree *tree, struct err **reterr)
{
	_autoclose_ int lower_fd = -1, upper_fd = -1;
	int r = leave_host(stage, tree, reterr);

	stage->task = task;
	if (r == 0)
		r = rootfs_make_upper(&stage->rootfs, reterr);
	if (r == 0)
		r = rootfs_open_layers(&stage->rootfs, task->data_root, tree->lowers, reterr);
	if (r < 0)
		return r;
	lower_fd = mount_lowers(stage, reterr);
	if (lower_fd < 0)
		return lower_fd;
	upper_fd = mount_clone(stage->rootfs.dir_fd, "upper", false);
	if (upper_fd < 0)
		return err_errno(reterr, upper_fd, "cannot open the container's changes");
	r = make_top(stage, reterr);
	if (r == 0)
		r = attach_at(stage, upper_fd, "upper", reterr);
	return r < 0 ? r : attach_at(stage, lower_fd, "lower", reterr);
}

/* ---- the end */

/* The root goes before the lock does: whoever waits for that mounts it at once. */
void stage_finish(struct stage *stage)
{
	if (stage->task)
		client_set_patience(stage->task->client, NULL, NULL);
	if (stage->top_fd >= 0 && fchdir(stage->top_fd) == 0) {
		umount2("root", MNT_DETACH);
		if (chdir("/") < 0)
			_exit(EXIT_FAILURE);
	}
	fd_close(&stage->root_fd);
	fd_close(&stage->empty_fd);
	fd_close(&stage->top_fd);
	rootfs_finish(&stage->rootfs);
}

int stage_check(struct stage *stage, struct err **reterr)
{
	int64_t now = clock_monotonic_ms();

	if (client_is_gone(stage->task->client))
		return err_set(reterr, ERR_INTERNAL, ECANCELED, "the client went away");
	if (stage->held_fd < 0 || !rootfs_is_wanted(stage->held_fd)) {
		stage->wanted_since_ms = 0;
		return 0;
	}
	if (stage->wanted_since_ms == 0)
		stage->wanted_since_ms = now;
	if (now - stage->wanted_since_ms < ROOTFS_YIELD_MS)
		return 0;
	return err_set(reterr, ERR_CONFLICT, ECANCELED, "the container is being started");
}
