#include "archive/extract.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include "archive/entry.h"
#include "archive/rmtree.h"
#include "base/cleanup.h"
#include "sys/inroot.h"

#define READ_BLOCK_BYTES    (256 * 1024)
#define IMPLIED_FOLDER_MODE 0755
#define PLAIN_FILE_MODE     0600
#define PLAIN_FOLDER_MODE   0700
#define MODE_BITS           07777

/* The kernel's device numbers: 12 and 20 bits. */
#define DEVICE_MAJOR_MAX 0xfff
#define DEVICE_MINOR_MAX 0xfffff

/* A folder whose times wait for the end. */
struct folder {
	struct folder *next;
	struct timespec mtime;
	char path[];
};

struct extract {
	struct archive *archive;
	int root_fd;
	const struct extract_options *options;
	struct extract_report *report;
	struct buf *opaque;
	struct folder *folders;
	/* The last entry's parent: most entries follow one another in the same folder. */
	int parent_fd;
	char parent[LIMIT_PATH_BYTES + 1];
	bool replaced; /* something was: the cached parent may not be what its path says any more */
	/* Of the entry at hand. */
	char path[LIMIT_PATH_BYTES + 1];
};

/* ---- errors */

printf_like(3, 4) static int fail(struct extract *x, int error, const char *format, ...)
{
	char *message = x->report->message;
	va_list args;
	int length;

	va_start(args, format);
	length = vsnprintf(message, EXTRACT_MESSAGE_SIZE, format, args);
	va_end(args);
	if (length >= EXTRACT_MESSAGE_SIZE)
		strcpy(message + EXTRACT_MESSAGE_SIZE - 4, "...");
	x->report->error = error;
	return error;
}

/* A system call's failure at the entry at hand. */
static int fail_errno(struct extract *x, int error, const char *what)
{
	if (error == -ENOSPC || error == -EDQUOT)
		return fail(x, error, "no space left on device");
	return fail(x, error, "cannot %s %s: %s", what, x->path, strerror(-error));
}

static int fail_archive(struct extract *x)
{
	const char *text = archive_error_string(x->archive);

	return fail(x, -EBADMSG, "the archive is damaged: %s", text ? text : "unknown error");
}

/* ---- parents */

static void parent_forget(struct extract *x)
{
	fd_close(&x->parent_fd);
	x->replaced = false;
}

static int opaque_add(struct extract *x, const char *path)
{
	int r;

	if (!*path) {
		x->report->opaque_root = 1;
		return 0;
	}
	r = buf_append(x->opaque, path, strlen(path) + 1);
	if (r == -EFBIG)
		return fail(x, r, "the layer has too many opaque folders");
	return r < 0 ? fail_errno(x, r, "note") : 0;
}

/* A whiteout in the way of `path`'s parent: `.wh.a` came before `a/b`, so `a` is a new folder that hides the old one. */
static int whiteout_to_folder(struct extract *x, const char *path)
{
	char prefix[LIMIT_PATH_BYTES + 1];

	for (const char *slash = path; (slash = strchr(slash, '/')); slash++) {
		const char *name;
		struct stat st;
		_autoclose_ int dir_fd = -1;

		memcpy(prefix, path, (size_t)(slash - path));
		prefix[slash - path] = '\0';
		dir_fd = inroot_parent(x->root_fd, prefix, IMPLIED_FOLDER_MODE, &name);
		if (dir_fd < 0)
			return dir_fd;
		if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			return -errno;
		if (!entry_is_hidden_whiteout(st.st_mode, st.st_rdev))
			continue;
		if (unlinkat(dir_fd, name, 0) < 0 || mkdirat(dir_fd, name, IMPLIED_FOLDER_MODE) < 0)
			return -errno;
		return opaque_add(x, prefix);
	}
	return -ENOTDIR;
}

