/*
 * /dev and the terminal. The folder is taken as it lies below the root and must not be a link: both were ways to make nodes
 * and files on the host (CVE-2026-41579). A node that exists is kept only if it is the very device. The terminal's slave is
 * got from its master (TIOCGPTPEER), never by a path (CVE-2025-52565).
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include <linux/magic.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>

#include "runtime/child.h"
#include "sys/inroot.h"
#include "sys/pty.h"

static int open_dev(struct child *child)
{
	int fd = inroot_plain_dir(child->root_fd, "dev");

	if (fd == -ENOENT && mkdirat(child->root_fd, "dev", 0755) == 0)
		fd = inroot_plain_dir(child->root_fd, "dev");
	if (fd < 0)
		child_fail(child, STAGE_DEV_FOLDER, fd, "%s", "");
	return fd;
}

/* The folder in which the node goes, which may be `dev` itself, and its name. */
static int device_parent(struct child *child, const struct plan_device *device, int dev, const char **ret_name)
{
	bool in_dev = strncmp(device->path, "/dev/", 5) == 0;
	const char *path = in_dev ? device->path + 5 : device->path;

	if (in_dev && *path && *path != '.' && !strchr(path, '/')) {
		*ret_name = path;
		return dev;
	}
	int fd = inroot_parent(in_dev ? dev : child->root_fd, path, 0755, ret_name);
	if (fd < 0)
		child_fail(child, STAGE_DEVICE, fd, "%s", device->path);
	return fd;
}

static bool is_the_device(const struct plan_device *device, int fd, struct stat *st)
{
	return fstat(fd, st) == 0 && (st->st_mode & S_IFMT) == (device->mode & S_IFMT) &&
	       (S_ISFIFO(st->st_mode) || st->st_rdev == device->device);
}

