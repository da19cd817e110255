/*
 * Theory. Opening what exists is one openat2(RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS): the kernel holds the invariant and
 * says -EAGAIN when a concurrent rename or mount made it unsure.
 *
 * Making what is missing has no such call, so a walker goes one component at a time from a descriptor it holds, always with
 * O_NOFOLLOW: a symlink is read and its text put in front of what is left, ".." is taken back lexically (the part walked so
 * far holds no symlinks) and reopened from the root by openat2. A component is made with mkdirat or O_CREAT | O_EXCL on the
 * parent's descriptor; if somebody was faster, the component is looked at again. So nothing outside the root is ever opened
 * or made, whatever is swapped meanwhile: the worst is a new folder elsewhere inside the same tree.
 */
#include "sys/inroot.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "base/cleanup.h"
#include "base/clock.h"

static int open_resolved(int dir_fd, const char *path, int flags, uint64_t resolve)
{
	struct open_how how = { .flags = (uint64_t)(flags | O_CLOEXEC), .resolve = resolve };
	int64_t deadline = 0;

	for (;;) {
		long fd = syscall(SYS_openat2, dir_fd, path, &how, sizeof(how));
		if (fd >= 0)
			return (int)fd;
		if (errno == EINTR)
			continue;
		if (errno != EAGAIN)
			return -errno;
		if (deadline == 0)
			deadline = clock_monotonic_ms() + INROOT_RETRY_MS;
		else if (clock_monotonic_ms() >= deadline)
			return -EAGAIN;
	}
}

int inroot_open(int root_fd, const char *path, int flags)
{
	return open_resolved(root_fd, *path ? path : ".", flags, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS);
}

int inroot_open_beneath(int root_fd, const char *path, int flags)
{
	return open_resolved(root_fd, *path ? path : ".", flags, RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS);
}

int inroot_plain_dir(int dir_fd, const char *name)
{
	return open_resolved(dir_fd, name, O_PATH | O_DIRECTORY | O_NOFOLLOW,
		RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_SYMLINKS);
}

enum walk_goal { WALK_DIR, WALK_FILE, WALK_LOOK };

struct walk {
	int root_fd;
	int fd;                  /* where the walk stands; O_PATH, ours */
	char done[PATH_MAX];     /* the way from the root to fd, without symlinks; "" at the root */
	char todo[2 * PATH_MAX]; /* what is left, leading slashes included */
	unsigned symlinks;
	mode_t mode;
	enum walk_goal goal;
	bool is_file; /* fd is the wanted non-directory */
};

static int walk_stand_on(struct walk *walk, int fd)
{
	fd_close(&walk->fd);
	walk->fd = fd;
	return fd < 0 ? fd : 0;
}

static int walk_to_root(struct walk *walk)
{
	walk->done[0] = '\0';
	return walk_stand_on(walk, inroot_open(walk->root_fd, ".", O_PATH | O_DIRECTORY));
}

static int walk_up(struct walk *walk)
{
	char *slash = strrchr(walk->done, '/');

	*(slash ? slash : walk->done) = '\0';
	if (walk->done[0] == '\0')
		return walk_to_root(walk);
	return walk_stand_on(walk, open_resolved(walk->root_fd, walk->done, O_PATH | O_DIRECTORY | O_NOFOLLOW,
					   RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_SYMLINKS));
}

/* The part that is missing: nothing below it can be a link. */
static int walk_note(struct walk *walk, const char *name)
{
	size_t used = strlen(walk->done);
	int len = snprintf(walk->done + used, sizeof(walk->done) - used, "%s%s%s", used ? "/" : "", name, walk->todo);

	walk->todo[0] = '\0';
	return len < 0 || (size_t)len >= sizeof(walk->done) - used ? -ENAMETOOLONG : 0;
}

static int walk_into(struct walk *walk, const char *name, int fd)
{
	size_t used = strlen(walk->done);
	int len = snprintf(walk->done + used, sizeof(walk->done) - used, "%s%s", used ? "/" : "", name);

	if (len < 0 || (size_t)len >= sizeof(walk->done) - used) {
		fd_close(&fd);
		return -ENAMETOOLONG;
	}
	return walk_stand_on(walk, fd);
}

