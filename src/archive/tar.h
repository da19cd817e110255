/*
 * Writing tar: the headers. POSIX's ustar, with an extended (pax) header before it for what that has no room for: long or
 * non-ASCII names, large sizes and IDs, fractions of a second, extended attributes. Names are bytes: those that are no UTF-8
 * are said to be so (hdrcharset=BINARY).
 *
 * After an entry's header come its bytes, zeros up to the next multiple of TAR_BLOCK_BYTES; after the last one,
 * TAR_END_BYTES of zeros.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include <sys/types.h>

#include "base/buf.h"

#define TAR_BLOCK_BYTES 512
#define TAR_END_BYTES   1024

struct tar_xattr {
	const char *name; /* without "="; "user.comment" */
	const void *value;
	size_t size;
};

struct tar_entry {
	const char *path;
	const char *hardlink; /* path of an earlier entry: a link to that; NULL: none */
	const char *symlink;  /* target, if mode is S_IFLNK */
	mode_t mode;          /* the type too; sockets have no place in a tar */
	uid_t uid;
	gid_t gid;
	int64_t size; /* of a regular file; else 0 */
	dev_t device;
	struct timespec mtime;
	const struct tar_xattr *xattrs;
	size_t xattr_count;
};

/* Appends the header, or headers. -EINVAL for a socket; -ENOMEM, -EFBIG. */
int tar_header(const struct tar_entry *entry, struct buf *out);

/* Zeros behind `size` bytes. */
size_t tar_padding(int64_t size);
