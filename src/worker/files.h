/*
 * Files of an unpacked archive. Its author chose the names and the links, so each is opened in-root, must be a regular
 * file, and is read up to a limit.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

/* Returns a read-only descriptor, or -errno and the error. */
int archive_file_open(int archive_fd, const char *path, struct err **reterr);
/* Appends its content to `out`, up to that buffer's ceiling. */
int archive_file_read(int archive_fd, const char *path, struct buf *out, struct err **reterr);
/* Whether there is anything of that name. */
bool archive_file_exists(int archive_fd, const char *path);

/* Reads blobs/sha256/HEX of a layout and compares it with its digest (valid by grammar) and size (-1: any). */
int archive_blob_read(int archive_fd, const char *digest, int64_t size, struct buf *out, struct err **reterr);
int archive_blob_open(int archive_fd, const char *digest, struct err **reterr);
