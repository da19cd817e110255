/* Whole reads and writes on descriptors, and small files replaced atomically. All return 0 (or a count) or -errno. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include <sys/types.h>

#include "base/buf.h"

int io_write_full(int fd, const void *data, size_t len);
/* Reads exactly `len`; -ENODATA if the file ends before. */
int io_read_full(int fd, void *data, size_t len);
/* Reads to the end; -EFBIG past the buffer's ceiling. */
int io_read_all(int fd, struct buf *buf);

/* Reads a regular file below `dirfd` that we wrote ourselves (never one in a container's tree): O_NOFOLLOW. */
int io_read_file(int dirfd, const char *name, struct buf *buf);

/*
 * Replaces `name` (one component) below `dirfd` by rename, mode 0600. A crash leaves the old or the new content and at
 * most one file "name.tmp", which the next call takes over. With `durable`, file and folder are synced.
 */
int io_replace_file(int dirfd, const char *name, const void *data, size_t len, bool durable);

int io_set_nonblock(int fd, bool on);

/* The same file, opened anew: with a position and an access mode of its own. Returns the descriptor, close-on-exec. */
int io_reopen(int fd, int flags);

/* `bytes` random bytes as lower-case hex; `out` holds 2 * bytes + 1. Never fails after boot. */
void io_random_hex(char *out, size_t bytes);
