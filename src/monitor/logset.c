/*
 * `files` holds, oldest first, the files that readers may still want, and the written one at the end. Each has a number
 * that never changes; its name follows from the distance to the newest number. Without readers only the written file is
 * in the list.
 *
 * A packed file is written without a name, and gets it when it is whole; the plain one goes then, and is the one that counts as
 * long as both are there. What a crash or the set's end cuts short is begun again by a later rotation.
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
#include "base/log.h"

struct logfile {
	struct list link;
	uint64_t number;
	int fd;
	unsigned refs;
	bool listed;
	bool unlinked;
	bool is_packed; /* `fd` is, still */
	off_t size;     /* known once unlinked */
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

	struct logset_packing packing; /* of NULLs: files stay as they are */
	int packed_fd;                 /* what is being packed; -1: nothing */
	uint64_t packing_number;
};

int logset_new(int dirfd, const char *name, int64_t max_bytes, unsigned max_files, struct logset **ret)
{
	assert(max_files >= 1 && max_files <= LOGSET_FILES_MAX);
	struct logset *set = calloc(1, sizeof *set);
	if (!set)
		return -ENOMEM;
	list_init(&set->files);
	set->write_fd = set->packed_fd = -1;
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
	fd_close(&set->packed_fd);
	fd_close(&set->dirfd);
	free(set->name);
	free(set);
}

static const char plain[] = "", packed[] = ".gz";

/* "NAME", "NAME.1", "NAME.1.gz"...: 0 or -ENAMETOOLONG. */
static int file_name(const struct logset *set, uint64_t index, const char *suffix, char out[static NAME_MAX + 1])
{
	int n = index ? snprintf(out, NAME_MAX + 1, "%s.%lu%s", set->name, (unsigned long)index, suffix)
		      : snprintf(out, NAME_MAX + 1, "%s%s", set->name, suffix);
	return n < 0 || n > NAME_MAX ? -ENAMETOOLONG : 0;
}

