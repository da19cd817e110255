#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <sys/stat.h>

#include "../unit.h"
#include "worker/measure.h"

struct fixture {
	char path[64];
	int fd;
};

static int setup(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));

	snprintf(fixture->path, sizeof(fixture->path), "/tmp/tare-measure-XXXXXX");
	assert_non_null(mkdtemp(fixture->path));
	fixture->fd = open(fixture->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(fixture->fd >= 0);
	assert_int_equal(mkdirat(fixture->fd, "top", 0755), 0);
	*state = fixture;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *fixture = *state;
	char command[128];

	snprintf(command, sizeof(command), "rm -rf %s", fixture->path);
	assert_int_equal(system(command), 0);
	close(fixture->fd);
	free(fixture);
	return 0;
}

static void make_file(struct fixture *fixture, const char *path, off_t size)
{
	int fd = openat(fixture->fd, path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, size), 0);
	close(fd);
}

static void assert_measures(struct fixture *fixture, int64_t expected)
{
	int64_t bytes = -1;

	assert_int_equal(measure(fixture->fd, "top", &bytes), 0);
	assert_int_equal(bytes, expected);
}

static void lengths_of_all_that_is_no_folder(void **state)
{
	struct fixture *fixture = *state;

	assert_measures(fixture, 0);
	make_file(fixture, "top/one", 1000);
	assert_int_equal(mkdirat(fixture->fd, "top/d", 0755), 0);
	assert_int_equal(mkdirat(fixture->fd, "top/d/e", 0755), 0);
	make_file(fixture, "top/d/e/two", 5);
	assert_int_equal(symlinkat("/etc", fixture->fd, "top/link"), 0);
	assert_int_equal(mkfifoat(fixture->fd, "top/fifo", 0600), 0);
	make_file(fixture, "beside", 7000);
	assert_measures(fixture, 1000 + 5 + 4);
}

static void hard_links_count_once(void **state)
{
	struct fixture *fixture = *state;
	char path[64];

	assert_int_equal(mkdirat(fixture->fd, "top/d", 0755), 0);
	for (int i = 0; i < 3000; i++) {
		snprintf(path, sizeof(path), "top/%d", i);
		make_file(fixture, path, 1);
		char other[64];
		snprintf(other, sizeof(other), "top/d/%d", i);
		assert_int_equal(linkat(fixture->fd, path, fixture->fd, other, 0), 0);
	}
	assert_measures(fixture, 3000);
}

/* Deeper than there may be open files and than a path may be long. */
static void depth_does_not_matter(void **state)
{
	struct fixture *fixture = *state;
	int fd = openat(fixture->fd, "top", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	for (int i = 0; i < 3000; i++) {
		assert_int_equal(mkdirat(fd, "deep", 0755), 0);
		int next = openat(fd, "deep", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		assert_true(next >= 0);
		close(fd);
		fd = next;
	}
	assert_int_equal(symlinkat("0123456789", fd, "link"), 0);
	close(fd);
	make_file(fixture, "top/after", 100);
	assert_measures(fixture, 110);
}

static void many_folders_in_one(void **state)
{
	struct fixture *fixture = *state;
	char path[64];

	for (int i = 0; i < 100; i++) {
		snprintf(path, sizeof(path), "top/%d", i);
		assert_int_equal(mkdirat(fixture->fd, path, 0755), 0);
		snprintf(path, sizeof(path), "top/%d/file", i);
		make_file(fixture, path, i);
	}
	assert_measures(fixture, 4950);
}

static void what_is_no_folder_is_an_error(void **state)
{
	struct fixture *fixture = *state;
	int64_t bytes;

	assert_int_equal(measure(fixture->fd, "nothing", &bytes), -ENOENT);
	assert_int_equal(symlinkat("top", fixture->fd, "link"), 0);
	assert_true(measure(fixture->fd, "link", &bytes) < 0);
	make_file(fixture, "file", 1);
	assert_int_equal(measure(fixture->fd, "file", &bytes), -ENOTDIR);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(lengths_of_all_that_is_no_folder),
		TEST(hard_links_count_once),
		TEST(depth_does_not_matter),
		TEST(many_folders_in_one),
		TEST(what_is_no_folder_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
