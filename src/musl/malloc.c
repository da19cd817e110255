/* The allocator by the names that everybody calls. */
#include <stdlib.h>

#include "musl/heap.h"

void *malloc(size_t size)
{
	return heap_alloc(size);
}

void *calloc(size_t count, size_t size)
{
	return heap_alloc_zeroed(count, size);
}

void *realloc(void *memory, size_t size)
{
	return heap_resize(memory, size);
}

void free(void *memory)
{
	heap_free(memory);
}