static void make_node(struct child *child, const struct plan_device *device, int parent, const char *name)
{
	struct stat st;

	if (mknodat(parent, name, device->mode, device->device) < 0 && errno != EEXIST)
		child_fail(child, STAGE_DEVICE, errno, "%s", device->path);
	int fd = openat(parent, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	bool is_device = fd >= 0 && is_the_device(device, fd, &st);
	if (fd >= 0 && !is_device) {
		/* Some file of the image's by that name. */
		fd_close(&fd);
		if (unlinkat(parent, name, 0) < 0 || mknodat(parent, name, device->mode, device->device) < 0)
			child_fail(child, STAGE_DEVICE, errno, "%s", device->path);
		fd = openat(parent, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
		is_device = fd >= 0 && is_the_device(device, fd, &st);
	}
	if (!is_device)
		child_fail(child, STAGE_DEVICE, fd < 0 ? errno : EEXIST, "%s", device->path);
	bool is_owned = st.st_uid == device->uid && st.st_gid == device->gid;
	if (!is_owned && fchownat(fd, "", device->uid, device->gid, AT_EMPTY_PATH) < 0)
		child_fail(child, STAGE_DEVICE, errno, "%s", device->path);
	fd_close(&fd);
}

static void bind_node(struct child *child, const struct plan_device *device, int parent, const char *name)
{
	int target = inroot_create(parent, name, 0644);

	if (target < 0)
		child_fail(child, STAGE_DEVICE, target, "%s", device->path);
	child_attach(child, device->tree_fd, target, STAGE_DEVICE, device->path);
	fd_close(&target);
}

static void make_link(struct child *child, int dev, const char *target, const char *name)
{
	if (symlinkat(target, dev, name) < 0 && errno != EEXIST)
		child_fail(child, STAGE_DEVICE, errno, "/dev/%s", name);
}

static void make_links(struct child *child, int dev)
{
	make_link(child, dev, "/proc/self/fd", "fd");
	make_link(child, dev, "/proc/self/fd/0", "stdin");
	make_link(child, dev, "/proc/self/fd/1", "stdout");
	make_link(child, dev, "/proc/self/fd/2", "stderr");
	if (child->proc_mount >= 0 && faccessat(child->proc_mount, "kcore", F_OK, 0) == 0)
		make_link(child, dev, "/proc/kcore", "core");
	/* The new instance's, whatever the image has there. */
	if (unlinkat(dev, "ptmx", 0) < 0 && errno != ENOENT && errno != EISDIR && errno != EBUSY)
		child_fail(child, STAGE_DEVICE, errno, "/dev/ptmx");
	make_link(child, dev, "pts/ptmx", "ptmx");
}

void child_devices(struct child *child)
{
	int dev = open_dev(child);

	for (size_t i = 0; i < child->plan->device_count; i++) {
		const struct plan_device *device = &child->plan->devices[i];
		const char *name;
		int parent = device_parent(child, device, dev, &name);
		if (device->tree_fd >= 0)
			bind_node(child, device, parent, name);
		else
			make_node(child, device, parent, name);
		if (parent != dev)
			fd_close(&parent);
	}
	make_links(child, dev);
	fd_close(&dev);
}

/* ---- the terminal ---- */

static int open_master(struct child *child, int root)
{
	struct statfs fs;
	struct stat st;
	int fd = inroot_open(root, "dev/pts/ptmx", O_RDWR | O_NOCTTY | O_NOFOLLOW | O_NONBLOCK);

	if (fd < 0 || fstat(fd, &st) < 0 || fstatfs(fd, &fs) < 0)
		child_fail(child, STAGE_CONSOLE, fd < 0 ? fd : errno, "(dev/pts/ptmx)");
	if (!S_ISCHR(st.st_mode) || st.st_rdev != makedev(5, 2) || fs.f_type != DEVPTS_SUPER_MAGIC)
		child_fail(child, STAGE_CONSOLE, ENOTTY, "(dev/pts/ptmx is not a pty multiplexer)");
	int flags = fcntl(fd, F_GETFL);
	if (flags < 0 || fcntl(fd, F_SETFL, flags & ~O_NONBLOCK) < 0)
		child_fail(child, STAGE_CONSOLE, errno, "%s", "");
	return fd;
}

static int open_slave(struct child *child, int master)
{
	const struct plan_process *process = &child->plan->process;
	struct winsize size = { .ws_row = process->rows, .ws_col = process->columns };
	int unlock = 0;
	int fd = -1;

	if (ioctl(master, TIOCSPTLCK, &unlock) == 0)
		fd = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (fd < 0)
		child_fail(child, STAGE_CONSOLE, errno, "%s", "");
	if ((size.ws_row || size.ws_col) && ioctl(master, TIOCSWINSZ, &size) < 0)
		child_fail(child, STAGE_CONSOLE, errno, "(its size)");
	int r = process->keeps_line_ends ? pty_keep_line_ends(master) : 0;
	if (r < 0)
		child_fail(child, STAGE_CONSOLE, r, "(its lines)");
	return fd;
}

static void bind_console(struct child *child, int slave)
{
	int dev = open_dev(child);
	struct stat st;
	int target = openat(dev, "console", O_PATH | O_NOFOLLOW | O_CLOEXEC);

	if (target >= 0 && fstat(target, &st) == 0 && S_ISLNK(st.st_mode)) {
		fd_close(&target);
		if (unlinkat(dev, "console", 0) < 0)
			child_fail(child, STAGE_CONSOLE, errno, "(/dev/console)");
		errno = ENOENT;
	}
	if (target < 0 && errno == ENOENT) {
		int made = openat(dev, "console", O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
		fd_close(&made);
		target = openat(dev, "console", O_PATH | O_NOFOLLOW | O_CLOEXEC);
	}
	if (target < 0 || fstat(target, &st) < 0 || S_ISLNK(st.st_mode) || S_ISDIR(st.st_mode))
		child_fail(child, STAGE_CONSOLE, EEXIST, "(/dev/console)");
	int tree = mount_clone(slave, "", false);
	if (tree < 0)
		child_fail(child, STAGE_CONSOLE, tree, "(/dev/console)");
	child_attach(child, tree, target, STAGE_CONSOLE, "(/dev/console)");
	fd_close(&tree);
	fd_close(&target);
	fd_close(&dev);
}

void child_console(struct child *child, bool make_dev_console)
{
	const struct report report = { .type = REPORT_CONSOLE };
	int root = child->root_fd >= 0 ? child->root_fd : open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (root < 0)
		child_fail(child, STAGE_CONSOLE, errno, "%s", "");
	int master = open_master(child, root);
	child->console_fd = open_slave(child, master);
	if (make_dev_console)
		bind_console(child, child->console_fd);
	int r = report_send(child->sync, &report, master);
	if (r < 0)
		child_fail(child, STAGE_CONSOLE, r, "%s", "");
	fd_close(&master);
	if (root != child->root_fd)
		fd_close(&root);
}
