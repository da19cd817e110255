/*
 * A folder that exists already is brought to the mode it must have, if it is ours; one that belongs to somebody else than
 * root and us is refused, because its owner could put another in our files' place.
 *
 * tared.lock is never removed: who unlinked it could take the name from under a tared that waits for the lock.
 */
#include "holder/folders.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <sys/file.h>
#include <sys/stat.h>

#include "base/io.h"

#define LOCK_TEXT_MAX 32

/* What is missing above `path`, as mkdir -p. */
static int make_parents(const char *path)
{
	_cleanup_free_ char *copy = strdup(path);
	if (!copy)
		return -ENOMEM;
	for (char *slash = strchr(copy + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (mkdir(copy, 0755) < 0 && errno != EEXIST)
			return -errno;
		*slash = '/';
	}
	return 0;
}

static int folder_open(int dirfd, const char *path, mode_t mode, int *ret_fd, struct err **reterr)
{
	if (mkdirat(dirfd, path, mode) < 0 && errno != EEXIST)
		return err_errno(reterr, -errno, "cannot make the folder %s", path);
	_autoclose_ int fd = openat(dirfd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct stat st;
	if (fd < 0 || fstat(fd, &st) < 0)
		return err_errno(reterr, -errno, "cannot open the folder %s", path);
	if (st.st_uid != geteuid() && st.st_uid != 0)
		return err_set(reterr, ERR_FORBIDDEN, 0,
			"the folder %s belongs to user %u, who could replace what is in it", path, st.st_uid);
	if ((st.st_mode & 07777) != mode && fchmod(fd, mode) < 0)
		return err_errno(reterr, -errno, "cannot set the rights of %s", path);
	*ret_fd = TAKE_FD(fd);
	return 0;
}

static int root_open(const char *path, int *ret_fd, struct err **reterr)
{
	int r = make_parents(path);
	if (r < 0)
		return err_errno(reterr, r, "cannot make the folders above %s", path);
	return folder_open(AT_FDCWD, path, 0711, ret_fd, reterr);
}

static int refuse_second(int lock_fd, const char *exec_root, struct err **reterr)
{
	char pid[LOCK_TEXT_MAX] = "";
	ssize_t n = pread(lock_fd, pid, sizeof pid - 1, 0);
	pid[n > 0 ? n : 0] = '\0';
	pid[strcspn(pid, "\n")] = '\0';
	return err_set(reterr, ERR_CONFLICT, EBUSY, "%s is in use by another tared, process %s", exec_root,
		pid[0] ? pid : "unknown");
}

static int lock_take(struct folders *folders, const char *exec_root, struct err **reterr)
{
	_autoclose_ int fd = openat(folders->exec_root_fd, "tared.lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW,
		0600);
	if (fd < 0)
		return err_errno(reterr, -errno, "cannot open %s/tared.lock", exec_root);
	if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		if (errno == EWOULDBLOCK)
			return refuse_second(fd, exec_root, reterr);
		return err_errno(reterr, -errno, "cannot lock %s/tared.lock", exec_root);
	}
	char pid[LOCK_TEXT_MAX];
	int len = snprintf(pid, sizeof pid, "%d\n", getpid());
	if (ftruncate(fd, 0) < 0 || pwrite(fd, pid, (size_t)len, 0) != len)
		return err_errno(reterr, -errno, "cannot write %s/tared.lock", exec_root);
	folders->lock_fd = TAKE_FD(fd);
	return 0;
}

int folders_open(struct folders *folders, const struct options *options, struct err **reterr)
{
	int r = root_open(options->exec_root, &folders->exec_root_fd, reterr);
	if (r == 0)
		r = lock_take(folders, options->exec_root, reterr);
	if (r == 0)
		r = folder_open(folders->exec_root_fd, "containers", 0700, &folders->containers_fd, reterr);
	_autoclose_ int data_root_fd = -1;
	if (r == 0)
		r = root_open(options->data_root, &data_root_fd, reterr);
	return r;
}

void folders_finish(struct folders *folders)
{
	fd_close(&folders->containers_fd);
	fd_close(&folders->lock_fd);
	fd_close(&folders->exec_root_fd);
}

int pidfile_write(const char *path, struct err **reterr)
{
	if (!path)
		return 0;
	char text[LOCK_TEXT_MAX];
	int len = snprintf(text, sizeof text, "%d\n", getpid());
	unlink(path); /* whatever it was, it is not written through */
	_autoclose_ int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644);
	int r = fd < 0 ? -errno : io_write_full(fd, text, (size_t)len);
	return r < 0 ? err_errno(reterr, r, "cannot write the pidfile %s", path) : 0;
}
