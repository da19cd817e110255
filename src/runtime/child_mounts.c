/*
 * The container's tree, built below a root that its author may have filled with traps. Each target is opened in-root once and
 * used as a descriptor; /proc, /sys and /dev must be real folders. What was mounted on /proc and /sys is remembered by
 * descriptor, and masked and read-only paths are found from there, so a tree that is moved away meanwhile hides nothing; at the
 * end it is checked that the remembered mounts are what the container will see.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <linux/magic.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>

#include "runtime/child.h"
#include "sys/inroot.h"
#include "sys/treecopy.h"

#define MODE_TEXT_SIZE sizeof("1777") /* of what the plan has there */

void child_attach(struct child *child, int mount, int target, enum report_stage stage, const char *what)
{
	int r = mount_attach(mount, target);

	if (r == -EINVAL && child->plan->is_detached)
		child_fail(child, stage, r, "%s (without a mount namespace of its own, a container needs Linux 6.15)",
			what);
	if (r < 0)
		child_fail(child, stage, r, "%s", what);
}

/* A tree can be mounted on only by who is in the namespace that it was taken from. */
static void take_joined_root(struct child *child)
{
	static const struct mount_attrs closed = { .propagation = MS_PRIVATE, .recursive = true };
	const char *path = child->plan->root_path;

	fd_close(&child->root_fd);
	child->root_fd = path ? mount_clone(AT_FDCWD, path, true) : -ENOENT;
	int r = child->root_fd < 0 ? child->root_fd : mount_change(child->root_fd, &closed);
	if (r < 0)
		child_fail(child, STAGE_ROOTFS, r, "(%s, in the joined mount namespace)", path ? path : "");
}

/* The new root lies on top of "/": any place in this private copy of the host's tree does, where no hook is to find it. One that
 * can't be reached (another's folder, seen from a user namespace) can't be by hooks either. */
