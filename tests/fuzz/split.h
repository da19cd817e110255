/* For parsers that take any pieces: the first byte of an input says how long they are. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Takes the first byte off; 1 to 64, or everything at once for a byte that says so. */
static inline size_t split_step(const uint8_t **data, size_t *size)
{
	uint8_t first = **data;
	++*data;
	--*size;
	return first < 0xc0 ? first % 64 + 1u : *size + 1;
}

static inline size_t split_piece(size_t at, size_t size, size_t step)
{
	return size - at < step ? size - at : step;
}
