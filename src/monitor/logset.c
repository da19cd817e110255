/*
 * `files` holds, oldest first, the files that readers may still want, and the written one at the end. Each has a number
 * that never changes; its name follows from the distance to the newest number. Without readers only the written file is
 * in the list.
 *
 * Rotation renames from the oldest to the newest and then makes the new file: a crash in between leaves a gap in the
 * numbers, which readers step over, and never two files of one name.
 */
#include "monitor/logset.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <sys/stat.h>

#include "base/io.h"
#include "base/list.h"

struct logfile {
	struct list link;
	uint64_t number;
	int fd;
	unsigned refs;
	bool listed;
	bool unlinked;
	off_t size; /* known once unlinked */
};

struct logset {
	int dirfd;
	char *name;
	int64_t max_bytes;
	unsigned max_files;
	uint64_t newest; /* number of the file called `name` */
	int write_fd;    /* its own descriptor: appending; -1 when not open */
	off_t size;      /* of the written file */
	bool is_shifted; /* the names have moved, but the new file could not be made yet */
	unsigned readers;
	struct list files;
};

int logset_new(int dirfd, const char *name, int64_t max_bytes, unsigned max_files, struct logset **ret)
{
	assert(max_files >= 1 && max_files <= LOGSET_FILES_MAX);
	struct logset *set = calloc(1, sizeof *set);
	if (!set)
		return -ENOMEM;
	list_init(&set->files);
	set->write_fd = -1;
	set->max_bytes = max_bytes;
	set->max_files = max_files;
	set->newest = max_files; /* so that the oldest number is at least 1 */
	set->name = strdup(name);
	set->dirfd = fcntl(dirfd, F_DUPFD_CLOEXEC, 3);
	if (!set->name || set->dirfd < 0) {
		int ret_error = set->dirfd < 0 ? -errno : -ENOMEM;
		logset_free(set);
		return ret_error;
	}
	*ret = set;
	return 0;
}

static void logfile_drop(struct logfile *file)
{
	list_remove(&file->link);
	file->listed = false;
	if (file->refs)
		return;
	fd_close(&file->fd);
	free(file);
}

void logset_free(struct logset *set)
{
	if (!set)
		return;
	struct logfile *file, *following;
	list_foreach_safe (file, following, &set->files, link)
		logfile_drop(file);
	fd_close(&set->write_fd);
	fd_close(&set->dirfd);
	free(set->name);
	free(set);
}

/* "NAME", "NAME.1"...: 0 or -ENAMETOOLONG. */
static int file_name(const struct logset *set, uint64_t index, char out[static NAME_MAX + 1])
{
	int n = index ? snprintf(out, NAME_MAX + 1, "%s.%lu", set->name, (unsigned long)index)
		      : snprintf(out, NAME_MAX + 1, "%s", set->name);
	return n < 0 || n > NAME_MAX ? -ENAMETOOLONG : 0;
}

static int open_index(const struct logset *set, uint64_t index, int flags)
{
	char name[NAME_MAX + 1];
	int ret = file_name(set, index, name);
	if (ret < 0)
		return ret;
	int fd = openat(set->dirfd, name, flags | O_CLOEXEC | O_NOFOLLOW, 0640);
	return fd < 0 ? -errno : fd;
}

static int list_file(struct logset *set, uint64_t number, bool first)
{
	struct logfile *file = calloc(1, sizeof *file);
	if (!file)
		return -ENOMEM;
	file->number = number;
	file->fd = -1;
	file->listed = true;
	if (first)
		list_prepend(&set->files, &file->link);
	else
		list_append(&set->files, &file->link);
	return 0;
}

int logset_open(struct logset *set, logset_whole_fn *whole)
{
	_autoclose_ int fd = open_index(set, 0, O_RDWR | O_CREAT | O_APPEND);
	struct stat st;
	if (fd < 0 || fstat(fd, &st) < 0)
		return fd < 0 ? TAKE_FD(fd) : -errno;

	off_t size = whole(fd, st.st_size);
	if (size < st.st_size && ftruncate(fd, size) < 0)
		return -errno;
	if (list_is_empty(&set->files)) {
		int ret = list_file(set, set->newest, false);
		if (ret < 0)
			return ret;
	}
	fd_close(&set->write_fd);
	set->write_fd = TAKE_FD(fd);
	set->size = size;
	return 0;
}

void logset_close(struct logset *set)
{
	fd_close(&set->write_fd);
	struct logfile *newest = logset_newest(set);
	if (!set->readers && newest)
		logfile_drop(newest);
}

bool logset_is_open(const struct logset *set)
{
	return set->write_fd >= 0;
}

int logset_append(struct logset *set, const void *data, size_t len)
{
	int ret = io_write_full(set->write_fd, data, len);
	if (ret == 0)
		set->size += (off_t)len;
	else if (ftruncate(set->write_fd, set->size) < 0)
		return -errno;
	return ret;
}

bool logset_wants_rotation(const struct logset *set, size_t pending)
{
	return set->max_bytes >= 0 && set->size + (off_t)pending >= set->max_bytes && set->size + (off_t)pending > 0;
}

