#include "worker/measure.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/stat.h>

#include "base/strv.h"
#include "sys/inroot.h"

/* Files with several names that are remembered, and names of folders that wait: 32 MB each at the most. */
#define SEEN_MAX    (4 * 1024 * 1024)
#define WAITING_MAX (512 * 1024)

/* A folder on the way down, and which folders in it are to be visited yet. */
struct level {
	struct level *up;
	dev_t device;
	ino_t inode;
	char **waiting;
	size_t waiting_count;
};

struct measure {
	int64_t bytes;
	struct level *level;
	size_t waiting; /* in all levels */
	uint64_t *seen; /* inodes, open addressing; 0 is none */
	size_t seen_size;
	size_t seen_count;
};

/* ---- files with several names */

static bool seen_put(uint64_t *seen, size_t size, uint64_t inode)
{
	for (size_t i = (size_t)(inode * 0x9e3779b97f4a7c15) & (size - 1);; i = (i + 1) & (size - 1)) {
		if (seen[i] == inode)
			return false;
		if (seen[i] == 0) {
			seen[i] = inode;
			return true;
		}
	}
}

static int seen_grow(struct measure *m)
{
	size_t size = m->seen_size ? 2 * m->seen_size : 1024;
	uint64_t *seen = size / 2 > SEEN_MAX ? NULL : calloc(size, sizeof(*seen));

	if (!seen)
		return -ENOMEM;
	for (size_t i = 0; i < m->seen_size; i++)
		if (m->seen[i])
			seen_put(seen, size, m->seen[i]);
	free(m->seen);
	m->seen = seen;
	m->seen_size = size;
	return 0;
}

/* *ret_first: it was not met before. */
static int see(struct measure *m, ino_t inode, bool *ret_first)
{
	int r = 2 * m->seen_count >= m->seen_size ? seen_grow(m) : 0;

	if (r < 0)
		return r;
	*ret_first = seen_put(m->seen, m->seen_size, inode);
	m->seen_count += *ret_first;
	return 0;
}

/* ---- one folder */

static void level_free(struct measure *m)
{
	struct level *level = m->level;

	for (size_t i = 0; i < level->waiting_count; i++)
		free(level->waiting[i]);
	m->waiting -= level->waiting_count;
	m->level = level->up;
	free(level->waiting);
	free(level);
}

static int note_folder(struct measure *m, const char *name)
{
	struct level *level = m->level;
	size_t count = level->waiting_count;

	if (m->waiting >= WAITING_MAX)
		return -E2BIG;
	/* Room for 16, 32, 64... */
	if (count % 16 == 0 && (count & (count - 1)) == 0) {
		char **waiting = reallocarray(level->waiting, count ? 2 * count : 16, sizeof(*waiting));

		if (!waiting)
			return -ENOMEM;
		level->waiting = waiting;
	}
	level->waiting[count] = strdup(name);
	if (!level->waiting[count])
		return -ENOMEM;
	level->waiting_count++;
	m->waiting++;
	return 0;
}

static int count_entry(struct measure *m, int dirfd, const char *name)
{
	bool first = true;
	struct stat st;
	int r = 0;

	if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0 || fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return 0;
	if (S_ISDIR(st.st_mode))
		return note_folder(m, name);
	if (st.st_nlink > 1)
		r = see(m, st.st_ino, &first);
	if (r == 0 && first && __builtin_add_overflow(m->bytes, st.st_size, &m->bytes))
		r = -EOVERFLOW;
	return r;
}

static int list(struct measure *m, int fd)
{
	int list_fd = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = list_fd < 0 ? NULL : fdopendir(list_fd);
	int r = 0;

	if (!dir) {
		r = -errno;
		fd_close(&list_fd);
		return r;
	}
	for (struct dirent *entry; r == 0 && (entry = readdir(dir));)
		r = count_entry(m, fd, entry->d_name);
	closedir(dir);
	return r;
}

static int enter(struct measure *m, int fd)
{
	struct level *level = calloc(1, sizeof(*level));
	struct stat st;

	if (!level)
		return -ENOMEM;
	level->up = m->level;
	m->level = level;
	if (fstat(fd, &st) < 0)
		return -errno;
	level->device = st.st_dev;
	level->inode = st.st_ino;
	return list(m, fd);
}

/* ---- the way */

static int go_down(struct measure *m, int *fd)
{
	struct level *level = m->level;
	_cleanup_free_ char *name = level->waiting[--level->waiting_count];
	_autoclose_ int child_fd = inroot_plain_dir(*fd, name);
	struct stat st;

	m->waiting--;
	if (child_fd < 0) /* gone, or something else by now */
		return child_fd == -ENOENT || child_fd == -ENOTDIR || child_fd == -ELOOP ? 0 : child_fd;
	if (fstat(child_fd, &st) < 0)
		return -errno;
	if (st.st_dev != level->device)
		return 0;
	fd_close(fd);
	*fd = TAKE_FD(child_fd);
	return enter(m, *fd);
}

/* One that was moved elsewhere meanwhile leads elsewhere. */
static int go_up(struct measure *m, int *fd)
{
	_autoclose_ int up_fd = -1;
	struct stat st;

	level_free(m);
	if (!m->level)
		return 0;
	up_fd = openat(*fd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (up_fd < 0 || fstat(up_fd, &st) < 0)
		return -errno;
	if (st.st_dev != m->level->device || st.st_ino != m->level->inode)
		return -ESTALE;
	fd_close(fd);
	*fd = TAKE_FD(up_fd);
	return 0;
}

int measure(int root_fd, const char *path, int64_t *ret_bytes)
{
	_autoclose_ int fd = inroot_open(root_fd, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
	struct measure m = { 0 };
	int r = fd < 0 ? fd : enter(&m, fd);

	while (r == 0 && m.level)
		r = m.level->waiting_count > 0 ? go_down(&m, &fd) : go_up(&m, &fd);
	while (m.level)
		level_free(&m);
	free(m.seen);
	*ret_bytes = m.bytes;
	return r;
}
