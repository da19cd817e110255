/* What comes out is gzip of what went in, and always the same, however it was read. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/mman.h>
#include <sys/wait.h>

#include "../unit.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/io.h"
#include "worker/deflate.h"
#include "worker/inflate.h"

#define MAX (8 * 1024 * 1024)

static void fill(char *data, size_t len)
{
	unsigned value = 1;
	for (size_t i = 0; i < len; i++) {
		value = value * 1103515245 + 12345;
		data[i] = (char)(i % 3 ? 'a' : value >> 16);
	}
}

/* Through a pipe that is filled by `piece` bytes at a time; 0: from a file. */
static void deflated(const char *data, size_t len, size_t piece, struct buf *out)
{
	int out_fd = memfd_create("out", MFD_CLOEXEC), in_fd = memfd_create("in", MFD_CLOEXEC), fds[2];
	pid_t child = -1;
	if (piece) {
		assert_int_equal(pipe(fds), 0);
		child = fork();
		if (child == 0) {
			for (size_t at = 0; at < len; at += piece)
				(void)io_write_full(fds[1], data + at, len - at < piece ? len - at : piece);
			_exit(0);
		}
		close(fds[1]);
		dup2(fds[0], in_fd);
		close(fds[0]);
	} else {
		assert_int_equal(io_write_full(in_fd, data, len), 0);
		lseek(in_fd, 0, SEEK_SET);
	}
	assert_int_equal(deflate_stream(in_fd, out_fd), 0);
	if (child > 0)
		waitpid(child, NULL, 0);
	lseek(out_fd, 0, SEEK_SET);
	assert_int_equal(io_read_all(out_fd, out), 0);
	close(in_fd);
	close(out_fd);
}

static void test_round_trip(void **state)
{
	static const size_t sizes[] = { 0, 1, 256 * 1024 - 1, 256 * 1024, 256 * 1024 + 1, 3 * 1024 * 1024 };
	char *data = malloc(sizes[5]);
	(void)state;
	fill(data, sizes[5]);
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		struct buf file = BUF_INIT(MAX), piped = BUF_INIT(MAX), plain = BUF_INIT(MAX);
		int in_fd = memfd_create("in", MFD_CLOEXEC), out_fd = memfd_create("out", MFD_CLOEXEC);
		deflated(data, sizes[i], 0, &file);
		deflated(data, sizes[i], 7001, &piped);
		assert_int_equal(file.len, piped.len);
		assert_memory_equal(file.data, piped.data, file.len);
		assert_int_equal(io_write_full(in_fd, file.data, file.len), 0);
		lseek(in_fd, 0, SEEK_SET);
		assert_int_equal(inflate_stream(COMPRESSION_GZIP, in_fd, out_fd), 0);
		lseek(out_fd, 0, SEEK_SET);
		assert_int_equal(io_read_all(out_fd, &plain), 0);
		assert_int_equal(plain.len, sizes[i]);
		assert_true(sizes[i] == 0 || memcmp(plain.data, data, sizes[i]) == 0);
		close(in_fd);
		close(out_fd);
		buf_finish(&file);
		buf_finish(&piped);
		buf_finish(&plain);
	}
	free(data);
}

static void test_what_can_not_be_written(void **state)
{
	int in_fd = memfd_create("in", MFD_CLOEXEC);
	(void)state;
	assert_int_equal(deflate_stream(in_fd, -1), -EBADF);
	assert_int_equal(deflate_stream(-1, in_fd), -EBADF);
	close(in_fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_what_can_not_be_written),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
