/*
 * Inflating a stream: gzip by ISA-L (several members too), zstd by its library, xz and bzip2 by libarchive. It runs in a
 * confined child with nothing but its two descriptors; how much may come out is the parent's to count.
 */
#pragma once

#include <stddef.h>

enum compression {
	COMPRESSION_NONE,
	COMPRESSION_GZIP,
	COMPRESSION_ZSTD,
	COMPRESSION_XZ,
	COMPRESSION_BZIP2,
};

/* Bytes that tell them apart. */
#define COMPRESSION_MAGIC_BYTES 6

enum compression compression_detect(const void *data, size_t len);
/* Of a regular file; one that can't be read has none. */
enum compression compression_of(int fd);
const char *compression_name(enum compression compression);

/*
 * Reads `in_fd` to its end and writes what it means to `out_fd`. Returns 0 or: -EBADMSG damaged, -ENODATA cut short,
 * -ENOMEM needs too large a window, or what a read or write failed with.
 */
int inflate_stream(enum compression compression, int in_fd, int out_fd);
