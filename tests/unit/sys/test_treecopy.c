/* What a copy that was killed left half made is completed by the next; what somebody else made is kept. */
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

#include <sys/stat.h>

#include "../unit.h"
#include "archive/rmtree.h"
#include "base/cleanup.h"
#include "sys/treecopy.h"

#define OWNER 1234
#define OTHER 4321

static const struct timespec long_ago[] = { { .tv_sec = 1000000 }, { .tv_sec = 1000000 } };

static int folder(const char *top, const char *name)
{
	int top_fd = open(top, O_PATH | O_DIRECTORY | O_CLOEXEC), fd;

	assert_int_equal(mkdirat(top_fd, name, 0755), 0);
	fd = openat(top_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(fd >= 0);
	close(top_fd);
	return fd;
}

static void make(int dir, const char *name, bool link, uid_t owner)
{
	assert_int_equal(link ? symlinkat("target", dir, name) : mkfifoat(dir, name, 0640), 0);
	assert_int_equal(fchownat(dir, name, owner, owner, AT_SYMLINK_NOFOLLOW), 0);
	if (owner != 0)
		assert_int_equal(utimensat(dir, name, long_ago, AT_SYMLINK_NOFOLLOW), 0);
}

static struct stat look(int dir, const char *name)
{
	struct stat st;

	assert_int_equal(fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW), 0);
	return st;
}

static void half_made_is_completed(void **state)
{
	char top[] = "/tmp/tare-treecopy-XXXXXX";

	(void)state;
	if (geteuid() != 0)
		skip();
	assert_non_null(mkdtemp(top));
	_autoclose_ int from = folder(top, "from"), to = folder(top, "to");
	static const char *const names[] = { "new", "half", "foreign" };
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		make(from, names[i], false, OWNER);
	make(from, "half-link", true, OWNER);
	make(to, "half", false, 0);
	make(to, "half-link", true, 0);
	make(to, "foreign", false, OTHER);

	assert_int_equal(treecopy(from, to), 0);
	static const char *const ours[] = { "new", "half", "half-link" };
	for (size_t i = 0; i < ARRAY_SIZE(ours); i++) {
		struct stat st = look(to, ours[i]);
		assert_int_equal(st.st_uid, OWNER);
		assert_int_equal(st.st_gid, OWNER);
		assert_int_equal(st.st_mtim.tv_sec, long_ago[1].tv_sec);
	}
	assert_int_equal(look(to, "foreign").st_uid, OTHER);
	_autoclose_ int top_fd = open(top, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(rmtree_content(top_fd), 0);
	assert_int_equal(rmdir(top), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(half_made_is_completed) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
