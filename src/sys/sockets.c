/*
 * Two servers told to use one path must not both find the other's socket "dead": the folder is locked (flock) from the
 * look at the path until the new socket listens. The folder belongs to us or root, and others can't rename files in it,
 * so between look and bind the name stays what it was; an old socket is dead if connecting is refused, and nothing else
 * is ever unlinked. The socket is bound with mode 0600 and opened to the group once that is set.
 *
 * The path is bound as it was given where it fits, because /proc/net/unix shows it; a longer one through the folder.
 */
#include "sys/sockets.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "base/cleanup.h"

#define BACKLOG 4096 /* the kernel's own default of its limit; a libc's SOMAXCONN may be of an older time */

struct location {
	int folder_fd;
	const char *name; /* in the path */
	struct sockaddr_un address;
};

static bool folder_is_safe(int folder_fd)
{
	struct stat st;
	if (fstat(folder_fd, &st) < 0)
		return false;
	if (st.st_uid != 0 && st.st_uid != geteuid())
		return false;
	return (st.st_mode & (S_IWGRP | S_IWOTH)) == 0 || (st.st_mode & S_ISVTX);
}

static int location_open_folder(const char *path, struct location *ret)
{
	const char *slash = strrchr(path, '/');
	char folder[PATH_MAX];
	if (path[0] != '/' || slash[1] == '\0')
		return -EINVAL;
	size_t len = slash == path ? 1 : (size_t)(slash - path);
	if (len >= sizeof folder)
		return -ENAMETOOLONG;
	memcpy(folder, path, len);
	folder[len] = '\0';
	ret->name = slash + 1;
	ret->folder_fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return ret->folder_fd < 0 ? -errno : 0;
}

static int location_set_address(const char *path, struct location *location)
{
	struct sockaddr_un *address = &location->address;
	*address = (struct sockaddr_un){ .sun_family = AF_UNIX };
	size_t size = sizeof address->sun_path;
	int n = snprintf(address->sun_path, size, "%s", path);
	if ((size_t)n >= size)
		n = snprintf(address->sun_path, size, "/proc/self/fd/%d/%s", location->folder_fd, location->name);
	return (size_t)n >= size ? -ENAMETOOLONG : 0;
}

static int socket_new(int extra_flags)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | extra_flags, 0);
	return fd < 0 ? -errno : fd;
}

/* Has whoever listens there been left the socket by a process that is gone? */
static bool is_inherited(int client_fd)
{
	struct ucred maker = { 0 };
	socklen_t len = sizeof maker;
	return getsockopt(client_fd, SOL_SOCKET, SO_PEERCRED, &maker, &len) == 0 && maker.pid > 0 &&
	       kill(maker.pid, 0) < 0 && errno == ESRCH;
}

/* 0 if the name is free now. */
static int location_clear(const struct location *location)
{
	struct stat st;
	if (fstatat(location->folder_fd, location->name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISSOCK(st.st_mode))
		return -EEXIST;
	_autoclose_ int probe = socket_new(SOCK_NONBLOCK);
	if (probe < 0)
		return probe;
	if (connect(probe, (const struct sockaddr *)&location->address, sizeof location->address) == 0)
		return is_inherited(probe) ? -EOWNERDEAD : -EADDRINUSE;
	if (errno != ECONNREFUSED)
		return errno == EAGAIN || errno == EPROTOTYPE ? -EADDRINUSE : -errno;
	return unlinkat(location->folder_fd, location->name, 0) < 0 ? -errno : 0;
}

static int location_bind(const struct location *location, gid_t gid, mode_t mode, int *ret_fd, struct stat *ret_st)
{
	_autoclose_ int fd = socket_new(0);
	if (fd < 0)
		return fd;
	int dirfd = location->folder_fd;
	if (fchmod(fd, 0600) < 0 || bind(fd, (const struct sockaddr *)&location->address, sizeof location->address) < 0)
		return -errno;
	if (fchownat(dirfd, location->name, (uid_t)-1, gid, AT_SYMLINK_NOFOLLOW) < 0 ||
		fchmodat(dirfd, location->name, mode, 0) < 0 || listen(fd, BACKLOG) < 0 ||
		fstatat(dirfd, location->name, ret_st, AT_SYMLINK_NOFOLLOW) < 0) {
		int r = -errno;
		unlinkat(dirfd, location->name, 0);
		return r;
	}
	*ret_fd = TAKE_FD(fd);
	return 0;
}

int socket_listen_unix(const char *path, gid_t gid, mode_t mode, int *ret_fd, struct socket_file *ret_file)
{
	struct location location;
	int r = location_open_folder(path, &location);
	if (r < 0)
		return r;
	_autoclose_ int folder_fd = location.folder_fd; /* closing it also unlocks */
	if (!folder_is_safe(folder_fd))
		return -EPERM;
	if (flock(folder_fd, LOCK_EX) < 0)
		return -errno;
	r = location_set_address(path, &location);
	if (r == 0)
		r = location_clear(&location);
	struct stat st;
	if (r == 0)
		r = location_bind(&location, gid, mode, ret_fd, &st);
	if (r == 0)
		*ret_file = (struct socket_file){ .device = st.st_dev, .inode = st.st_ino };
	return r;
}

int socket_unlink_unix(const char *path, const struct socket_file *file)
{
	struct location location;
	int r = location_open_folder(path, &location);
	if (r < 0)
		return r == -ENOENT ? 0 : r;
	_autoclose_ int folder_fd = location.folder_fd;
	struct stat st;
	if (flock(folder_fd, LOCK_EX) < 0)
		return -errno;
	if (fstatat(folder_fd, location.name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (st.st_dev != file->device || st.st_ino != file->inode)
		return 0;
	return unlinkat(folder_fd, location.name, 0) < 0 ? -errno : 0;
}

bool socket_is_unix_listener(int fd)
{
	struct sockaddr_un address;
	socklen_t len = sizeof address;
	if (getsockname(fd, (struct sockaddr *)&address, &len) < 0 || address.sun_family != AF_UNIX)
		return false;
	int type = 0, listens = 0;
	len = sizeof type;
	if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) < 0 || type != SOCK_STREAM)
		return false;
	len = sizeof listens;
	return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &len) == 0 && listens;
}