/* Puts the link's text in front of what is left. */
static int walk_symlink(struct walk *walk, int link_fd)
{
	char target[PATH_MAX];
	ssize_t len = readlinkat(link_fd, "", target, sizeof(target) - 1);

	if (len < 0)
		return -errno;
	target[len] = '\0';
	if (++walk->symlinks > INROOT_SYMLINKS_MAX)
		return -ELOOP;

	size_t rest = strlen(walk->todo);
	if ((size_t)len + 1 + rest >= sizeof(walk->todo))
		return -ENAMETOOLONG;
	memmove(walk->todo + len + 1, walk->todo, rest + 1);
	memcpy(walk->todo, target, (size_t)len);
	walk->todo[len] = '/';
	if (rest == 0)
		walk->todo[len] = '\0';
	return target[0] == '/' ? walk_to_root(walk) : 0;
}

/* Cuts the next component off `todo` into `name`; false when nothing is left. `is_last`: nothing but slashes follows. */
static bool walk_next(struct walk *walk, char name[NAME_MAX + 1], bool *is_last, int *error)
{
	const char *start = walk->todo + strspn(walk->todo, "/");
	size_t len = strcspn(start, "/");

	*error = len > NAME_MAX ? -ENAMETOOLONG : 0;
	if (len == 0 || *error)
		return false;
	memcpy(name, start, len);
	name[len] = '\0';
	const char *rest = start + len;
	*is_last = rest[strspn(rest, "/")] == '\0';
	memmove(walk->todo, rest, strlen(rest) + 1);
	return true;
}

static int make_component(struct walk *walk, const char *name, bool as_file)
{
	/* The folders on the way to a file are for those who may read it. */
	mode_t folder_mode = walk->goal == WALK_FILE ? walk->mode | (walk->mode & 0444) >> 2 : walk->mode;

	if (!as_file)
		return mkdirat(walk->fd, name, folder_mode) == 0 || errno == EEXIST ? 0 : -errno;

	int fd = openat(walk->fd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY, walk->mode);
	if (fd < 0)
		return errno == EEXIST ? 0 : -errno;
	fd_close(&fd);
	return 0;
}

