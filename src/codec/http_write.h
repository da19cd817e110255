/*
 * Writing messages: the start line, headers one by one, the blank line, chunks. All return 0, -ENOMEM or -EFBIG (the
 * buffer's ceiling); a header with a line end or other control character in it is -EINVAL and not written.
 */
#pragma once

#include <stddef.h>

#include "base/buf.h"

/* The reason phrase; "Unknown" for a status we have no word for. */
const char *http_reason(int status);

int http_write_status(struct buf *out, int status);
int http_write_request(struct buf *out, const char *method, const char *target);
int http_write_header(struct buf *out, const char *name, const char *value);
int http_write_headerf(struct buf *out, const char *name, const char *format, ...) printf_like(3, 4);
int http_write_end(struct buf *out);

/* One whole chunk; nothing for an empty piece, which would end the body. */
int http_write_chunk(struct buf *out, const void *data, size_t len);
int http_write_last_chunk(struct buf *out);

/* The line before a chunk of `len` bytes, for writers that don't copy; CRLF must follow the data. Returns its length. */
#define HTTP_CHUNK_HEAD_MAX 20
size_t http_chunk_head(char out[static HTTP_CHUNK_HEAD_MAX], size_t len);
