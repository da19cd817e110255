#include "archive/pack.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/xattr.h>

#include "archive/entry.h"
#include "archive/limits.h"
#include "archive/tar.h"
#include "base/io.h"
#include "base/map.h"

#define COPY_BYTES    (256 * 1024)
#define HEAD_BYTES    (4 * 1024 * 1024) /* one entry's headers: attributes make them long */
#define XATTRS_MAX    256               /* attributes of one file that are kept */
#define OPAQUE_XATTR  "trusted.overlay.opaque"
#define OPAQUE_NAME   ".wh..wh..opq"
#define INODE_KEY_MAX 40

struct pack {
	enum pack_mode mode;
	int out_fd;
	char *copy;
	size_t pending; /* bytes in `copy` that are to be written */
	struct buf head;
	struct buf xattr_values;
	char *xattr_names;
	struct tar_xattr xattrs[XATTRS_MAX];
	struct map *inodes; /* of files with several names: "DEV:INO" to the path in the archive */
	char path[LIMIT_PATH_BYTES + 1];
	size_t path_len;
	unsigned depth;
	char message[PACK_MESSAGE_SIZE];
};

struct pack *pack_new(enum pack_mode mode, int out_fd)
{
	struct pack *pack = calloc(1, sizeof(*pack));

	if (!pack)
		return NULL;
	pack->mode = mode;
	pack->out_fd = out_fd;
	buf_init(&pack->head, HEAD_BYTES);
	buf_init(&pack->xattr_values, LIMIT_XATTRS_BYTES);
	pack->copy = malloc(COPY_BYTES);
	pack->xattr_names = malloc(LIMIT_XATTR_BYTES);
	pack->inodes = map_new(free);
	if (pack->copy && pack->xattr_names && pack->inodes)
		return pack;
	pack_free(pack);
	return NULL;
}

void pack_free(struct pack *pack)
{
	if (!pack)
		return;
	free(pack->copy);
	free(pack->xattr_names);
	buf_finish(&pack->head);
	buf_finish(&pack->xattr_values);
	map_free(pack->inodes);
	free(pack);
}

const char *pack_message(const struct pack *pack)
{
	return pack->message;
}

printf_like(3, 4) static int fail(struct pack *pack, int error, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(pack->message, sizeof(pack->message), format, args);
	va_end(args);
	return error;
}

static int fail_errno(struct pack *pack, int error, const char *what)
{
	return fail(pack, error, "cannot %s /%.400s: %s", what, pack->path, strerror(-error));
}

/* ---- writing: small pieces are gathered */

static int flush(struct pack *pack)
{
	int r = io_write_full(pack->out_fd, pack->copy, pack->pending);

	pack->pending = 0;
	return r < 0 ? fail(pack, r, "cannot write the archive: %s", strerror(-r)) : 0;
}

static int put(struct pack *pack, const char *data, size_t len)
{
	while (len > 0) {
		size_t room = COPY_BYTES - pack->pending, piece = len < room ? len : room;

		memcpy(pack->copy + pack->pending, data, piece);
		pack->pending += piece;
		data += piece;
		len -= piece;
		if (pack->pending == COPY_BYTES) {
			int r = flush(pack);

			if (r < 0)
				return r;
		}
	}
	return 0;
}

static int put_zeros(struct pack *pack, int64_t len)
{
	static const char zeros[4096];
	int r = 0;

	while (r == 0 && len > 0) {
		size_t piece = len < (int64_t)sizeof(zeros) ? (size_t)len : sizeof(zeros);

		r = put(pack, zeros, piece);
		len -= (int64_t)piece;
	}
	return r;
}

static int put_header(struct pack *pack, const struct tar_entry *entry)
{
	int r;

	buf_reset(&pack->head);
	r = tar_header(entry, &pack->head);
	if (r < 0)
		return fail_errno(pack, r, "describe");
	return put(pack, pack->head.data, pack->head.len);
}

int pack_end(struct pack *pack)
{
	int r = put_zeros(pack, TAR_END_BYTES);

	return r < 0 ? r : flush(pack);
}

/* ---- paths in the archive */

static int path_set(struct pack *pack, const char *path)
{
	if (strlen(path) > LIMIT_PATH_BYTES)
		return fail(pack, -ENAMETOOLONG, "a path of the archive is longer than %d bytes", LIMIT_PATH_BYTES);
	strcpy(pack->path, path);
	pack->path_len = strlen(path);
	return 0;
}