/* The parent of a cleaned, non-empty path, made where missing; *ret_fd is borrowed from the cache. */
static int parent_open(struct extract *x, const char *path, int *ret_fd, const char **ret_name)
{
	const char *slash = strrchr(path, '/');
	size_t len = slash ? (size_t)(slash - path) : 0;
	int fd;

	*ret_name = slash ? slash + 1 : path;
	if (x->parent_fd >= 0 && strlen(x->parent) == len && memcmp(x->parent, path, len) == 0) {
		*ret_fd = x->parent_fd;
		return 0;
	}
	fd = inroot_parent(x->root_fd, path, IMPLIED_FOLDER_MODE, ret_name);
	if (fd == -ENOTDIR) {
		int r = whiteout_to_folder(x, path);

		fd = r < 0 ? r : inroot_parent(x->root_fd, path, IMPLIED_FOLDER_MODE, ret_name);
	}
	if (fd < 0)
		return fail_errno(x, fd, "make the folder for");
	parent_forget(x);
	x->parent_fd = fd;
	memcpy(x->parent, path, len);
	x->parent[len] = '\0';
	*ret_fd = fd;
	return 0;
}

/* ---- what is in the way */

/* With no_overwrite a folder and something else don't replace each other. */
static int check_overwrite(struct extract *x, bool was_folder)
{
	if (!x->options->no_overwrite)
		return 0;
	return was_folder ? fail(x, -EISDIR, "cannot overwrite directory \"/%s\" with non-directory", x->path)
			  : fail(x, -ENOTDIR, "cannot overwrite non-directory \"/%s\" with directory", x->path);
}

/* Removes what has the entry's name; *ret_whiteout says that it was one. */
static int replace(struct extract *x, int dir_fd, const char *name, bool *ret_whiteout)
{
	struct stat st;
	int r;

	if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return fail_errno(x, -errno, "look at");
	*ret_whiteout = entry_is_hidden_whiteout(st.st_mode, st.st_rdev);
	x->replaced = true;
	if (!S_ISDIR(st.st_mode)) {
		if (unlinkat(dir_fd, name, 0) < 0)
			return fail_errno(x, -errno, "replace");
		return 0;
	}
	r = check_overwrite(x, true);
	if (r < 0)
		return r;
	r = rmtree(dir_fd, name);
	return r < 0 ? fail_errno(x, r, "replace") : 0;
}

/* ---- attributes */

static struct timespec entry_mtime(struct archive_entry *entry)
{
	struct timespec mtime = { 0 };

	if (archive_entry_mtime_is_set(entry)) {
		mtime.tv_sec = entry_clamp_mtime(archive_entry_mtime(entry));
		if (mtime.tv_sec == archive_entry_mtime(entry))
			mtime.tv_nsec = archive_entry_mtime_nsec(entry);
	}
	return mtime;
}

static int set_xattr(struct extract *x, int fd, const char *name, const void *value, size_t size)
{
	if (!entry_xattr_is_allowed(name))
		return 0;
	/* A filesystem without such attributes is no reason to refuse the image. */
	if (fsetxattr(fd, name, value, size, 0) == 0 || errno == EOPNOTSUPP)
		return 0;
	if (errno == EPERM && x->options->owner == EXTRACT_OWNER_OURS)
		return 0;
	/* Some have room for a few kilobytes a file only, and call that a full device. */
	return fail(x, -errno, "cannot set an extended attribute of %s: %s", x->path, strerror(errno));
}

static int set_xattrs(struct extract *x, struct archive_entry *entry, int fd)
{
	size_t total = 0, size;
	const char *name;
	const void *value;
	int r = 0;

	archive_entry_xattr_reset(entry);
	while (r == 0 && archive_entry_xattr_next(entry, &name, &value, &size) == ARCHIVE_OK) {
		total += size + strlen(name);
		if (size > LIMIT_XATTR_BYTES || total > LIMIT_XATTRS_BYTES)
			return fail(x, -E2BIG, "%s has extended attributes of more than %d bytes", x->path,
				size > LIMIT_XATTR_BYTES ? LIMIT_XATTR_BYTES : LIMIT_XATTRS_BYTES);
		r = set_xattr(x, fd, name, value, size);
	}
	return r;
}