static bool has_file(const struct logset *set, uint64_t index, const char *suffix)
{
	char name[NAME_MAX + 1];
	return file_name(set, index, suffix, name) == 0 && faccessat(set->dirfd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static int open_index(const struct logset *set, uint64_t index, const char *suffix, int flags)
{
	char name[NAME_MAX + 1];
	int ret = file_name(set, index, suffix, name);
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
	_autoclose_ int fd = open_index(set, 0, plain, O_RDWR | O_CREAT | O_APPEND);
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

/* As it is. */
static int open_file(const struct logset *set, struct logfile *file)
{
	if (file->fd >= 0 || !file->listed || file->unlinked)
		return file->fd;
	uint64_t index = set->newest - file->number;
	file->fd = open_index(set, index, plain, O_RDONLY);
	file->is_packed = file->fd == -ENOENT && index > 0 && set->packing.unpack;
	if (file->is_packed)
		file->fd = open_index(set, index, packed, O_RDONLY);
	return file->fd;
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
		if (open_file(set, file) >= 0 && fstat(file->fd, &st) == 0)
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

static int shift_name(const struct logset *set, uint64_t index, const char *suffix)
{
	char from[NAME_MAX + 1], to[NAME_MAX + 1];
	int ret = file_name(set, index, suffix, to) ?: file_name(set, index - 1, suffix, from);
	if (ret < 0)
		return ret;
	return renameat(set->dirfd, from, set->dirfd, to) < 0 && errno != ENOENT ? -errno : 0;
}

/* The oldest may be of the other form than what takes its place. */
static int drop_oldest(const struct logset *set, const char *suffix)
{
	char name[NAME_MAX + 1];
	int ret = file_name(set, set->max_files - 1, suffix, name);
	if (ret < 0)
		return ret;
	return unlinkat(set->dirfd, name, 0) < 0 && errno != ENOENT ? -errno : 0;
}

static int shift_names(struct logset *set)
{
	int ret = set->packing.pack || set->max_files == 1 ? drop_oldest(set, plain) : 0;
	if (ret == 0 && set->packing.pack)
		ret = drop_oldest(set, packed);
	for (uint64_t index = set->max_files - 1; index > 0 && ret == 0; index--) {
		ret = shift_name(set, index, plain);
		if (ret == 0 && index > 1 && set->packing.pack)
			ret = shift_name(set, index, packed);
	}
	return ret;
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

/* --- packing --- */

static int pack(struct logset *set, uint64_t index)
{
	_autoclose_ int in = open_index(set, index, plain, O_RDONLY);
	if (in < 0)
		return in;
	_autoclose_ int out = openat(set->dirfd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0640);
	if (out < 0)
		return -errno;
	int ret = set->packing.pack(set->packing.user, in, out);
	if (ret < 0)
		return ret;
	set->packed_fd = TAKE_FD(out);
	set->packing_number = set->newest - index;
	return 0;
}

/* One at a time, the newest first. One that can't be packed now is left to the next rotation. */
static void pack_next(struct logset *set)
{
	if (!set->packing.pack || set->packed_fd >= 0)
		return;
	for (uint64_t index = 1; index < set->max_files; index++) {
		if (!has_file(set, index, plain))
			continue;
		int ret = pack(set, index);
		if (ret < 0 && ret != -EBUSY)
			log_warn("a rotated log can't be compressed: %s", strerrordesc_np(-ret));
		return;
	}
}

/* It may have moved on meanwhile. */
static int take_place(struct logset *set)
{
	char from[32], name[NAME_MAX + 1], old[NAME_MAX + 1];
	uint64_t index = set->newest - set->packing_number;
	int ret = file_name(set, index, packed, name) ?: file_name(set, index, plain, old);
	if (ret < 0 || index >= set->max_files)
		return ret;
	snprintf(from, sizeof from, "/proc/self/fd/%d", set->packed_fd);
	unlinkat(set->dirfd, name, 0);
	if (linkat(AT_FDCWD, from, set->dirfd, name, AT_SYMLINK_FOLLOW) < 0 || unlinkat(set->dirfd, old, 0) < 0)
		return -errno;
	return 0;
}

void logset_packed(struct logset *set, bool ok)
{
	int ret = set->packed_fd < 0 ? 0 : ok ? take_place(set) : -EIO;
	fd_close(&set->packed_fd);
	if (ret < 0)
		log_warn("a rotated log can't be compressed: %s", strerrordesc_np(-ret));
	else
		pack_next(set);
}

void logset_set_packing(struct logset *set, const struct logset_packing *packing)
{
	set->packing = *packing;
}

/* In place of a packed file's descriptor one of what it holds. */
static int unpack(struct logset *set, struct logfile *file)
{
	_autoclose_ int out = openat(set->dirfd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0640);
	int ret = out < 0 ? -errno : lseek(file->fd, 0, SEEK_SET) < 0 ? -errno : 0;
	if (ret == 0)
		ret = set->packing.unpack(set->packing.user, file->fd, out);
	if (ret < 0)
		return ret;
	fd_close(&file->fd);
	file->fd = TAKE_FD(out);
	file->is_packed = false;
	return 0;
}

int logset_rotate(struct logset *set)
{
	int ret = set->is_shifted ? 0 : shift_once(set);
	if (ret < 0)
		return ret;
	_autoclose_ int fd = open_index(set, 0, plain, O_RDWR | O_CREAT | O_EXCL | O_APPEND);
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
	pack_next(set);
	return 0;
}

int logset_read_begin(struct logset *set)
{
	if (set->readers++)
		return 0;
	int ret = list_is_empty(&set->files) ? list_file(set, set->newest, false) : 0;
	for (uint64_t index = 1; index < set->max_files && ret == 0; index++) {
		if (has_file(set, index, plain) || (set->packing.unpack && has_file(set, index, packed)))
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
	int fd = open_file(set, file);
	int ret = fd >= 0 && file->is_packed ? unpack(set, file) : 0;
	if (ret < 0)
		return ret;
	return file->fd >= 0 ? file->fd : file->fd == -1 ? -ENOENT : file->fd;
}
