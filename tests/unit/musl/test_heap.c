#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/wait.h>

#include "../unit.h"
#include "musl/heap.h"

#define BLOCKS 500

/* Each block holds its own number, from end to end. */
static void fill(unsigned char *block, size_t size, unsigned number)
{
	memset(block, (int)(number & 0xff), size);
}

static void assert_whole(const unsigned char *block, size_t size, unsigned number)
{
	for (size_t i = 0; i < size; i++)
		assert_int_equal(block[i], number & 0xff);
}

static void test_blocks_are_apart(void **state)
{
	unsigned char *blocks[BLOCKS] = { NULL };
	size_t sizes[BLOCKS] = { 0 };
	uint32_t random = 7;

	(void)state;
	for (unsigned turn = 0; turn < 40000; turn++) {
		random = random * 1664525 + 1013904223;
		unsigned at = (random >> 8) % BLOCKS;
		size_t size = (random >> 4) % (1U << (random % 18));
		assert_whole(blocks[at], sizes[at], at);
		if (random & 1U << 30) {
			heap_free(blocks[at]);
			blocks[at] = NULL;
			sizes[at] = 0;
			continue;
		}
		unsigned char *block = heap_resize(blocks[at], size);
		assert_non_null(block);
		assert_int_equal((uintptr_t)block % 16, 0);
		assert_whole(block, size < sizes[at] ? size : sizes[at], at);
		fill(block, size, at);
		blocks[at] = block;
		sizes[at] = size;
	}
	for (unsigned i = 0; i < BLOCKS; i++) {
		assert_whole(blocks[i], sizes[i], i);
		heap_free(blocks[i]);
	}
}

static void test_every_size(void **state)
{
	(void)state;
	for (size_t size = 0; size < 40000; size++) {
		unsigned char *block = heap_alloc(size);
		fill(block, size, 0x5a);
		unsigned char *next = heap_alloc(size);
		assert_true(next >= block + size || next + size <= block);
		heap_free(next);
		heap_free(block);
	}
}

static void test_zeroed(void **state)
{
	static const size_t sizes[] = { 1, 100, 5000, 32 * 1024, 100000 };

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		unsigned char *used = heap_alloc(sizes[i]);
		fill(used, sizes[i], 0xff);
		heap_free(used);
		unsigned char *zeroed = heap_alloc_zeroed(sizes[i], 1);
		assert_whole(zeroed, sizes[i], 0);
		heap_free(zeroed);
	}
}

static void test_too_much(void **state)
{
	void *block = heap_alloc(10);

	(void)state;
	errno = 0;
	assert_null(heap_alloc(SIZE_MAX - 8));
	assert_int_equal(errno, ENOMEM);
	errno = 0;
	assert_null(heap_alloc_zeroed(SIZE_MAX / 2, 3));
	assert_int_equal(errno, ENOMEM);
	assert_null(heap_resize(block, SIZE_MAX - 8));
	heap_free(block);
	heap_free(NULL);
}

static void free_twice(void)
{
	void *block = heap_alloc(40);

	heap_free(block);
	heap_free(block);
}

static void write_before_it(void)
{
	unsigned char *block = heap_alloc(40);

	block[-16] ^= 1;
	heap_free(block);
}

static void write_behind_it(void)
{
	unsigned char *block = heap_alloc(48), *next = heap_alloc(48);

	memset(block, 0, 48 + 16);
	heap_free(next);
}

static void free_inside(void)
{
	heap_free((char *)heap_alloc(64) + 16);
}

static void use_what_was_freed(void)
{
	unsigned char *block = heap_alloc(40);

	heap_free(block);
	block[-8] ^= 1; /* its room is not looked at, but its class is */
	block[-16] ^= 1;
	heap_alloc(40);
}

/* In a process of its own: it has to be ended by abort. */
static void assert_aborts(void (*abuse)(void))
{
	pid_t pid = fork();
	int status = 0;

	if (pid == 0) {
		signal(SIGABRT, SIG_DFL);
		abuse();
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

static void test_abuse(void **state)
{
	(void)state;
	assert_aborts(free_twice);
	assert_aborts(write_before_it);
	assert_aborts(write_behind_it);
	assert_aborts(free_inside);
	assert_aborts(use_what_was_freed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_abuse), /* first: blocks lie side by side */
		cmocka_unit_test(test_blocks_are_apart),
		cmocka_unit_test(test_every_size),
		cmocka_unit_test(test_zeroed),
		cmocka_unit_test(test_too_much),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
