/*
 * The allocator of the static programs: short-lived ones, which should touch few pages and ask the kernel seldom, and monitors, of
 * which there are many. One thread only, as they have no other.
 *
 * Sizes are rounded up to four steps for each power of two; what is freed waits for the next of its size. Large blocks are the kernel's own mappings and
 * go back at once. A block that is freed twice, or whose head was written over, ends the program.
 */
#pragma once

#include <stddef.h>

/* As malloc, calloc, realloc and free, errno included. */
void *heap_alloc(size_t size);
void *heap_alloc_zeroed(size_t count, size_t size);
void *heap_resize(void *memory, size_t size);
void heap_free(void *memory);