/* One component: entered, made and entered, or expanded. Bounded: every round of making means that somebody removed it. */
static int walk_step(struct walk *walk, const char *name, bool is_last)
{
	bool as_file = is_last && walk->goal == WALK_FILE;

	for (int attempt = 0; attempt < 128; attempt++) {
		_autoclose_ int fd = openat(walk->fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
		struct stat st;
		if (fd < 0 && walk->goal == WALK_LOOK)
			return errno == ENOENT ? walk_note(walk, name) : -errno;
		if (fd < 0 && errno == ENOENT) {
			int r = make_component(walk, name, as_file);
			if (r < 0)
				return r;
			continue;
		}
		if (fd < 0 || fstat(fd, &st) < 0)
			return -errno;
		if (S_ISLNK(st.st_mode))
			return walk_symlink(walk, fd);
		if (!S_ISDIR(st.st_mode) && !as_file && !(walk->goal == WALK_LOOK && is_last))
			return -ENOTDIR;
		walk->is_file = !S_ISDIR(st.st_mode);
		return walk_into(walk, name, TAKE_FD(fd));
	}
	return -EAGAIN;
}

/* Returns the descriptor at the end of the walk. */
static int walk_run(struct walk *walk, int root_fd, const char *path, mode_t mode, enum walk_goal goal)
{
	char name[NAME_MAX + 1];
	bool is_last;
	int error = 0;

	walk->root_fd = root_fd;
	walk->fd = -1;
	walk->symlinks = 0;
	walk->mode = mode;
	walk->goal = goal;
	walk->is_file = false;
	if (strlen(path) >= PATH_MAX)
		return -ENAMETOOLONG;
	strcpy(walk->todo, path);

	error = walk_to_root(walk);
	while (error == 0 && walk_next(walk, name, &is_last, &error)) {
		if (strcmp(name, "..") == 0)
			error = walk_up(walk);
		else if (strcmp(name, ".") != 0)
			error = walk_step(walk, name, is_last);
	}
	if (error < 0)
		fd_close(&walk->fd);
	return error < 0 ? error : walk->fd;
}

int inroot_resolve(int root_fd, const char *path, char *out, size_t size)
{
	struct walk walk;
	int fd = walk_run(&walk, root_fd, path, 0, WALK_LOOK);

	if (fd < 0)
		return fd;
	fd_close(&fd);
	return snprintf(out, size, "/%s", walk.done) >= (int)size ? -ENAMETOOLONG : 0;
}

static int walk_making(int root_fd, const char *path, mode_t mode)
{
	struct walk walk;

	return walk_run(&walk, root_fd, path, mode, WALK_DIR);
}

/* Most often the last folder alone is missing, and a walk is not needed. -ENOENT: it is, or somebody is at work here, too. */
static int make_last(int root_fd, const char *path, mode_t mode)
{
	char parent[NAME_MAX + 1];
	const char *slash = strrchr(path, '/');
	const char *name = slash ? slash + 1 : path;
	size_t len = (size_t)(name - path);

	if (*name == '\0' || strcmp(name, ".") == 0 || strcmp(name, "..") == 0 || len >= sizeof(parent))
		return -ENOENT;
	memcpy(parent, path, len);
	parent[len] = '\0';
	_autoclose_ int fd = inroot_open(root_fd, parent, O_PATH | O_DIRECTORY);
	if (fd < 0 || mkdirat(fd, name, mode) < 0)
		return -ENOENT;
	int made = inroot_plain_dir(fd, name);
	return made < 0 ? -ENOENT : made;
}

int inroot_mkdir_p(int root_fd, const char *path, mode_t mode)
{
	int fd = inroot_open(root_fd, path, O_PATH | O_DIRECTORY);

	if (fd == -ENOENT)
		fd = make_last(root_fd, path, mode);
	return fd == -ENOENT ? walk_making(root_fd, path, mode) : fd;
}

int inroot_create(int root_fd, const char *path, mode_t mode)
{
	struct walk walk;
	int fd = inroot_open(root_fd, path, O_PATH);

	return fd == -ENOENT ? walk_run(&walk, root_fd, path, mode, WALK_FILE) : fd;
}

int inroot_mount_target(int root_fd, const char *path, bool is_dir)
{
	_autoclose_ int fd = is_dir ? inroot_mkdir_p(root_fd, path, 0755) : inroot_create(root_fd, path, 0644);
	struct stat st;

	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (!is_dir && S_ISDIR(st.st_mode))
		return -EISDIR;
	return TAKE_FD(fd);
}

int inroot_mount_target_nofollow(int root_fd, const char *path, bool is_dir)
{
	const char *name;
	_autoclose_ int parent = inroot_parent(root_fd, path, 0755, &name);

	if (parent < 0)
		return parent;
	int fd = openat(parent, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (fd >= 0 || errno != ENOENT)
		return fd < 0 ? -errno : fd;
	if (is_dir)
		return mkdirat(parent, name, 0755) < 0 ? -errno : inroot_plain_dir(parent, name);
	fd = openat(parent, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY, 0644);
	return fd < 0 ? -errno : fd;
}

int inroot_parent(int root_fd, const char *path, mode_t mode, const char **ret_name)
{
	const char *slash = strrchr(path, '/');
	const char *name = slash ? slash + 1 : path;
	size_t parent_len = (size_t)(name - path);
	char parent[PATH_MAX];

	if (*name == '\0' || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return -EINVAL;
	if (parent_len >= sizeof(parent) || strlen(name) > NAME_MAX)
		return -ENAMETOOLONG;
	memcpy(parent, path, parent_len);
	parent[parent_len] = '\0';
	*ret_name = name;
	return inroot_mkdir_p(root_fd, parent, mode);
}