/* Appends "/name"; without the slash where there is one or nothing before it. Returns the old length. */
static int path_push(struct pack *pack, const char *name, size_t *ret_old)
{
	size_t len = strlen(name);
	bool slash = pack->path_len > 0 && pack->path[pack->path_len - 1] != '/';

	*ret_old = pack->path_len;
	if (pack->path_len + slash + len > LIMIT_PATH_BYTES - 1) /* a folder's gets one more slash */
		return fail(pack, -ENAMETOOLONG, "a path below /%.200s... is longer than %d bytes", pack->path,
			LIMIT_PATH_BYTES);
	if (slash)
		pack->path[pack->path_len++] = '/';
	memcpy(pack->path + pack->path_len, name, len + 1);
	pack->path_len += len;
	return 0;
}

static void path_pop(struct pack *pack, size_t old)
{
	pack->path_len = old;
	pack->path[old] = '\0';
}

/* ---- attributes */

static int add_xattr(struct pack *pack, int fd, const char *name, size_t *count)
{
	size_t before = pack->xattr_values.len;
	ssize_t size;
	int r = buf_reserve(&pack->xattr_values, LIMIT_XATTR_BYTES);

	/* In no archive could a name with "=" be told from its value. */
	if (!entry_xattr_is_allowed(name) || strchr(name, '=') || *count == XATTRS_MAX)
		return 0;
	if (r < 0)
		return fail(pack, r, "/%.400s has too many extended attributes", pack->path);
	size = fgetxattr(fd, name, pack->xattr_values.data + before, LIMIT_XATTR_BYTES);
	if (size < 0)
		return 0; /* gone meanwhile, or larger than any filesystem takes */
	pack->xattr_values.len += (size_t)size;
	/* The value's place is filled in when the buffer moves no more. */
	pack->xattrs[(*count)++] = (struct tar_xattr){ .name = name, .size = (size_t)size };
	return 0;
}

/* Of an open file or folder. Filesystems without such attributes have none. */
static int read_xattrs(struct pack *pack, int fd, struct tar_entry *entry)
{
	ssize_t len = flistxattr(fd, pack->xattr_names, LIMIT_XATTR_BYTES);
	size_t count = 0, offset = 0;
	int r = 0;

	buf_reset(&pack->xattr_values);
	for (const char *name = pack->xattr_names; len > 0 && r == 0 && name < pack->xattr_names + len;
		name += strlen(name) + 1)
		r = add_xattr(pack, fd, name, &count);
	for (size_t i = 0; i < count; i++) {
		pack->xattrs[i].value = pack->xattr_values.data + offset;
		offset += pack->xattrs[i].size;
	}
	entry->xattrs = pack->xattrs;
	entry->xattr_count = count;
	return r;
}

static struct tar_entry describe(const struct pack *pack, const struct stat *st)
{
	return (struct tar_entry){
		.path = pack->path,
		.mode = st->st_mode,
		.uid = st->st_uid,
		.gid = st->st_gid,
		.size = S_ISREG(st->st_mode) ? st->st_size : 0,
		.device = st->st_rdev,
		.mtime = st->st_mtim,
	};
}

/* ---- files with several names */

/* The path of the name that came first, or NULL if this one does; it is noted then. */
static int first_name(struct pack *pack, const struct stat *st, const char **ret)
{
	char key[INODE_KEY_MAX];
	char *copy;

	*ret = NULL;
	if (st->st_nlink < 2)
		return 0;
	snprintf(key, sizeof(key), "%llx:%llx", (unsigned long long)st->st_dev, (unsigned long long)st->st_ino);
	*ret = map_get(pack->inodes, key);
	if (*ret)
		return 0;
	copy = strdup(pack->path);
	if (!copy || map_set(pack->inodes, key, copy) < 0) {
		free(copy);
		return fail(pack, -ENOMEM, "out of memory");
	}
	return 0;
}

static int put_hardlink(struct pack *pack, const struct stat *st, const char *first)
{
	struct tar_entry entry = describe(pack, st);

	entry.hardlink = first;
	entry.size = 0;
	return put_header(pack, &entry);
}

/* ---- the types */

static int put_content(struct pack *pack, int fd, int64_t size)
{
	int64_t left = size;
	int r;

	while (left > 0) {
		size_t room = COPY_BYTES - pack->pending;
		ssize_t n = read(fd, pack->copy + pack->pending, left < (int64_t)room ? (size_t)left : room);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return fail_errno(pack, -errno, "read");
		if (n == 0)
			break;
		pack->pending += (size_t)n;
		left -= n;
		if (pack->pending == COPY_BYTES && (r = flush(pack)) < 0)
			return r;
	}
	return put_zeros(pack, left + (int64_t)tar_padding(size));
}

