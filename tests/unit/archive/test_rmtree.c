#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "../unit.h"
#include "archive/rmtree.h"
#include "base/cleanup.h"

struct folder {
	char path[64];
	int fd;
};

static int setup(void **state)
{
	struct folder *folder = calloc(1, sizeof(*folder));

	snprintf(folder->path, sizeof(folder->path), "/dev/shm/tare-rmtree-XXXXXX");
	assert_non_null(mkdtemp(folder->path));
	folder->fd = open(folder->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	*state = folder;
	return 0;
}

static int teardown(void **state)
{
	struct folder *folder = *state;

	assert_int_equal(rmtree_content(folder->fd), 0);
	close(folder->fd);
	/* Proves that it was empty. */
	assert_int_equal(rmdir(folder->path), 0);
	free(folder);
	return 0;
}

static void write_file(int dirfd, const char *name)
{
	int fd = openat(dirfd, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	close(fd);
}

static void deep_trees_go(void **state)
{
	struct folder *folder = *state;
	int fd = dup(folder->fd);

	/* Five times the depth at which a path name is too long for the kernel. */
	assert_int_equal(mkdirat(fd, "top", 0700), 0);
	for (int i = 0; i < 5000; i++) {
		int next;

		assert_int_equal(mkdirat(fd, i == 0 ? "top/d" : "folder with a long name", 0700), 0);
		next = openat(fd, i == 0 ? "top/d" : "folder with a long name", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		assert_true(next >= 0);
		write_file(next, "file\nwith a line end");
		close(fd);
		fd = next;
	}
	close(fd);
	assert_int_equal(rmtree(folder->fd, "top"), 0);
	assert_int_equal(faccessat(folder->fd, "top", F_OK, 0), -1);
	assert_int_equal(rmtree(folder->fd, "top"), 0);
}

static void odd_things_go_and_links_are_not_followed(void **state)
{
	struct folder *folder = *state;
	int fd;

	write_file(folder->fd, "canary");
	assert_int_equal(mkdirat(folder->fd, "canaries", 0700), 0);
	assert_int_equal(mkdirat(folder->fd, "canaries/inner", 0700), 0);
	assert_int_equal(mkdirat(folder->fd, "top", 0700), 0);
	fd = openat(folder->fd, "top", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(symlinkat("../canary", fd, "link"), 0);
	assert_int_equal(symlinkat("../canaries", fd, "folder link"), 0);
	assert_int_equal(mkfifoat(fd, "fifo", 0), 0);
	assert_int_equal(linkat(folder->fd, "canary", fd, "hard", 0), 0);
	assert_int_equal(mkdirat(fd, "closed", 0), 0);
	close(fd);
	assert_int_equal(rmtree(folder->fd, "top"), 0);
	assert_int_equal(faccessat(folder->fd, "canary", F_OK, 0), 0);
	assert_int_equal(faccessat(folder->fd, "canaries/inner", F_OK, 0), 0);
}

/* In a mount namespace of its own; exits 0 if the mounted folder kept what is in it. */
static int with_mount(struct folder *folder)
{
	char source[128], target[128];

	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return 77;
	snprintf(source, sizeof(source), "%s/host", folder->path);
	snprintf(target, sizeof(target), "%s/top/inner/mounted", folder->path);
	if (mount(source, target, NULL, MS_BIND, NULL) < 0)
		return 1;
	if (rmtree(folder->fd, "top") != -EBUSY)
		return 2;
	return faccessat(folder->fd, "host/canary", F_OK, 0) == 0 && faccessat(folder->fd, "top/file", F_OK, 0) < 0 ? 0
														    : 3;
}

static void mounts_are_not_crossed(void **state)
{
	struct folder *folder = *state;
	int status;
	pid_t pid;

	assert_int_equal(mkdirat(folder->fd, "host", 0700), 0);
	assert_int_equal(mkdirat(folder->fd, "host/canary", 0700), 0);
	assert_int_equal(mkdirat(folder->fd, "top", 0700), 0);
	assert_int_equal(mkdirat(folder->fd, "top/inner", 0700), 0);
	assert_int_equal(mkdirat(folder->fd, "top/inner/mounted", 0700), 0);
	write_file(folder->fd, "top/file");
	pid = fork();
	if (pid == 0)
		_exit(with_mount(folder));
	waitpid(pid, &status, 0);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
		skip();
	assert_int_equal(status, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(deep_trees_go),
		TEST(odd_things_go_and_links_are_not_followed),
		TEST(mounts_are_not_crossed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
