#include "musl/heap.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <sys/auxv.h>
#include <sys/mman.h>

#define CHUNK_BYTES ((size_t)128 * 1024)
#define UNIT        ((size_t)16) /* of sizes and of alignment */
#define SMALL_MAX   ((size_t)32 * 1024)
#define STEPS       4 /* for each power of two */
#define CLASSES     (10 * STEPS)
#define CLASS_LARGE CLASSES /* a mapping of its own */
#define MARK_USED   0x75736564
#define MARK_FREE   0x66726565

/* Before each block. */
struct head {
	uint32_t class;
	uint32_t check; /* of its place, its class and whether it is in use */
	size_t room;
};
_Static_assert(sizeof(struct head) == UNIT, "what follows a head is aligned");

struct free_block {
	struct free_block *next;
};

static struct {
	char *at, *end; /* of a chunk that nobody has used yet: zeroes */
	struct free_block *free[CLASSES];
	uint32_t secret;
} heap;

static uint32_t check_of(const struct head *head, uint32_t mark)
{
	if (!heap.secret) {
		const void *random = (const void *)
			getauxval(AT_RANDOM); /* 16 bytes; the first 8 are the stack protector's */
		if (random)
			memcpy(&heap.secret, (const char *)random + 8, sizeof(heap.secret));
		heap.secret |= 1;
	}
	uint64_t mixed = ((uintptr_t)head ^ mark ^ head->class) * 0x9e3779b97f4a7c15u;
	return (uint32_t)(mixed >> 32) ^ heap.secret;
}

static struct head *head_of(void *memory)
{
	struct head *head = (struct head *)memory - 1;

	if (head->check != check_of(head, MARK_USED))
		abort();
	return head;
}

/* In units of 16 bytes: 1, 2, 3, 4; 5, 6, 7, 8; 10, 12, 14, 16; 20 ... */
static unsigned class_of(size_t size, size_t *room)
{
	size_t units = size ? (size + UNIT - 1) / UNIT : 1;

	if (units <= STEPS) {
		*room = units * UNIT;
		return (unsigned)units - 1;
	}
	unsigned shift = 61 - (unsigned)__builtin_clzl(units - 1); /* a step is 1 << shift units */
	size_t steps = (units - 1) >> shift;                       /* 4 to 7 whole ones, and a part */
	*room = ((steps + 1) << shift) * UNIT;
	return (shift + 1) * STEPS + (unsigned)(steps - STEPS);
}

static void *map(size_t bytes)
{
	void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return memory == MAP_FAILED ? NULL : memory;
}

static void *begin(struct head *head, unsigned class, size_t room)
{
	head->class = class;
	head->room = room;
	head->check = check_of(head, MARK_USED);
	return head + 1;
}

static void *alloc_large(size_t size)
{
	if (size > PTRDIFF_MAX - sizeof(struct head)) {
		errno = ENOMEM;
		return NULL;
	}
	struct head *head = map(size + sizeof(struct head));
	return head ? begin(head, CLASS_LARGE, size) : NULL;
}

/* From the chunk. What is left of the one before is given up: at most a quarter of it, and most often nothing was there. */
static void *carve(unsigned class, size_t room)
{
	size_t bytes = sizeof(struct head) + room;

	if ((size_t)(heap.end - heap.at) < bytes) {
		char *chunk = map(CHUNK_BYTES);
		if (!chunk)
			return NULL;
		heap.at = chunk;
		heap.end = chunk + CHUNK_BYTES;
	}
	struct head *head = (struct head *)heap.at;
	heap.at += bytes;
	return begin(head, class, room);
}

static void *alloc(size_t size, bool *is_zeroed)
{
	size_t room;

	*is_zeroed = true;
	if (size > SMALL_MAX)
		return alloc_large(size);
	unsigned class = class_of(size, &room);
	struct free_block *block = heap.free[class];
	if (!block)
		return carve(class, room);
	struct head *head = (struct head *)block - 1;
	if (head->class != class || head->check != check_of(head, MARK_FREE))
		abort();
	heap.free[class] = block->next;
	*is_zeroed = false;
	return begin(head, class, room);
}

void *heap_alloc(size_t size)
{
	bool is_zeroed;

	return alloc(size, &is_zeroed);
}

void *heap_alloc_zeroed(size_t count, size_t size)
{
	bool is_zeroed;
	size_t bytes;

	if (__builtin_mul_overflow(count, size, &bytes)) {
		errno = ENOMEM;
		return NULL;
	}
	void *memory = alloc(bytes, &is_zeroed);
	return memory && !is_zeroed ? memset(memory, 0, bytes) : memory;
}

static void *resize_large(struct head *head, size_t size)
{
	struct head *moved = mremap(head, head->room + sizeof(*head), size + sizeof(*head), MREMAP_MAYMOVE);

	return moved == MAP_FAILED ? NULL : begin(moved, CLASS_LARGE, size);
}

void *heap_resize(void *memory, size_t size)
{
	if (!memory)
		return heap_alloc(size);
	struct head *head = head_of(memory);
	if (head->class == CLASS_LARGE && size > SMALL_MAX && size <= PTRDIFF_MAX - sizeof(*head))
		return resize_large(head, size);
	if (head->class != CLASS_LARGE && size <= head->room)
		return memory;
	void *copy = heap_alloc(size);
	if (!copy)
		return NULL;
	memcpy(copy, memory, head->room < size ? head->room : size);
	heap_free(memory);
	return copy;
}

void heap_free(void *memory)
{
	if (!memory)
		return;
	struct head *head = head_of(memory);
	if (head->class == CLASS_LARGE) {
		int error = errno;
		munmap(head, head->room + sizeof(*head));
		errno = error;
		return;
	}
	struct free_block *block = memory;
	head->check = check_of(head, MARK_FREE);
	block->next = heap.free[head->class];
	heap.free[head->class] = block;
}