static bool owner_of(const struct extract *x, struct archive_entry *entry, uid_t *uid, gid_t *gid)
{
	*uid = (uid_t)archive_entry_uid(entry);
	*gid = (gid_t)archive_entry_gid(entry);
	if (x->options->owner == EXTRACT_OWNER_GIVEN) {
		*uid = x->options->uid;
		*gid = x->options->gid;
	}
	return x->options->owner != EXTRACT_OWNER_OURS;
}

/* Owner, mode, attributes and time of an open file or folder, in the order that keeps all of them. */
static int set_attributes(struct extract *x, struct archive_entry *entry, int fd, bool times)
{
	struct timespec mtime = entry_mtime(entry);
	struct timespec both[2] = { mtime, mtime };
	uid_t uid;
	gid_t gid;
	int r;

	if (x->options->mode == EXTRACT_FILES)
		return 0;
	if (owner_of(x, entry, &uid, &gid) && fchown(fd, uid, gid) < 0)
		return fail_errno(x, -errno, "change the owner of");
	if (fchmod(fd, archive_entry_perm(entry) & MODE_BITS) < 0)
		return fail_errno(x, -errno, "change the mode of");
	r = set_xattrs(x, entry, fd);
	if (r < 0)
		return r;
	if (times && futimens(fd, both) < 0)
		return fail_errno(x, -errno, "set the time of");
	return 0;
}

/* The same for what can't be opened: links, which have no mode, and devices, which were made with theirs. */
static int set_attributes_at(struct extract *x, struct archive_entry *entry, int dir_fd, const char *name)
{
	struct timespec mtime = entry_mtime(entry);
	struct timespec both[2] = { mtime, mtime };
	uid_t uid;
	gid_t gid;

	if (x->options->mode == EXTRACT_FILES)
		return 0;
	if (owner_of(x, entry, &uid, &gid) && fchownat(dir_fd, name, uid, gid, AT_SYMLINK_NOFOLLOW) < 0)
		return fail_errno(x, -errno, "change the owner of");
	if (utimensat(dir_fd, name, both, AT_SYMLINK_NOFOLLOW) < 0)
		return fail_errno(x, -errno, "set the time of");
	return 0;
}

/* ---- regular files */

