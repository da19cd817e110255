#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "../unit.h"
#include "base/cleanup.h"
#include "sys/inroot.h"

/* outside/ is what must never change; root/ is the tree. */
struct trees {
	char path[64];
	int top;
	int root;
};

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static int setup(void **state)
{
	struct trees *trees = calloc(1, sizeof(*trees));

	strcpy(trees->path, "/tmp/tare-inroot-XXXXXX");
	assert_non_null(mkdtemp(trees->path));
	trees->top = open(trees->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(mkdirat(trees->top, "root", 0755), 0);
	assert_int_equal(mkdirat(trees->top, "outside", 0755), 0);
	trees->root = openat(trees->top, "root", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	*state = trees;
	return 0;
}

static int teardown(void **state)
{
	struct trees *trees = *state;

	close(trees->root);
	close(trees->top);
	nftw(trees->path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	free(trees);
	return 0;
}

static void link_to(const struct trees *trees, const char *target, const char *name)
{
	assert_int_equal(symlinkat(target, trees->root, name), 0);
}

static bool exists(int dir, const char *path)
{
	return faccessat(dir, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static bool is_same(int fd, int dir, const char *path)
{
	struct stat a, b;

	return fstat(fd, &a) == 0 && fstatat(dir, path, &b, 0) == 0 && a.st_ino == b.st_ino && a.st_dev == b.st_dev;
}

static void assert_outside_empty(const struct trees *trees)
{
	/* rmdir is the surest way to tell. */
	assert_int_equal(unlinkat(trees->top, "outside", AT_REMOVEDIR), 0);
	assert_int_equal(mkdirat(trees->top, "outside", 0755), 0);
}

static void test_links_stay_inside(void **state)
{
	struct trees *trees = *state;
	char absolute[128];

	snprintf(absolute, sizeof(absolute), "%s/outside", trees->path);
	link_to(trees, absolute, "abs");
	link_to(trees, "../outside", "up");
	link_to(trees, "../../../../../../../etc", "far");
	assert_int_equal(inroot_open(trees->root, "abs", O_PATH), -ENOENT);
	assert_int_equal(inroot_open(trees->root, "up", O_PATH), -ENOENT);
	assert_int_equal(inroot_open(trees->root, "far/passwd", O_RDONLY), -ENOENT);
	assert_int_equal(inroot_open(trees->root, "/../../../../etc/passwd", O_RDONLY), -ENOENT);

	/* Made inside, where the root makes them lead. */
	_autoclose_ int fd = inroot_mkdir_p(trees->root, "up/a/b", 0755);
	assert_true(fd >= 0);
	assert_true(is_same(fd, trees->root, "outside/a/b"));
	_autoclose_ int deep = inroot_create(trees->root, "abs/x/file", 0600);
	assert_true(deep >= 0);
	assert_outside_empty(trees);
}

static void test_absolute_links_work(void **state)
{
	struct trees *trees = *state;

	/* moby #52653: /var/run -> /run must go on working */
	assert_int_equal(mkdirat(trees->root, "run", 0755), 0);
	assert_int_equal(mkdirat(trees->root, "var", 0755), 0);
	link_to(trees, "/run", "var/run");
	_autoclose_ int fd = inroot_mount_target(trees->root, "/var/run/docker.sock", false);
	assert_true(fd >= 0);
	assert_true(is_same(fd, trees->root, "run/docker.sock"));
}

static void test_beneath_refuses_what_leads_out(void **state)
{
	const struct trees *trees = *state;
	static const char *const out[] = { "abs", "up", "dir/up", "..", "dir/../..", "/dir" };
	assert_int_equal(mkdirat(trees->root, "dir", 0755), 0);
	link_to(trees, "/dir", "abs");
	link_to(trees, "../outside", "up");
	link_to(trees, "../../outside", "dir/up");
	link_to(trees, "../dir", "dir/own");
	for (size_t i = 0; i < ARRAY_SIZE(out); i++)
		assert_int_equal(inroot_open_beneath(trees->root, out[i], O_PATH), -EXDEV);
	static const char *const in[] = { "dir", "dir/../dir", "dir/own", "", ".", "dir/own/own/.." };
	for (size_t i = 0; i < ARRAY_SIZE(in); i++) {
		int fd = inroot_open_beneath(trees->root, in[i], O_PATH);
		assert_true(fd >= 0);
		close(fd);
	}
	assert_int_equal(inroot_open_beneath(trees->root, "dir/none", O_PATH), -ENOENT);
}

static void test_dot_dot_and_slashes(void **state)
{
	struct trees *trees = *state;
	static const char *const ways[] = { "a/b", "/a/b/", "//a///b//", "./a/./b/.", "a/../a/b", "../../a/b",
		"x/../a/b" };

	for (size_t i = 0; i < ARRAY_SIZE(ways); i++) {
		_autoclose_ int fd = inroot_mkdir_p(trees->root, ways[i], 0755);
		assert_true(fd >= 0);
		assert_true(is_same(fd, trees->root, "a/b"));
	}
	_autoclose_ int root = inroot_mkdir_p(trees->root, "..", 0755);
	assert_true(is_same(root, trees->top, "root"));
}

static void test_magic_links_refused(void **state)
{
	struct trees *trees = *state;
	_autoclose_ int proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	char path[64];

	(void)trees;
	snprintf(path, sizeof(path), "self/fd/%d", trees->root);
	int fd = inroot_open(proc, path, O_PATH);
	assert_int_equal(fd, -ELOOP);
	assert_int_equal(inroot_open(proc, "self/root", O_PATH), -ELOOP);
	assert_int_equal(inroot_mkdir_p(proc, "self/cwd/x", 0755), -ELOOP);
}

static void test_loops_and_length(void **state)
{
	struct trees *trees = *state;
	char name[NAME_MAX + 2], path[PATH_MAX + 8];

	link_to(trees, "b", "a");
	link_to(trees, "a", "b");
	assert_int_equal(inroot_open(trees->root, "a", O_PATH), -ELOOP);
	assert_int_equal(inroot_mkdir_p(trees->root, "a/x", 0755), -ELOOP);

	memset(name, 'n', sizeof(name));
	name[NAME_MAX] = '\0';
	_autoclose_ int longest = inroot_mkdir_p(trees->root, name, 0755);
	assert_true(longest >= 0);
	name[NAME_MAX] = 'n';
	name[NAME_MAX + 1] = '\0';
	assert_int_equal(inroot_mkdir_p(trees->root, name, 0755), -ENAMETOOLONG);
	memset(path, '/', sizeof(path));
	path[PATH_MAX] = '\0';
	assert_int_equal(inroot_create(trees->root, path, 0600), -ENAMETOOLONG);
}

/* A chain of n links, the last to a folder that is missing. */
static void test_link_chain_bound(void **state)
{
	struct trees *trees = *state;
	char name[16], target[16];

	for (int i = 0; i < 45; i++) {
		snprintf(name, sizeof(name), "l%d", i);
		snprintf(target, sizeof(target), "l%d", i - 1);
		link_to(trees, i ? target : "end", name);
	}
	_autoclose_ int within = inroot_mkdir_p(trees->root, "l39/d", 0755);
	assert_true(within >= 0);
	assert_true(exists(trees->root, "end/d"));
	assert_int_equal(inroot_mkdir_p(trees->root, "l40/e", 0755), -ELOOP);
}

static void test_wrong_types(void **state)
{
	struct trees *trees = *state;
	_autoclose_ int file = inroot_create(trees->root, "file", 0600);

	assert_true(file >= 0);
	assert_int_equal(inroot_mkdir_p(trees->root, "file", 0755), -ENOTDIR);
	assert_int_equal(inroot_mkdir_p(trees->root, "file/x", 0755), -ENOTDIR);
	assert_int_equal(inroot_mount_target(trees->root, "file", true), -ENOTDIR);
	assert_int_equal(mkdirat(trees->root, "dir", 0755), 0);
	assert_int_equal(inroot_mount_target(trees->root, "dir", false), -EISDIR);
	link_to(trees, "dir", "link");
	assert_true(inroot_plain_dir(trees->root, "link") < 0);
	assert_true(inroot_plain_dir(trees->root, "file") == -ENOTDIR);
}

static void test_existing_file_untouched(void **state)
{
	struct trees *trees = *state;
	_autoclose_ int fd = openat(trees->root, "f", O_CREAT | O_WRONLY | O_CLOEXEC, 0640);

	assert_int_equal(write(fd, "data", 4), 4);
	_autoclose_ int again = inroot_create(trees->root, "f", 0600);
	struct stat st;
	assert_int_equal(fstat(again, &st), 0);
	assert_int_equal(st.st_size, 4);
	assert_int_equal(st.st_mode & 07777, 0640);
}

static void test_parent(void **state)
{
	struct trees *trees = *state;
	const char *name;
	_autoclose_ int fd = inroot_parent(trees->root, "dev/net/tun", 0755, &name);

	assert_true(fd >= 0);
	assert_string_equal(name, "tun");
	assert_true(exists(trees->root, "dev/net"));
	assert_int_equal(inroot_parent(trees->root, "dev/..", 0755, &name), -EINVAL);
	assert_int_equal(inroot_parent(trees->root, "/", 0755, &name), -EINVAL);
	assert_int_equal(inroot_parent(trees->root, "a/.", 0755, &name), -EINVAL);
}

/* Somebody exchanges a folder and a link to the outside as fast as he can: nothing appears there. */
static void test_exchange_race(void **state)
{
	struct trees *trees = *state;
	int failed = 0;

	assert_int_equal(mkdirat(trees->root, "swap", 0755), 0);
	link_to(trees, "../../../../../../..", "evil"); /* would be "/" of the host: outside/ by name below */
	pid_t attacker = fork();
	if (attacker == 0) {
		for (;;)
			syscall(SYS_renameat2, trees->root, "swap", trees->root, "evil", 2 /* RENAME_EXCHANGE */);
	}
	for (int i = 0; i < 3000; i++) {
		char path[128];
		snprintf(path, sizeof(path), "swap%s/d%d/e", trees->path, i % 7);
		int fd = inroot_mkdir_p(trees->root, path, 0755);
		if (fd < 0)
			failed++;
		else
			close(fd);
	}
	kill(attacker, SIGKILL);
	waitpid(attacker, NULL, 0);
	/* Were it to escape, the way leads through the real top folder. */
	for (int i = 0; i < 7; i++) {
		char name[8];
		snprintf(name, sizeof(name), "d%d", i);
		assert_false(exists(trees->top, name));
	}
	assert_true(failed < 300);
}

/* Shown, never opened: what is missing stays as it is written, and nothing leads out. */
static void test_resolve(void **state)
{
	const struct trees *trees = *state;
	static const char *const paths[][2] = { { "/", "/" }, { ".", "/" }, { "/a", "/a" }, { "a/f", "/a/f" },
		{ "/to-a/f", "/a/f" }, { "/to-f", "/a/f" }, { "/up", "/a" }, { "/../../a/./f", "/a/f" },
		{ "/dangling", "/none/x" }, { "/none/y/../z", "/none/y/../z" }, { "/a/none", "/a/none" } };
	char out[PATH_MAX], small[3];

	assert_int_equal(mkdirat(trees->root, "a", 0755), 0);
	close(openat(trees->root, "a/f", O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
	link_to(trees, "/a", "to-a");
	link_to(trees, "to-a/f", "to-f");
	link_to(trees, "../../outside/../a", "up");
	link_to(trees, "/none/x", "dangling");
	link_to(trees, "loop", "loop");
	assert_int_equal(mkdirat(trees->root, "outside", 0755), 0);
	for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
		assert_int_equal(inroot_resolve(trees->root, paths[i][0], out, sizeof(out)), 0);
		assert_string_equal(out, paths[i][1]);
	}
	assert_int_equal(inroot_resolve(trees->root, "/loop", out, sizeof(out)), -ELOOP);
	assert_int_equal(inroot_resolve(trees->root, "/a/f/x", out, sizeof(out)), -ENOTDIR);
	assert_int_equal(inroot_resolve(trees->root, "/a/f", small, sizeof(small)), -ENAMETOOLONG);
	assert_outside_empty(trees);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = { TEST(test_links_stay_inside), TEST(test_absolute_links_work),
		TEST(test_beneath_refuses_what_leads_out), TEST(test_dot_dot_and_slashes),
		TEST(test_magic_links_refused), TEST(test_loops_and_length), TEST(test_link_chain_bound),
		TEST(test_wrong_types), TEST(test_existing_file_untouched), TEST(test_parent), TEST(test_resolve),
		TEST(test_exchange_race) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