static void attach_root(struct child *child)
{
	if (child->plan->joins_mounts)
		take_joined_root(child);
	if (child->plan->is_detached)
		return;
	int r = mount_set_propagation_all(MS_PRIVATE);

	if (r < 0)
		child_fail(child, STAGE_PRIVATE_MOUNTS, r, "%s", "");
	const char *path = child->plan->root_path;
	int host_root = path ? open(path, O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;
	if (host_root < 0)
		host_root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (host_root < 0)
		child_fail(child, STAGE_ROOTFS, errno, "%s", "");
	child_attach(child, child->root_fd, host_root, STAGE_ROOTFS, "");
	fd_close(&host_root);
}

/* A folder directly below the root that must not be a link: privileged files are found through it. */
static int plain_root_dir(struct child *child, const char *name, enum report_stage stage)
{
	int fd = inroot_plain_dir(child->root_fd, name);

	if (fd == -ENOENT && mkdirat(child->root_fd, name, 0755) == 0)
		fd = inroot_plain_dir(child->root_fd, name);
	if (fd == -ELOOP || fd == -ENOTDIR)
		child_fail(child, stage, ENOTDIR, "\"/%s\": must be mounted on ordinary directory", name);
	if (fd < 0)
		child_fail(child, stage, fd, "\"/%s\"", name);
	return fd;
}

/* A link in the tree may lead into the kernel's filesystems where the path as written did not. */
static void check_target(const struct child *child, const struct plan_mount *mount, int target)
{
	struct statfs fs;
	const char *to = mount->destination;

	if (fstatfs(target, &fs) < 0)
		child_fail(child, STAGE_MOUNT, errno, "to \"%s\"", to);
	if (fs.f_type == PROC_SUPER_MAGIC && strncmp(to, "/proc/", 6) != 0)
		child_fail(child, STAGE_MOUNT_FORBIDDEN, EPERM, "\"%s\": it leads into /proc", to);
	if (plan_is_of_sys(target) && strncmp(to, "/sys/", 5) != 0)
		child_fail(child, STAGE_MOUNT_FORBIDDEN, EPERM, "\"%s\": it leads into /sys", to);
}

/* The mode of what is there already, for a tmpfs that has none of its own. */
static int open_covered(const struct child *child, const struct plan_mount *mount)
{
	struct stat st;
	int fd = inroot_open(child->root_fd, mount->destination, O_PATH | O_DIRECTORY);

	if (fd >= 0 && fstat(fd, &st) == 0)
		snprintf(mount->mode_text, MODE_TEXT_SIZE, "%o", st.st_mode & 07777);
	return fd;
}

static int open_target(struct child *child, const struct plan_mount *mount, bool is_dir)
{
	const char *to = mount->destination;

	if (strcmp(to, "/proc") == 0 || strcmp(to, "/sys") == 0 || strcmp(to, "/dev") == 0)
		return plain_root_dir(child, to + 1, STAGE_MOUNT);
	int fd = mount->mode_text && !mount->target_nofollow ? open_covered(child, mount) : -ENOENT;
	if (fd == -ENOENT)
		fd = mount->target_nofollow ? inroot_mount_target_nofollow(child->root_fd, to, is_dir)
					    : inroot_mount_target(child->root_fd, to, is_dir);
	/* A file upon a folder: the kernel's answer to that is the same as to a folder upon a file. */
	if (fd == -EISDIR)
		fd = -ENOTDIR;
	if (fd < 0)
		child_fail(child, STAGE_MOUNT, fd, "\"%s\" to rootfs at \"%s\"", mount->source ? mount->source : "",
			to);
	check_target(child, mount, fd);
	return fd;
}

/* sysfs needs a network namespace owned by our user namespace: else the host's is bound. */
static int new_instance(struct child *child, const struct plan_mount *mount, bool defer_readonly)
{
	size_t bad;
	uint64_t attrs = mount->attrs.set;

	if (defer_readonly)
		attrs &= ~(uint64_t)MOUNT_ATTR_RDONLY;
	int fd = mount_new(mount->type, mount->source, mount->options, mount->option_count, attrs, &bad);
	if (fd == -EPERM && strcmp(mount->type, "sysfs") == 0) {
		const struct mount_attrs change = { .set = attrs, .recursive = true };
		fd = mount_clone(AT_FDCWD, "/sys", true);
		int r = fd < 0 ? fd : mount_change(fd, &change);
		if (r < 0)
			child_fail(child, STAGE_MOUNT, r, "\"sysfs\" to rootfs at \"%s\"", mount->destination);
	}
	if (fd < 0 && bad < mount->option_count)
		child_fail(child, STAGE_MOUNT, fd, "\"%s\" to rootfs at \"%s\": option %s", mount->type,
			mount->destination, mount->options[bad].key);
	if (fd < 0)
		child_fail(child, STAGE_MOUNT, fd, "\"%s\" to rootfs at \"%s\"", mount->type, mount->destination);
	const struct mount_attrs propagation = { .propagation = mount->attrs.propagation };
	int r = mount_change(fd, &propagation);
	if (r < 0)
		child_fail(child, STAGE_MOUNT, r, "\"%s\" to rootfs at \"%s\": propagation", mount->type,
			mount->destination);
	return fd;
}

/* Read-only only afterwards. */
static void copy_up(struct child *child, const struct plan_mount *mount, int fd, int target)
{
	static const struct mount_attrs readonly = { .set = MOUNT_ATTR_RDONLY };
	const int flags = O_RDONLY | O_DIRECTORY;
	int from = inroot_open(target, ".", flags), to = inroot_open(fd, ".", flags);
	int r = from < 0 ? from : to < 0 ? to : treecopy(from, to);

	if (r == 0 && mount->attrs.set & MOUNT_ATTR_RDONLY)
		r = mount_change(fd, &readonly);
	if (r < 0)
		child_fail(child, STAGE_MOUNT, r, "\"tmpfs\" to rootfs at \"%s\": tmpcopyup", mount->destination);
	fd_close(&from);
	fd_close(&to);
}

/*
 * The creator made it, before all that is made here, and since 6.8 the kernel lists mounts by age. So a plain bind is made once more
 * from its source, which must be the very file that the creator saw; else, and in a user namespace, the creator's serves. That one is
 * not let go of here, which would wait for RCU.
 */
static int in_order(const struct child *child, const struct plan_mount *mount)
{
	struct stat st, seen;

	if (!child->plan->in_order || !mount->is_plain_bind || child->plan->becomes_root)
		return mount->tree_fd;
	int fd = mount_clone(AT_FDCWD, mount->source, mount->is_recursive);
	if (fd >= 0 && fstat(fd, &st) == 0 && fstat(mount->tree_fd, &seen) == 0 && st.st_ino == seen.st_ino &&
		st.st_dev == seen.st_dev && plan_mount_change(fd, &mount->recursive_attrs, &mount->attrs) == 0)
		return fd;
	fd_close(&fd);
	return mount->tree_fd;
}

static void remember(struct child *child, const struct plan_mount *mount, int fd)
{
	int *slot = strcmp(mount->destination, "/proc") == 0  ? &child->proc_mount
		    : strcmp(mount->destination, "/sys") == 0 ? &child->sys_mount
		    : strcmp(mount->destination, "/dev") == 0 ? &child->dev_mount
							      : NULL;

	if (!slot) {
		fd_close(&fd);
		return;
	}
	fd_close(slot);
	*slot = fd;
}

/* In a user namespace nobody has the right to say who owns what: the creator does it. */
static void ask_for_owners(const struct child *child, const struct plan_mount *mount, int tree)
{
	const struct report report = { .type = REPORT_OWNERS, .errnum = (int32_t)(mount - child->plan->mounts) };
	struct report answer;

	if (report_send(child->sync, &report, tree) < 0 || report_receive(child->sync, &answer, NULL) != 1 ||
		answer.type != REPORT_GO)
		_exit(125);
}

/* From what has been built of the container's tree so far. */
static int inner_tree(const struct child *child, const struct plan_mount *mount, bool *ret_is_dir)
{
	struct stat st;
	int from = inroot_open(child->root_fd, mount->inner_source, O_PATH);
	int fd = from < 0 ? from : mount_clone(from, "", mount->is_recursive);
	int r = fd < 0 ? fd : plan_mount_change(fd, &mount->recursive_attrs, &mount->attrs);

	if (r == 0 && fstat(fd, &st) < 0)
		r = -errno;
	if (r < 0)
		child_fail(child, STAGE_MOUNT, r, "\"%s\" to rootfs at \"%s\"", mount->source, mount->destination);
	fd_close(&from);
	*ret_is_dir = S_ISDIR(st.st_mode);
	if (mount->is_idmapped)
		ask_for_owners(child, mount, fd);
	return fd;
}

/* One that is there already and leads to the same place will do. */
static void make_link(struct child *child, const struct plan_mount *mount)
{
	const char *name = "";
	char seen[PATH_MAX];
	int parent = inroot_parent(child->root_fd, mount->destination, 0755, &name);
	int r = parent < 0 ? parent : symlinkat(mount->source, parent, name) < 0 ? -errno : 0;

	if (r == -EEXIST) {
		ssize_t len = readlinkat(parent, name, seen, sizeof(seen));
		if (len == (ssize_t)strlen(mount->source) && memcmp(seen, mount->source, (size_t)len) == 0)
			r = 0;
	}
	if (r < 0)
		child_fail(child, STAGE_MOUNT, r, "\"%s\" to rootfs at \"%s\"", mount->source, mount->destination);
	fd_close(&parent);
}

static void attach_mount(struct child *child, const struct plan_mount *mount)
{
	bool is_dir = mount->is_dir;
	int fd = mount->inner_source ? inner_tree(child, mount, &is_dir) : -1;
	int target = open_target(child, mount, is_dir);

	switch (mount->kind) {
	case PLAN_MOUNT_CGROUP:
		child_cgroup_mount(child, mount, target);
		fd_close(&target);
		return;
	case PLAN_MOUNT_TREE: fd = mount->inner_source ? fd : in_order(child, mount); break;
	case PLAN_MOUNT_NEW:
		fd = new_instance(child, mount, mount->copies_up || strcmp(mount->destination, "/dev") == 0);
		break;
	case PLAN_MOUNT_LINK:
	case PLAN_MOUNT_DONE: return;
	}
	if (mount->copies_up)
		copy_up(child, mount, fd, target);
	child_attach(child, fd, target, STAGE_MOUNT, mount->destination);
	fd_close(&target);
	remember(child, mount, fd);
}

static void make_mount(struct child *child, const struct plan_mount *mount)
{
	if (mount->kind == PLAN_MOUNT_LINK)
		make_link(child, mount);
	else if (mount->kind != PLAN_MOUNT_DONE)
		attach_mount(child, mount);
}

/* ---- masked and read-only paths ---- */

/* -1: it does not exist, which is as good as masked. */
static int open_path(struct child *child, const char *path, enum report_stage stage)
{
	int base = child->root_fd;
	const char *rest = path;

	if (child->proc_mount >= 0 && strncmp(path, "/proc/", 6) == 0) {
		base = child->proc_mount;
		rest = path + 6;
	} else if (child->sys_mount >= 0 && strncmp(path, "/sys/", 5) == 0) {
		base = child->sys_mount;
		rest = path + 5;
	}
	int fd = inroot_open(base, rest, O_PATH);
	if (fd < 0 && fd != -ENOENT && fd != -ENOTDIR)
		child_fail(child, stage, fd, "%s", path);
	return fd < 0 ? -1 : fd;
}

/* The host's own, found before the container's root covers anything; a tree could hold something else by that name. */
static int open_null(const struct child *child)
{
	struct stat st;
	int fd = open("/dev/null", O_PATH | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0 || fstat(fd, &st) < 0)
		child_fail(child, STAGE_MASK, errno, "(/dev/null)");
	if (!S_ISCHR(st.st_mode) || st.st_rdev != makedev(1, 3))
		child_fail(child, STAGE_MASK, EINVAL, "(the host's /dev/null is not the null device)");
	return fd;
}

/* One empty read-only folder serves for all: made for the first, cloned for the others. */
static int empty_folder(struct child *child, int *first)
{
	static const struct mount_option options[] = { { "mode", "0755" }, { "nr_blocks", "1" }, { "nr_inodes", "1" } };
	const uint64_t attrs = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;
	int fd = *first >= 0 ? mount_clone(*first, "", false) : mount_new("tmpfs", "tmpfs", options, 3, attrs, NULL);

	if (fd < 0)
		child_fail(child, STAGE_MASK, fd, "(an empty folder)");
	return fd;
}

/* Read-only, though it is a device: root in the container could change the host's node else (its mode, say). */
static int null_file(struct child *child, int null_fd)
{
	static const struct mount_attrs attrs = { .set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC };
	int fd = mount_clone(null_fd, "", false);
	int r = fd < 0 ? fd : mount_change(fd, &attrs);

	if (r < 0)
		child_fail(child, STAGE_MASK, r, "(the null device)");
	return fd;
}

static bool is_repeated(char *const *paths, char *const *at)
{
	for (; paths < at; paths++)
		if (strcmp(*paths, *at) == 0)
			return true;
	return false;
}

static void mask_paths(struct child *child, int null_fd)
{
	int empty = -1;

	char *const *paths = child->plan->masked_paths;

	for (char *const *path = paths; path && *path; path++) {
		struct stat st;
		int target = is_repeated(paths, path) ? -1 : open_path(child, *path, STAGE_MASK);
		if (target < 0)
			continue;
		if (fstat(target, &st) < 0)
			child_fail(child, STAGE_MASK, errno, "%s", *path);
		bool is_dir = S_ISDIR(st.st_mode);
		int cover = is_dir ? empty_folder(child, &empty) : null_file(child, null_fd);
		child_attach(child, cover, target, STAGE_MASK, *path);
		fd_close(&target);
		if (is_dir && empty < 0)
			empty = cover;
		else
			fd_close(&cover);
	}
	fd_close(&empty);
}

static void protect_paths(struct child *child)
{
	static const struct mount_attrs readonly = { .set = MOUNT_ATTR_RDONLY, .recursive = true };

	for (char *const *path = child->plan->readonly_paths; path && *path; path++) {
		int target = open_path(child, *path, STAGE_READONLY_PATH);
		if (target < 0)
			continue;
		int tree = mount_clone(target, "", true);
		int r = tree < 0 ? tree : mount_change(tree, &readonly);
		if (r < 0)
			child_fail(child, STAGE_READONLY_PATH, r, "%s", *path);
		child_attach(child, tree, target, STAGE_READONLY_PATH, *path);
		fd_close(&tree);
		fd_close(&target);
	}
}

/* ---- the end ---- */

static void make_readonly(struct child *child, int mount, const char *what)
{
	static const struct mount_attrs readonly = { .set = MOUNT_ATTR_RDONLY };
	int r = mount_change(mount, &readonly);

	if (r < 0)
		child_fail(child, STAGE_ROOTFS, r, "(%s read-only)", what);
}

static void finish_readonly(struct child *child)
{
	const struct plan *plan = child->plan;

	for (size_t i = 0; i < plan->mount_count; i++)
		if (plan->mounts[i].kind == PLAN_MOUNT_NEW && plan->mounts[i].attrs.set & MOUNT_ATTR_RDONLY &&
			strcmp(plan->mounts[i].destination, "/dev") == 0)
			make_readonly(child, child->dev_mount, "/dev");
	if (plan->root_readonly)
		make_readonly(child, child->root_fd, "root");
}

static uint64_t mount_id(const struct child *child, int fd, const char *what)
{
	struct statx stx;

	if (statx(fd, "", AT_EMPTY_PATH, STATX_MNT_ID, &stx) < 0)
		child_fail(child, STAGE_MOUNT, errno, "%s", what);
	return stx.stx_mnt_id;
}

/* A shared tree may have been rearranged while we worked: then what was masked is not what the container will see. */
static void check_in_place(struct child *child, int mount, const char *name)
{
	if (mount < 0)
		return;
	int seen = inroot_plain_dir(child->root_fd, name);
	if (seen < 0 || mount_id(child, seen, name) != mount_id(child, mount, name))
		child_fail(child, STAGE_MOUNT_FORBIDDEN, EXDEV, "\"/%s\": the root filesystem was changed meanwhile",
			name);
	fd_close(&seen);
}

static void enter_root(struct child *child)
{
	int r = child->plan->is_detached ? mount_enter(child->root_fd)
		: child->plan->no_pivot  ? mount_move_to_root(child->root_fd)
					 : mount_pivot(child->root_fd);

	if (r < 0)
		child_fail(child, STAGE_PIVOT, r, "%s", "");
	if (child->plan->root_propagation) {
		const struct mount_attrs attrs = { .propagation = child->plan->root_propagation };
		r = mount_change(child->root_fd, &attrs);
		if (r < 0)
			child_fail(child, STAGE_PIVOT, r, "(propagation)");
	}
}

static void make_cwd(struct child *child)
{
	int fd = inroot_mkdir_p(child->root_fd, child->plan->process.cwd, 0755);

	if (fd < 0)
		child_fail(child, STAGE_CWD, fd, "(\"%s\")", child->plan->process.cwd);
	fd_close(&fd);
}

static void make_late_trees(const struct child *child)
{
	for (size_t i = 0; i < child->plan->late_count; i++) {
		const struct plan_late *late = &child->plan->late[i];
		int fd = mount_clone(AT_FDCWD, late->path, late->is_recursive);
		int r = fd < 0 ? fd : plan_mount_change(fd, &late->recursive_attrs, &late->attrs);
		if (r < 0)
			child_fail(child, STAGE_MOUNT, r, "\"%s\"", late->path);
		*late->slot = fd;
	}
}

static void stop_for_hooks(struct child *child)
{
	const struct report report = { .type = REPORT_HOOKS };
	struct report answer;

	if (!child->plan->wants_hook_stop)
		return;
	if (report_send(child->sync, &report, -1) < 0 || report_receive(child->sync, &answer, NULL) != 1)
		_exit(125);
	if (fchdir(child->root_fd) < 0) /* where runc's hooks find themselves */
		child_fail(child, STAGE_ROOTFS, errno, "%s", "");
	child_run_hooks(child, child->plan->hooks->create_container, child->plan->hooks->create_container_count,
		"createContainer");
}

void child_mounts(struct child *child)
{
	const struct plan *plan = child->plan;
	int null_fd = open_null(child);

	make_late_trees(child);
	child->root_fd = plan->root_fd;
	attach_root(child);
	for (size_t i = 0; i < plan->mount_count; i++)
		make_mount(child, &plan->mounts[i]);
	if (plan->setup_dev)
		child_devices(child);
	if (plan->process.terminal)
		child_console(child, plan->setup_dev);
	make_cwd(child);
	stop_for_hooks(child);
	protect_paths(child);
	mask_paths(child, null_fd);
	fd_close(&null_fd);
	finish_readonly(child);
	check_in_place(child, child->proc_mount, "proc");
	check_in_place(child, child->sys_mount, "sys");
	enter_root(child);
	fd_close(&child->proc_mount);
	fd_close(&child->sys_mount);
	fd_close(&child->dev_mount);
	fd_close(&child->root_fd);
}
