#include "archive/rmtree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <linux/openat2.h>
#include <sys/syscall.h>

#include "base/cleanup.h"
#include "base/io.h"

/* ".rm-RANDOM-": names nobody else uses, then a number. */
#define LIFTED_RANDOM_BYTES 12
#define LIFTED_PREFIX_SIZE  (sizeof(".rm--") + 2 * LIFTED_RANDOM_BYTES)

struct rmtree {
	int top_fd;
	int error;       /* the first one */
	unsigned lifted; /* folders renamed up to the top so far */
	char prefix[LIFTED_PREFIX_SIZE];
};

static int open_dir(int dirfd, const char *name)
{
	struct open_how how = {
		.flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_XDEV | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
	};
	long fd = syscall(SYS_openat2, dirfd, name, &how, sizeof(how));

	return fd < 0 ? -errno : (int)fd;
}

static void note(struct rmtree *tree, int error)
{
	if (error < 0 && error != -ENOENT && tree->error == 0)
		tree->error = error;
}

static bool is_dot(const char *name)
{
	return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

/* Too deep to go on: becomes a neighbour of the top, to be deleted in the next round. */
static int lift(struct rmtree *tree, int dirfd, const char *name)
{
	char target[LIFTED_PREFIX_SIZE + 16];

	if (!tree->prefix[0]) {
		char random[2 * LIFTED_RANDOM_BYTES + 1];

		io_random_hex(random, LIFTED_RANDOM_BYTES);
		snprintf(tree->prefix, sizeof(tree->prefix), ".rm-%s-", random);
	}
	snprintf(target, sizeof(target), "%s%u", tree->prefix, tree->lifted);
	if (renameat2(dirfd, name, tree->top_fd, target, RENAME_NOREPLACE) < 0)
		return -errno;
	tree->lifted++;
	return 0;
}

static int remove_entry(struct rmtree *tree, int dirfd, const char *name, unsigned depth);

/* Takes `fd`. Entries may be added or renamed meanwhile; what is left then makes the folder's own removal fail. */
static void remove_content(struct rmtree *tree, int fd, unsigned depth)
{
	DIR *dir = fdopendir(fd);

	if (!dir) {
		note(tree, -errno);
		fd_close(&fd);
		return;
	}
	for (struct dirent *entry; (entry = readdir(dir));)
		if (!is_dot(entry->d_name))
			note(tree, remove_entry(tree, fd, entry->d_name, depth));
	closedir(dir);
}

static int remove_entry(struct rmtree *tree, int dirfd, const char *name, unsigned depth)
{
	int fd;

	if (unlinkat(dirfd, name, 0) == 0 || errno == ENOENT)
		return 0;
	if (errno != EISDIR && errno != EPERM)
		return -errno;
	if (unlinkat(dirfd, name, AT_REMOVEDIR) == 0)
		return 0;
	if (errno != ENOTEMPTY && errno != EEXIST)
		return -errno;
	if (depth >= RMTREE_DEPTH)
		return lift(tree, dirfd, name);
	fd = open_dir(dirfd, name);
	if (fd < 0)
		return fd;
	remove_content(tree, fd, depth + 1);
	return unlinkat(dirfd, name, AT_REMOVEDIR) < 0 ? -errno : 0;
}

/* Each may lift others in its turn. */
static void remove_lifted(struct rmtree *tree)
{
	for (unsigned i = 0; i < tree->lifted; i++) {
		char name[LIFTED_PREFIX_SIZE + 16];

		snprintf(name, sizeof(name), "%s%u", tree->prefix, i);
		note(tree, remove_entry(tree, tree->top_fd, name, 0));
	}
}

int rmtree(int top_fd, const char *name)
{
	struct rmtree tree = { .top_fd = top_fd };

	note(&tree, remove_entry(&tree, top_fd, name, 0));
	remove_lifted(&tree);
	return tree.error;
}

int rmtree_content(int top_fd)
{
	struct rmtree tree = { .top_fd = top_fd };
	int fd = openat(top_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	remove_content(&tree, fd, 0);
	remove_lifted(&tree);
	return tree.error;
}
