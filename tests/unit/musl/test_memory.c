#include <stdlib.h>
#include <string.h>

#include <sys/mman.h>

#include "../unit.h"

/* By other names: the C library's own are what they are compared with. */
void *own_memcpy(void *restrict out, const void *restrict in, size_t len);
void *own_memmove(void *out, const void *in, size_t len);
void *own_memchr(const void *in, int wanted, size_t len);
#define memcpy  own_memcpy
#define memmove own_memmove
#define memchr  own_memchr
#include "../../../src/musl/memory.c"
#undef memcpy
#undef memmove
#undef memchr

#define ROOM 4096

static void test_copies(void **state)
{
	static unsigned char from[ROOM], to[ROOM], expected[ROOM];

	(void)state;
	for (size_t i = 0; i < ROOM; i++)
		from[i] = (unsigned char)(i * 7 + i / 256);
	for (size_t len = 0; len < 1100; len++)
		for (size_t shift = 0; shift < 17; shift += len < 200 ? 1 : 5) {
			memset(to, 0xee, sizeof(to));
			memset(expected, 0xee, sizeof(expected));
			memmove(expected + 32 + shift, from + 3 * shift, len);
			assert_ptr_equal(own_memcpy(to + 32 + shift, from + 3 * shift, len), to + 32 + shift);
			assert_memory_equal(to, expected, sizeof(to));
		}
}

static void test_moves(void **state)
{
	static unsigned char own[ROOM], expected[ROOM];

	(void)state;
	for (size_t len = 0; len < 300; len++)
		for (size_t to = 0; to < 90; to++) {
			for (size_t i = 0; i < ROOM; i++)
				own[i] = expected[i] = (unsigned char)(i * 13 + i / 256);
			memmove(expected + to, expected + 45, len);
			assert_ptr_equal(own_memmove(own + to, own + 45, len), own + to);
			assert_memory_equal(own, expected, sizeof(own));
		}
}

/* At the end of a page behind which nothing is. */
static void test_finds(void **state)
{
	unsigned char *page = mmap(NULL, 2 * ROOM, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	(void)state;
	assert_true(page != MAP_FAILED);
	assert_int_equal(mprotect(page + ROOM, ROOM, PROT_NONE), 0);
	for (size_t len = 0; len < 100; len++)
		for (size_t at = 0; at < 100; at++) {
			unsigned char *start = page + ROOM - 100 - len % 7;
			memset(page + ROOM - 200, 'x', 200);
			start[-1] = 0xff;
			start[at] = 0xff;
			assert_ptr_equal(own_memchr(start, 0xff, len), at < len ? start + at : NULL);
		}
	assert_null(own_memchr(page, 0, 0));
	page[ROOM - 1] = 'y';
	assert_ptr_equal(own_memchr(page + ROOM - 1, 'y', SIZE_MAX), page + ROOM - 1);
	munmap(page, 2 * ROOM);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_copies),
		cmocka_unit_test(test_moves),
		cmocka_unit_test(test_finds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
