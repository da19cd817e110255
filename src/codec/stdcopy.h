/*
 * How stdout and stderr share one connection when there is no terminal: frames of an eight-byte header and data. The first
 * byte names the stream, the next three are zero, the last four are the length, big-endian.
 * https://docs.docker.com/reference/api/engine/version/v1.50/#tag/Container/operation/ContainerAttach ("Stream format")
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include <sys/types.h>

#define STDCOPY_HEADER_SIZE 8

enum stdcopy_stream {
	STDCOPY_STDIN,
	STDCOPY_STDOUT,
	STDCOPY_STDERR,
	STDCOPY_SYSTEM_ERROR, /* the engine's own words, not the container's */
};

/* The header of a frame of `len` bytes; the data follows it. */
void stdcopy_header(unsigned char out[static STDCOPY_HEADER_SIZE], enum stdcopy_stream stream, uint32_t len);

/* A decoder of any pieces: a plain value, leave it to the functions. */
struct stdcopy {
	unsigned char header[STDCOPY_HEADER_SIZE];
	uint32_t header_len;
	uint32_t left; /* of the frame */
};

struct stdcopy_piece {
	enum stdcopy_stream stream;
	const char *data; /* borrowed from the input */
	size_t len;       /* often 0: only a part of a header was there */
};

void stdcopy_init(struct stdcopy *stdcopy);

/*
 * Returns how many bytes were used, at least one unless `len` is 0, and a piece of a frame's data. -EINVAL: not a frame;
 * the same for every later call.
 */
ssize_t stdcopy_decode(struct stdcopy *stdcopy, const char *data, size_t len, struct stdcopy_piece *ret_piece);

/* Whether the input may end here: 0, or -ENODATA in the middle of a frame. */
int stdcopy_end(const struct stdcopy *stdcopy);
