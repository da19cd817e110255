#include "sys/treecopy.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "base/cleanup.h"

#define XATTR_NAMES_MAX (64 * 1024)
#define XATTR_BYTES_MAX (64 * 1024)
#define COPY_STEP       (1 << 30)

static int copy_folder(int from, int to, unsigned depth);

static void closedir_cleanup(DIR **dir)
{
	if (*dir)
		closedir(*dir);
}

/* Overlay's own attributes describe the image's layers, not the content; ours (fill.c) are ours. */
static bool is_content(const char *name)
{
	static const char *const reserved[] = { "trusted.overlay.", "user.overlay.", "trusted.tare." };

	for (size_t i = 0; i < ARRAY_SIZE(reserved); i++)
		if (strncmp(name, reserved[i], strlen(reserved[i])) == 0)
			return false;
	return true;
}

static int copy_xattrs(int from, int to)
{
	_cleanup_free_ char *names = malloc(XATTR_NAMES_MAX);
	_cleanup_free_ char *value = malloc(XATTR_BYTES_MAX);
	if (!names || !value)
		return -ENOMEM;
	ssize_t len = flistxattr(from, names, XATTR_NAMES_MAX);
	if (len < 0)
		return errno == EOPNOTSUPP ? 0 : -errno;
	for (const char *name = names; name < names + len; name += strlen(name) + 1) {
		if (!is_content(name))
			continue;
		ssize_t size = fgetxattr(from, name, value, XATTR_BYTES_MAX);
		if (size < 0 || (fsetxattr(to, name, value, (size_t)size, 0) < 0 && errno != EOPNOTSUPP))
			return -errno;
	}
	return 0;
}

/* What is there already is kept: an earlier copy's, or somebody else's. */
static int made(int ret)
{
	return ret < 0 && errno != EEXIST ? -errno : 0;
}

/* Last, since owner resets the setuid bits and writing resets the times. */
static int copy_metadata(int from, int to, const struct stat *st)
{
	const struct timespec times[] = { st->st_atim, st->st_mtim };

	if (fchown(to, st->st_uid, st->st_gid) < 0 || fchmod(to, st->st_mode & 07777) < 0)
		return -errno;
	int ret = copy_xattrs(from, to);
	if (ret == 0 && futimens(to, times) < 0)
		ret = -errno;
	return ret;
}

static int copy_bytes(int from, int to)
{
	for (;;) {
		ssize_t n = copy_file_range(from, NULL, to, NULL, COPY_STEP, 0);
		if (n < 0 && (errno == EXDEV || errno == EINVAL || errno == EOPNOTSUPP || errno == ENOSYS))
			n = sendfile(to, from, NULL, COPY_STEP);
		if (n < 0 && errno != EINTR)
			return -errno;
		if (n == 0)
			return 0;
	}
}

static int copy_regular(int from_dir, int to_dir, const char *name)
{
	struct stat st;
	_autoclose_ int from = openat(from_dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (from < 0 || fstat(from, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -ESTALE; /* not what it was a moment ago */
	if (faccessat(to_dir, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
		return 0;
	/* It gets its name when all is in it. */
	_autoclose_ int to = openat(to_dir, ".", O_WRONLY | O_TMPFILE | O_CLOEXEC, 0600);
	if (to < 0)
		return -errno;
	int ret = copy_bytes(from, to);
	if (ret == 0)
		ret = copy_metadata(from, to, &st);
	return ret ?: made(linkat(to, "", to_dir, name, AT_EMPTY_PATH));
}

/* Whether `now` may be what an earlier copy of `st` made and was killed before it gave it away. */
static bool is_half_made(const struct stat *now, const struct stat *st)
{
	return (now->st_mode & S_IFMT) == (st->st_mode & S_IFMT) && now->st_rdev == st->st_rdev &&
	       now->st_size == st->st_size && now->st_uid == 0 && now->st_nlink == 1;
}

/* Of a node or link, just made or there already. By descriptor: a container may put something else under the name. */
static int name_metadata(int to_dir, const char *name, const struct stat *st)
{
	const struct timespec times[] = { st->st_atim, st->st_mtim };
	struct stat now;
	_autoclose_ int to = openat(to_dir, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);

	if (to < 0 || fstat(to, &now) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (!is_half_made(&now, st))
		return 0;
	if (utimensat(to, "", times, AT_EMPTY_PATH) < 0)
		return -errno;
	return fchownat(to, "", st->st_uid, st->st_gid, AT_EMPTY_PATH) < 0 ? -errno : 0;
}

static int copy_link(int from_dir, int to_dir, const char *name, const struct stat *st)
{
	char target[PATH_MAX];
	ssize_t len = readlinkat(from_dir, name, target, sizeof target - 1);
	if (len < 0)
		return -errno;
	target[len] = '\0';
	int ret = made(symlinkat(target, to_dir, name));
	return ret < 0 ? ret : name_metadata(to_dir, name, st);
}

/* With its mode from birth: by name it could only be changed by following what a container may have put there. */
static int copy_node(int to_dir, const char *name, const struct stat *st)
{
	int ret = made(mknodat(to_dir, name, st->st_mode, st->st_rdev));
	return ret < 0 ? ret : name_metadata(to_dir, name, st);
}

static int copy_subfolder(int from_dir, int to_dir, const char *name, unsigned depth)
{
	int ret = made(mkdirat(to_dir, name, 0700));
	if (ret < 0)
		return ret;
	_autoclose_ int from = openat(from_dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (from < 0)
		return -errno;
	_autoclose_ int to = openat(to_dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (to < 0)
		return errno == ENOTDIR || errno == ELOOP ? 0 : -errno; /* no folder, and kept */
	return copy_folder(from, to, depth);
}

static int copy_entry(int from, int to, const char *name, unsigned depth)
{
	struct stat st;
	if (fstatat(from, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	switch (st.st_mode & S_IFMT) {
	case S_IFREG: return copy_regular(from, to, name);
	case S_IFDIR: return copy_subfolder(from, to, name, depth + 1);
	case S_IFLNK: return copy_link(from, to, name, &st);
	case S_IFSOCK: return 0;
	default: return copy_node(to, name, &st);
	}
}

static int copy_folder(int from, int to, unsigned depth)
{
	struct stat st;
	if (depth > TREECOPY_DEPTH_MAX)
		return -ELOOP;
	int list_fd = openat(from, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_(closedir_cleanup) DIR *list = list_fd < 0 ? NULL : fdopendir(list_fd);
	if (!list) {
		int ret = -errno;
		fd_close(&list_fd);
		return ret;
	}
	for (;;) {
		errno = 0;
		const struct dirent *entry = readdir(list);
		if (!entry && errno)
			return -errno;
		if (!entry)
			break;
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		int ret = copy_entry(from, to, entry->d_name, depth);
		if (ret < 0)
			return ret;
	}
	return fstat(from, &st) < 0 ? -errno : copy_metadata(from, to, &st);
}

int treecopy(int from, int to)
{
	mode_t mask = umask(0);
	int ret = copy_folder(from, to, 0);
	umask(mask);
	return ret;
}
