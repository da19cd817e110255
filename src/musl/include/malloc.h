/* What musl's has not. Its malloc gives memory back by itself and has nothing to be set: all of it is without effect. */
#pragma once
#include_next <malloc.h>

enum { M_MMAP_THRESHOLD, M_TRIM_THRESHOLD, M_TOP_PAD, M_ARENA_MAX, M_MXFAST };

static inline int mallopt(int parameter, int value)
{
	(void)parameter, (void)value;
	return 1;
}

static inline int malloc_trim(size_t pad)
{
	(void)pad;
	return 0;
}
