#include "sys/procfs.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <linux/magic.h>
#include <linux/openat2.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "sys/mounts.h"

#define ROOT_INODE 1

int procfs_open(int pid_only)
{
	const struct mount_option subset = { .key = "subset", .value = "pid" };

	return mount_new("proc", "proc", &subset, pid_only ? 1 : 0,
		MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC, NULL);
}

bool procfs_is_root(int fd)
{
	struct statfs fs;
	struct stat st;

	return fstatfs(fd, &fs) == 0 && fs.f_type == PROC_SUPER_MAGIC && fstat(fd, &st) == 0 && st.st_ino == ROOT_INODE;
}

/* Its very root, and the one that knows us by our own number. */
static bool is_own_root(int fd)
{
	char own[16], seen[16];
	int len = snprintf(own, sizeof(own), "%d", getpid());

	return procfs_is_root(fd) && readlinkat(fd, "self", seen, sizeof(seen)) == len &&
	       memcmp(own, seen, (size_t)len) == 0;
}

int procfs_open_host(void)
{
	_autoclose_ int fd = open("/proc", O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	return fd >= 0 && is_own_root(fd) ? TAKE_FD(fd) : procfs_open(1);
}

static int mount_id(int fd, uint64_t *ret)
{
	struct statx stx;

	if (statx(fd, "", AT_EMPTY_PATH, STATX_MNT_ID, &stx) < 0)
		return -errno;
	*ret = stx.stx_mnt_id;
	return 0;
}

/* RESOLVE_NO_XDEV promises it already; a kernel bug here would be an escape, so it is looked at. */
static int check_same_mount(int proc_fd, int fd)
{
	uint64_t want = 0, have = 0;
	struct statfs fs;

	if (fstatfs(fd, &fs) < 0)
		return -errno;
	int r = mount_id(proc_fd, &want);
	if (r == 0)
		r = mount_id(fd, &have);
	if (r < 0)
		return r;
	return fs.f_type == PROC_SUPER_MAGIC && want == have ? 0 : -EXDEV;
}

int procfs_open_file(int proc_fd, const char *path, int flags)
{
	struct open_how how = { .flags = (uint64_t)(flags | O_CLOEXEC),
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_XDEV | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS };
	_autoclose_ int fd = (int)syscall(SYS_openat2, proc_fd, path, &how, sizeof(how));

	if (fd < 0)
		return -errno;
	int r = check_same_mount(proc_fd, fd);
	return r < 0 ? r : TAKE_FD(fd);
}

int procfs_write(int proc_fd, const char *path, const char *text)
{
	_autoclose_ int fd = procfs_open_file(proc_fd, path, O_WRONLY);

	return fd < 0 ? fd : io_write_full(fd, text, strlen(text));
}

ssize_t procfs_read(int proc_fd, const char *path, char *out, size_t size)
{
	_autoclose_ int fd = procfs_open_file(proc_fd, path, O_RDONLY);
	size_t used = 0;

	if (fd < 0)
		return fd;
	while (used + 1 < size) {
		ssize_t count = read(fd, out + used, size - 1 - used);
		if (count < 0 && errno == EINTR)
			continue;
		if (count < 0)
			return -errno;
		if (count == 0)
			break;
		used += (size_t)count;
	}
	out[used] = '\0';
	return (ssize_t)used;
}

int procfs_write_pid(int proc_fd, pid_t pid, const char *name, const char *text)
{
	char path[64];

	snprintf(path, sizeof(path), "%d/%s", pid, name);
	return procfs_write(proc_fd, path, text);
}