/* What was a file a moment ago may be something else by now: only a file is read, and nothing waits in open(2). */
static int put_file(struct pack *pack, int dir_fd, const char *name)
{
	_autoclose_ int fd = openat(dir_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	struct tar_entry entry;
	struct stat st;
	const char *first;
	int r;

	if (fd < 0)
		return errno == ENOENT || errno == ELOOP || errno == ENXIO ? 0 : fail_errno(pack, -errno, "open");
	if (fstat(fd, &st) < 0)
		return fail_errno(pack, -errno, "look at");
	if (!S_ISREG(st.st_mode))
		return 0;
	r = first_name(pack, &st, &first);
	if (r < 0 || first)
		return r < 0 ? r : put_hardlink(pack, &st, first);
	entry = describe(pack, &st);
	r = read_xattrs(pack, fd, &entry);
	if (r == 0)
		r = put_header(pack, &entry);
	return r < 0 ? r : put_content(pack, fd, st.st_size);
}

static int put_symlink(struct pack *pack, int dir_fd, const char *name, const struct stat *st)
{
	struct tar_entry entry = describe(pack, st);
	char target[LIMIT_LINK_BYTES + 1];
	const char *first;
	ssize_t len = readlinkat(dir_fd, name, target, LIMIT_LINK_BYTES);
	int r;

	if (len < 0)
		return errno == ENOENT || errno == EINVAL ? 0 : fail_errno(pack, -errno, "read the link");
	target[len] = '\0';
	entry.symlink = target;
	r = first_name(pack, st, &first);
	if (r < 0 || first)
		return r < 0 ? r : put_hardlink(pack, st, first);
	return put_header(pack, &entry);
}

static int put_node(struct pack *pack, const struct stat *st)
{
	struct tar_entry entry = describe(pack, st);
	const char *first;
	int r = first_name(pack, st, &first);

	if (r < 0 || first)
		return r < 0 ? r : put_hardlink(pack, st, first);
	return put_header(pack, &entry);
}

/* An empty file beside the entry: a whiteout, or the mark of an opaque folder. */
static int put_mark(struct pack *pack, const char *prefix, const char *name)
{
	static const struct stat st = { .st_mode = S_IFREG | 0600 };
	char mark[LIMIT_COMPONENT_BYTES + 1];
	struct tar_entry entry;
	size_t old;
	int r;

	if (snprintf(mark, sizeof(mark), "%s%s", prefix, name) >= (int)sizeof(mark))
		return fail(pack, -ENAMETOOLONG, "the name of /%.400s is too long for a whiteout", pack->path);
	r = path_push(pack, mark, &old);
	if (r < 0)
		return r;
	entry = describe(pack, &st);
	r = put_header(pack, &entry);
	path_pop(pack, old);
	return r;
}

/* ---- folders */

bool pack_is_opaque(int fd)
{
	char value;

	return fgetxattr(fd, OPAQUE_XATTR, &value, 1) == 1 && value == 'y';
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int read_names(int fd, struct buf *names, size_t *count)
{
	int copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *folder = copy < 0 ? NULL : fdopendir(copy);
	const struct dirent *entry;
	int r = 0;

	if (!folder) {
		r = -errno;
		fd_close(&copy);
		return r;
	}
	errno = 0;
	while (r == 0 && (entry = readdir(folder))) {
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) {
			r = buf_append(names, entry->d_name, strlen(entry->d_name) + 1);
			(*count)++;
		}
		errno = 0;
	}
	if (r == 0 && errno)
		r = -errno;
	closedir(folder);
	return r;
}

int pack_names(int fd, struct buf *names)
{
	_cleanup_(buf_finish) struct buf unsorted = BUF_INIT(names->max);
	_cleanup_free_ const char **list = NULL;
	size_t count = 0;
	int r = read_names(fd, &unsorted, &count);

	if (r < 0 || count == 0)
		return r;
	list = calloc(count, sizeof(*list));
	if (!list)
		return -ENOMEM;
	for (size_t i = 0, at = 0; i < count; at += strlen(unsorted.data + at) + 1)
		list[i++] = unsorted.data + at;
	qsort(list, count, sizeof(*list), compare_names);
	for (size_t i = 0; r == 0 && i < count; i++)
		r = buf_append(names, list[i], strlen(list[i]) + 1);
	return r;
}

static bool is_empty_folder(int dir_fd, const char *name)
{
	_autoclose_ int fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	_cleanup_(buf_finish) struct buf names = BUF_INIT(LIMIT_COMPONENT_BYTES + 1);
	size_t count = 0;

	return fd >= 0 && read_names(fd, &names, &count) == 0 && count == 0;
}

bool pack_is_mount_stub(const char *path, const struct stat *st, int dir_fd, const char *name)
{
	static const char *const files[] = { "etc/hosts", "etc/hostname", "etc/resolv.conf" };
	static const char *const folders[] = { "proc", "sys", "dev" };

	for (size_t i = 0; i < ARRAY_SIZE(files); i++)
		if (strcmp(path, files[i]) == 0)
			return S_ISREG(st->st_mode) && st->st_size == 0;
	for (size_t i = 0; i < ARRAY_SIZE(folders); i++)
		if (strcmp(path, folders[i]) == 0)
			return S_ISDIR(st->st_mode) && is_empty_folder(dir_fd, name);
	return false;
}

static bool is_left_out(struct pack *pack, int dir_fd, const char *name, const struct stat *st)
{
	return S_ISSOCK(st->st_mode) || (pack->mode == PACK_LAYER && pack_is_mount_stub(pack->path, st, dir_fd, name));
}

static int put_one(struct pack *pack, int dir_fd, const char *name, const struct stat *st);

static int put_child(struct pack *pack, int fd, const char *name)
{
	struct stat st;
	size_t old;
	int r;

	if (fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : fail_errno(pack, -errno, "look into");
	if (pack->mode == PACK_LAYER && entry_is_hidden_whiteout(st.st_mode, st.st_rdev))
		return put_mark(pack, ".wh.", name);
	if (pack->mode == PACK_LAYER && strncmp(name, ".wh.", 4) == 0)
		return fail(pack, -EINVAL, "/%.200s/%s has a name that no layer can hold", pack->path, name);
	r = path_push(pack, name, &old);
	if (r < 0)
		return r;
	r = put_one(pack, fd, name, &st);
	path_pop(pack, old);
	return r;
}

static int put_children(struct pack *pack, int fd)
{
	_cleanup_(buf_finish) struct buf names = BUF_INIT(PACK_NAMES_BYTES);
	int r = pack_names(fd, &names);

	if (r < 0)
		return fail_errno(pack, r, "list");
	if (++pack->depth > PACK_DEPTH_MAX)
		return fail(pack, -ELOOP, "folders are nested more than %d deep", PACK_DEPTH_MAX);
	for (size_t at = 0; r == 0 && at < names.len; at += strlen(names.data + at) + 1)
		r = put_child(pack, fd, names.data + at);
	pack->depth--;
	return r;
}

static int put_folder_header(struct pack *pack, int fd)
{
	struct tar_entry entry;
	struct stat st;
	bool slash = pack->path_len == 0 || pack->path[pack->path_len - 1] != '/';
	int r;

	if (fstat(fd, &st) < 0)
		return fail_errno(pack, -errno, "look at");
	entry = describe(pack, &st);
	r = read_xattrs(pack, fd, &entry);
	if (r < 0)
		return r;
	if (slash)
		strcpy(pack->path + pack->path_len, "/");
	r = put_header(pack, &entry);
	pack->path[pack->path_len] = '\0';
	return r;
}

static int put_folder(struct pack *pack, int fd, bool itself)
{
	int r = itself ? put_folder_header(pack, fd) : 0;

	if (r == 0 && itself && pack->mode == PACK_LAYER && pack_is_opaque(fd))
		r = put_mark(pack, "", OPAQUE_NAME);
	return r < 0 ? r : put_children(pack, fd);
}

static int open_and_put_folder(struct pack *pack, int dir_fd, const char *name)
{
	_autoclose_ int fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0)
		return errno == ENOENT || errno == ELOOP || errno == ENOTDIR ? 0 : fail_errno(pack, -errno, "open");
	return put_folder(pack, fd, true);
}

static int put_one(struct pack *pack, int dir_fd, const char *name, const struct stat *st)
{
	if (is_left_out(pack, dir_fd, name, st))
		return 0;
	switch (st->st_mode & S_IFMT) {
	case S_IFREG: return put_file(pack, dir_fd, name);
	case S_IFDIR: return open_and_put_folder(pack, dir_fd, name);
	case S_IFLNK: return put_symlink(pack, dir_fd, name, st);
	default: return put_node(pack, st);
	}
}

int pack_entry(struct pack *pack, int dir_fd, const char *name, const char *path)
{
	struct stat st;
	int r = path_set(pack, path);

	if (r < 0)
		return r;
	if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : fail_errno(pack, -errno, "look at");
	return put_one(pack, dir_fd, name, &st);
}

int pack_folder(struct pack *pack, int fd, const char *path, bool itself)
{
	int r = path_set(pack, path);

	return r < 0 ? r : put_folder(pack, fd, itself);
}