static int write_at(int fd, const char *data, size_t len, int64_t offset)
{
	while (len > 0) {
		ssize_t n = pwrite(fd, data, len, offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		data += n;
		len -= (size_t)n;
		offset += n;
	}
	return 0;
}

/* Holes of sparse files stay holes. */
static int write_content(struct extract *x, int fd, int64_t size)
{
	int64_t offset, end = 0;
	const void *data;
	size_t len;
	int r;

	for (;;) {
		r = archive_read_data_block(x->archive, &data, &len, &offset);
		if (r == ARCHIVE_EOF)
			break;
		if (r == ARCHIVE_WARN)
			r = ARCHIVE_OK;
		if (r != ARCHIVE_OK)
			return fail_archive(x);
		r = write_at(fd, data, len, offset);
		if (r < 0)
			return fail_errno(x, r, "write");
		if (len > 0)
			end = offset + (int64_t)len;
	}
	if (end < size && ftruncate(fd, size) < 0)
		return fail_errno(x, -errno, "write");
	return 0;
}

static int make_file(struct extract *x, struct archive_entry *entry, int dir_fd, const char *name)
{
	_autoclose_ int fd = openat(dir_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
		PLAIN_FILE_MODE);
	int64_t size = archive_entry_size(entry);
	int r;

	if (fd < 0)
		return -errno;
	if (size < 0)
		return fail(x, -EBADMSG, "%s has a negative size", x->path);
	if (archive_entry_sparse_count(entry) > LIMIT_SPARSE_ENTRIES)
		return fail(x, -E2BIG, "%s has more than %d holes", x->path, LIMIT_SPARSE_ENTRIES);
	r = write_content(x, fd, size);
	if (r < 0)
		return r;
	if (__builtin_add_overflow(x->report->size_bytes, size, &x->report->size_bytes))
		return fail(x, -E2BIG, "the layer's files are larger than can be counted");
	return set_attributes(x, entry, fd, true);
}

/* ---- folders */

static int folder_note(struct extract *x, struct archive_entry *entry)
{
	size_t len = strlen(x->path);
	struct folder *folder = malloc(sizeof(*folder) + len + 1);

	if (!folder)
		return fail_errno(x, -ENOMEM, "note");
	folder->mtime = entry_mtime(entry);
	memcpy(folder->path, x->path, len + 1);
	folder->next = x->folders;
	x->folders = folder;
	return 0;
}

static int folder_attributes(struct extract *x, struct archive_entry *entry, int dir_fd, const char *name)
{
	_autoclose_ int fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	int r;

	if (fd < 0)
		return fail_errno(x, -errno, "open");
	r = set_attributes(x, entry, fd, false);
	return r < 0 ? r : folder_note(x, entry);
}

/* A folder that exists keeps what is in it; anything else of that name goes. */
static int make_folder(struct extract *x, struct archive_entry *entry, int dir_fd, const char *name)
{
	struct stat st;
	bool whiteout;
	int r;

	if (mkdirat(dir_fd, name, PLAIN_FOLDER_MODE) == 0)
		return folder_attributes(x, entry, dir_fd, name);
	if (errno != EEXIST)
		return fail_errno(x, -errno, "make");
	if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return fail_errno(x, -errno, "look at");
	if (!S_ISDIR(st.st_mode)) {
		r = check_overwrite(x, false);
		if (r == 0)
			r = replace(x, dir_fd, name, &whiteout);
		if (r < 0)
			return r;
		if (mkdirat(dir_fd, name, PLAIN_FOLDER_MODE) < 0)
			return fail_errno(x, -errno, "make");
		if (whiteout && opaque_add(x, x->path) < 0)
			return x->report->error;
	}
	return folder_attributes(x, entry, dir_fd, name);
}

/* Backwards, so that the innermost come first; what was replaced since is not there or no folder. */
static int folders_finish(struct extract *x)
{
	for (; x->folders;) {
		struct folder *folder = x->folders;
		struct timespec both[2] = { folder->mtime, folder->mtime };
		_autoclose_ int fd = inroot_open(x->root_fd, *folder->path ? folder->path : "/",
			O_RDONLY | O_DIRECTORY | O_NOFOLLOW);

		if (x->report->error == 0 && x->options->mode != EXTRACT_FILES && fd >= 0 && futimens(fd, both) < 0) {
			snprintf(x->path, sizeof(x->path), "%s", folder->path);
			fail_errno(x, -errno, "set the time of");
		}
		x->folders = folder->next;
		free(folder);
	}
	return x->report->error;
}

/* ---- links, devices */

static int make_symlink(struct extract *x, struct archive_entry *entry, int dir_fd, const char *name)
{
	const char *target = archive_entry_symlink(entry);

	if (!target || !*target)
		return fail(x, -EINVAL, "%s is a symbolic link to nothing", x->path);
	if (strlen(target) > LIMIT_LINK_BYTES)
		return fail(x, -ENAMETOOLONG, "%s is a symbolic link to a path of more than %d bytes", x->path,
			LIMIT_LINK_BYTES);
	if (symlinkat(target, dir_fd, name) < 0)
		return -errno;
	return set_attributes_at(x, entry, dir_fd, name);
}

static void drop_top(char *path)
{
	char *rest = strchr(path, '/');

	if (rest)
		memmove(path, rest + 1, strlen(rest + 1) + 1);
	else
		*path = '\0';
}

/* A cleaned path of the archive becomes one below the root. */
static int to_place(const struct extract *x, char path[static LIMIT_PATH_BYTES + 1])
{
	size_t place = x->options->place ? strlen(x->options->place) : 0, len;

	if (x->options->renames && x->options->has_top)
		drop_top(path);
	len = strlen(path);
	if (place == 0)
		return 0;
	if (place + 1 + len > LIMIT_PATH_BYTES)
		return -ENAMETOOLONG;
	memmove(path + place + (len > 0), path, len + 1);
	memcpy(path, x->options->place, place);
	if (len > 0)
		path[place] = '/';
	return 0;
}

/* The target is looked up before the name is made free: a link to itself must not lose the file. */
static int hardlink_target(struct extract *x, const char *raw, int *ret_dir_fd, const char **ret_name,
	char clean[static LIMIT_PATH_BYTES + 1])
{
	_autoclose_ int dir_fd = -1;
	struct stat st;
	int r;

	r = entry_clean_path(raw, clean);
	if (r == -EXDEV)
		return fail(x, r, "%s is a hard link to a path outside of the archive: %s", x->path, raw);
	if (r < 0 || !*clean)
		return fail(x, r < 0 ? r : -EINVAL, "%s is a hard link to a bad path", x->path);
	r = to_place(x, clean);
	if (r < 0)
		return fail(x, r, "%s is a hard link to a path that is too long", x->path);
	dir_fd = inroot_open(x->root_fd, "/", O_PATH | O_DIRECTORY);
	if (strchr(clean, '/')) {
		char parent[LIMIT_PATH_BYTES + 1];

		fd_close(&dir_fd);
		snprintf(parent, sizeof(parent), "%.*s", (int)(strrchr(clean, '/') - clean), clean);
		dir_fd = inroot_open(x->root_fd, parent, O_PATH | O_DIRECTORY);
	}
	*ret_name = strchr(clean, '/') ? strrchr(clean, '/') + 1 : clean;
	if (dir_fd < 0 || fstatat(dir_fd, *ret_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return fail(x, -ENOENT, "%s is a hard link to %s, which is not in this layer", x->path, clean);
	if (!S_ISREG(st.st_mode) && !S_ISLNK(st.st_mode))
		return fail(x, -EINVAL, "%s is a hard link to %s, which is neither a file nor a symbolic link", x->path,
			clean);
	*ret_dir_fd = TAKE_FD(dir_fd);
	return 0;
}

static int make_hardlink(struct extract *x, struct archive_entry *entry, int dir_fd, const char *name)
{
	char clean[LIMIT_PATH_BYTES + 1];
	_autoclose_ int target_fd = -1;
	const char *target = NULL;
	struct stat old, new;
	bool whiteout;
	int r;

	r = hardlink_target(x, archive_entry_hardlink(entry), &target_fd, &target, clean);
	if (r < 0)
		return r;
	if (linkat(target_fd, target, dir_fd, name, 0) == 0)
		return 0;
	if (errno != EEXIST)
		return fail_errno(x, -errno, "link");
	if (fstatat(target_fd, target, &old, AT_SYMLINK_NOFOLLOW) == 0 &&
		fstatat(dir_fd, name, &new, AT_SYMLINK_NOFOLLOW) == 0 && old.st_ino == new.st_ino)
		return 0;
	r = replace(x, dir_fd, name, &whiteout);
	if (r < 0)
		return r;
	return linkat(target_fd, target, dir_fd, name, 0) < 0 ? fail_errno(x, -errno, "link") : 0;
}

static int make_node(struct extract *x, struct archive_entry *entry, int dir_fd, const char *name)
{
	mode_t type = archive_entry_filetype(entry);
	dev_t major = archive_entry_rdevmajor(entry), minor = archive_entry_rdevminor(entry);
	dev_t device = 0;

	if (!S_ISFIFO(type)) {
		if (major > DEVICE_MAJOR_MAX || minor > DEVICE_MINOR_MAX)
			return fail(x, -ERANGE, "the device number of %s is out of range", x->path);
		device = makedev((unsigned)major, (unsigned)minor);
	}
	if (entry_is_hidden_whiteout(type, device))
		return fail(x, -EINVAL, "%s is a character device 0:0, which only a whiteout may become", x->path);
	if (mknodat(dir_fd, name, type | (archive_entry_perm(entry) & MODE_BITS), device) < 0)
		return -errno;
	return set_attributes_at(x, entry, dir_fd, name);
}

/* ---- entries */

typedef int make_fn(struct extract *x, struct archive_entry *entry, int dir_fd, const char *name);

static make_fn *maker(struct extract *x, struct archive_entry *entry)
{
	bool nodes = x->options->mode != EXTRACT_FILES;

	if (archive_entry_hardlink(entry))
		return make_hardlink;
	switch (archive_entry_filetype(entry)) {
	case AE_IFREG: return make_file;
	case AE_IFDIR: return make_folder;
	case AE_IFLNK: return make_symlink;
	case AE_IFCHR:
	case AE_IFBLK:
	case AE_IFIFO: return nodes ? make_node : NULL;
	default: return NULL;
	}
}

/* A maker answers -EEXIST without a message if its name is taken: then that goes, and it is asked once more. */
static int make_entry(struct extract *x, struct archive_entry *entry)
{
	make_fn *make = maker(x, entry);
	const char *name;
	bool whiteout;
	int dir_fd, r;

	if (!make)
		return fail(x, -EINVAL, "%s is of a type that an archive may not hold here", x->path);
	r = parent_open(x, x->path, &dir_fd, &name);
	if (r < 0)
		return r;
	r = make(x, entry, dir_fd, name);
	if (r == -EEXIST && x->report->error == 0) {
		r = replace(x, dir_fd, name, &whiteout);
		if (r < 0)
			return r;
		r = make(x, entry, dir_fd, name);
	}
	if (x->replaced)
		parent_forget(x);
	return r < 0 && x->report->error == 0 ? fail_errno(x, r, "make") : r;
}

/* The archive's "./": attributes for the root folder and nothing else. */
static int root_entry(struct extract *x, struct archive_entry *entry)
{
	_autoclose_ int fd = -1;
	int r;

	if (archive_entry_filetype(entry) != AE_IFDIR || archive_entry_hardlink(entry))
		return fail(x, -EINVAL, "the archive's root is not a folder");
	if (x->options->mode == EXTRACT_COPY)
		return 0;
	fd = inroot_open(x->root_fd, "/", O_RDONLY | O_DIRECTORY);
	if (fd < 0)
		return fail_errno(x, fd, "open");
	r = set_attributes(x, entry, fd, false);
	return r < 0 ? r : folder_note(x, entry);
}

/* A whiteout below a symlink would hide something else than it says: every folder above it is a real one. */
static int whiteout_check_parent(struct extract *x)
{
	_autoclose_ int fd = inroot_open(x->root_fd, "/", O_PATH | O_DIRECTORY);
	char path[LIMIT_PATH_BYTES + 1];
	char *component = path;

	memcpy(path, x->path, strlen(x->path) + 1);
	for (char *slash; fd >= 0 && (slash = strchr(component, '/')); component = slash + 1) {
		int next_fd;

		*slash = '\0';
		next_fd = inroot_plain_dir(fd, component);
		fd_close(&fd);
		fd = next_fd;
	}
	return fd < 0 ? fail(x, -EINVAL, "%s is a whiteout below a symbolic link", x->path) : 0;
}

static int whiteout_entry(struct extract *x, const char *hidden)
{
	char path[LIMIT_PATH_BYTES + 1];
	const char *name;
	struct stat st;
	int dir_fd, r;

	r = parent_open(x, x->path, &dir_fd, &name);
	if (r < 0)
		return r;
	r = whiteout_check_parent(x);
	if (r < 0)
		return r;
	if (mknodat(dir_fd, hidden, S_IFCHR, 0) == 0)
		return 0;
	if (errno != EEXIST)
		return fail_errno(x, -errno, "make the whiteout");
	if (fstatat(dir_fd, hidden, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return fail_errno(x, -errno, "look at");
	if (!S_ISDIR(st.st_mode))
		return 0;
	snprintf(path, sizeof(path), "%.*s%s", (int)(name - x->path), x->path, hidden);
	return opaque_add(x, path);
}

static int opaque_entry(struct extract *x)
{
	char path[LIMIT_PATH_BYTES + 1];
	const char *name;
	int dir_fd, r;

	r = parent_open(x, x->path, &dir_fd, &name);
	if (r < 0)
		return r;
	r = whiteout_check_parent(x);
	if (r < 0)
		return r;
	snprintf(path, sizeof(path), "%.*s", name > x->path ? (int)(name - x->path) - 1 : 0, x->path);
	return opaque_add(x, path);
}

static int check_entry(struct extract *x, struct archive_entry *entry)
{
	const char *raw = archive_entry_pathname(entry);
	int r;

	if (++x->report->entries > x->options->entries_max)
		return fail(x, -E2BIG, "the archive has more than %lld entries", (long long)x->options->entries_max);
	r = raw ? entry_clean_path(raw, x->path) : -EINVAL;
	if (r == -EXDEV)
		return fail(x, r, "an entry's path leads outside of the archive: %.512s", raw);
	if (r == -ENAMETOOLONG)
		return fail(x, r, "an entry's path is too long: %.512s", raw);
	if (r < 0)
		return fail(x, r, "an entry has no usable path");
	if (!entry_id_is_valid(archive_entry_uid(entry)) || !entry_id_is_valid(archive_entry_gid(entry)))
		return fail(x, -ERANGE, "the owner of %s is out of range", x->path);
	return 0;
}

static int one_entry(struct extract *x, struct archive_entry *entry)
{
	const char *hidden;
	int r = check_entry(x, entry);

	if (r < 0)
		return r;
	if (!*x->path && !x->options->renames)
		return root_entry(x, entry);
	r = to_place(x, x->path);
	if (r < 0)
		return fail(x, r, "an entry's path is too long below the place it is copied to");
	if (x->options->mode != EXTRACT_LAYER)
		return make_entry(x, entry);
	switch (entry_mark(x->path, &hidden)) {
	case ENTRY_WHITEOUT: return whiteout_entry(x, hidden);
	case ENTRY_OPAQUE: return opaque_entry(x);
	case ENTRY_IGNORED: return 0;
	case ENTRY_REFUSED: return fail(x, -EINVAL, "%s is no valid whiteout", x->path);
	case ENTRY_PLAIN:
	default: return make_entry(x, entry);
	}
}

static int all_entries(struct extract *x)
{
	struct archive_entry *entry;
	int r;

	for (;;) {
		r = archive_read_next_header(x->archive, &entry);
		if (r == ARCHIVE_EOF)
			return 0;
		if (r != ARCHIVE_OK && r != ARCHIVE_WARN)
			return fail_archive(x);
		r = one_entry(x, entry);
		if (r < 0)
			return r;
	}
}

/* Padding after the end marker is part of what the parent hashes and writes into our pipe. */
static int drain(int fd)
{
	char data[64 * 1024];
	ssize_t n;

	do
		n = read(fd, data, sizeof(data));
	while (n > 0 || (n < 0 && errno == EINTR));
	return n < 0 ? -errno : 0;
}

static int archive_open(struct extract *x, int in_fd)
{
	x->archive = archive_read_new();
	if (!x->archive)
		return fail(x, -ENOMEM, "out of memory");
	archive_read_support_format_tar(x->archive);
	archive_read_support_format_empty(x->archive);
	if (archive_read_open_fd(x->archive, in_fd, READ_BLOCK_BYTES) != ARCHIVE_OK)
		return fail_archive(x);
	return 0;
}

int extract(int in_fd, int root_fd, const struct extract_options *options, struct extract_report *report,
	struct buf *opaque)
{
	struct extract x = {
		.root_fd = root_fd, .options = options, .report = report, .opaque = opaque, .parent_fd = -1
	};
	int r;

	memset(report, 0, sizeof(*report));
	umask(0);
	r = archive_open(&x, in_fd);
	if (r == 0)
		r = all_entries(&x);
	if (r == 0) {
		r = drain(in_fd);
		if (r < 0)
			fail_errno(&x, r, "read");
	}
	folders_finish(&x);
	parent_forget(&x);
	archive_read_free(x.archive);
	report->opaque_bytes = (uint32_t)opaque->len;
	return report->error;
}