/* The file that rotation is about to unlink stays readable for those who stand before its end. */
static void pin_oldest(struct logset *set)
{
	struct logfile *file;
	uint64_t going = set->newest - (set->max_files - 1);
	list_foreach (file, &set->files, link) {
		if (file->number != going)
			continue;
		struct stat st;
		if (logset_fd(set, file) >= 0 && fstat(file->fd, &st) == 0)
			file->size = st.st_size;
		file->unlinked = true;
		return;
	}
}

/* Unlinked files leave when nobody stands on or before them, and the oldest when they are too many or too big. */
static void trim(struct logset *set)
{
	struct logfile *file, *following;
	bool has_reader_before = false;
	int64_t bytes = 0;
	unsigned count = 0;

	list_foreach (file, &set->files, link) {
		bytes += file->unlinked ? file->size : 0;
		count += file->unlinked;
	}
	list_foreach_safe (file, following, &set->files, link) {
		if (!file->unlinked)
			return;
		has_reader_before |= file->refs > 0;
		if (has_reader_before && count <= LOGSET_PINNED_FILES_MAX && bytes <= LOGSET_PINNED_BYTES_MAX)
			return;
		count--;
		bytes -= file->size;
		logfile_drop(file);
	}
}

static int shift_names(struct logset *set)
{
	char from[NAME_MAX + 1], to[NAME_MAX + 1];

	for (uint64_t index = set->max_files - 1; index > 0; index--) {
		int ret = file_name(set, index, to) ?: file_name(set, index - 1, from);
		if (ret < 0)
			return ret;
		if (renameat(set->dirfd, from, set->dirfd, to) < 0 && errno != ENOENT)
			return -errno;
	}
	if (set->max_files == 1 && unlinkat(set->dirfd, set->name, 0) < 0 && errno != ENOENT)
		return -errno;
	return 0;
}

static int shift_once(struct logset *set)
{
	if (set->readers)
		pin_oldest(set);
	int ret = shift_names(set);
	if (ret < 0)
		return ret;
	set->newest++;
	set->is_shifted = true;
	return 0;
}

int logset_rotate(struct logset *set)
{
	int ret = set->is_shifted ? 0 : shift_once(set);
	if (ret < 0)
		return ret;
	_autoclose_ int fd = open_index(set, 0, O_RDWR | O_CREAT | O_EXCL | O_APPEND);
	if (fd < 0)
		return fd;
	struct logfile *before = logset_newest(set);
	if (!set->readers && before)
		logfile_drop(before);
	ret = list_file(set, set->newest, false);
	if (ret < 0)
		return ret;
	fd_close(&set->write_fd);
	set->write_fd = TAKE_FD(fd);
	set->size = 0;
	set->is_shifted = false;
	trim(set);
	return 0;
}

int logset_read_begin(struct logset *set)
{
	if (set->readers++)
		return 0;
	int ret = list_is_empty(&set->files) ? list_file(set, set->newest, false) : 0;
	for (uint64_t index = 1; index < set->max_files && ret == 0; index++) {
		char name[NAME_MAX + 1];
		ret = file_name(set, index, name);
		if (ret == 0 && faccessat(set->dirfd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
			ret = list_file(set, set->newest - index, true);
	}
	if (ret < 0)
		logset_read_end(set);
	return ret;
}

void logset_read_end(struct logset *set)
{
	struct logfile *file, *following;

	assert(set->readers);
	if (--set->readers)
		return;
	list_foreach_safe (file, following, &set->files, link)
		if (file->number != set->newest || set->write_fd < 0)
			logfile_drop(file);
}

bool logset_has_readers(const struct logset *set)
{
	return set->readers > 0;
}

struct logfile *logset_oldest(struct logset *set)
{
	return list_is_empty(&set->files) ? NULL : container_of(set->files.next, struct logfile, link);
}

struct logfile *logset_newest(struct logset *set)
{
	return list_is_empty(&set->files) ? NULL : container_of(set->files.prev, struct logfile, link);
}

struct logfile *logset_next(struct logset *set, const struct logfile *file)
{
	struct logfile *other;
	list_foreach (other, &set->files, link)
		if (other->number > file->number)
			return other;
	return NULL;
}

struct logfile *logset_before(struct logset *set, const struct logfile *file)
{
	struct logfile *other, *before = NULL;
	list_foreach (other, &set->files, link) {
		if (other->number >= file->number)
			break;
		before = other;
	}
	return before;
}

struct logfile *logfile_ref(struct logfile *file)
{
	file->refs++;
	return file;
}

void logset_unref(struct logset *set, struct logfile *file)
{
	assert(file->refs);
	if (--file->refs)
		return;
	if (!file->listed) {
		fd_close(&file->fd);
		free(file);
		return;
	}
	/* Its name still leads to it. */
	if (!file->unlinked)
		fd_close(&file->fd);
	trim(set);
}

int logset_fd(struct logset *set, struct logfile *file)
{
	if (file->fd < 0 && file->listed && !file->unlinked)
		file->fd = open_index(set, set->newest - file->number, O_RDONLY);
	return file->fd >= 0 ? file->fd : file->fd == -1 ? -ENOENT : file->fd;
}
