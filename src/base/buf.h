/*
 * A growing byte buffer with a ceiling. `data` is always NUL-terminated once anything was appended, so it serves as a
 * string too. Appending past `max` fails with -EFBIG and leaves the content as it was: every buffer that grows with
 * foreign input names its limit where it is made.
 */
#pragma once

#include <stdarg.h>
#include <stddef.h>

#include <sys/types.h>

#include "base/cleanup.h"

struct buf {
	char *data;
	size_t len;
	size_t cap;
	size_t max;
};

#define BUF_INIT(ceiling)                            \
 {                                                   \
  .data = NULL, .len = 0, .cap = 0, .max = (ceiling) \
 }

void buf_init(struct buf *buf, size_t max_bytes);
void buf_finish(struct buf *buf); /* frees; may be initialised or used again */
void buf_reset(struct buf *buf);  /* empties, keeps the memory */

/* All return 0, -ENOMEM or -EFBIG. */
int buf_reserve(struct buf *buf, size_t more_bytes);
int buf_append(struct buf *buf, const void *data, size_t len);
int buf_puts(struct buf *buf, const char *string);
int buf_putc(struct buf *buf, char c);
int buf_printf(struct buf *buf, const char *format, ...) printf_like(2, 3);
int buf_vprintf(struct buf *buf, const char *format, va_list args);

/* Drops the first `len` bytes. */
void buf_consume(struct buf *buf, size_t len);

/* One read(2) of at most `want` bytes at the end. Returns the count, 0 at end of file, or -errno (-EFBIG: full). */
ssize_t buf_read(struct buf *buf, int fd, size_t want);

/* Moves the content out as a string (never NULL unless out of memory); the buffer is empty afterwards. */
char *buf_take(struct buf *buf);
