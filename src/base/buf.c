#include "base/buf.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

void buf_init(struct buf *buf, size_t max_bytes)
{
	*buf = (struct buf)BUF_INIT(max_bytes);
}

void buf_finish(struct buf *buf)
{
	free(buf->data);
	buf->data = NULL;
	buf->len = buf->cap = 0;
}

void buf_reset(struct buf *buf)
{
	buf->len = 0;
	if (buf->data)
		buf->data[0] = '\0';
}

int buf_reserve(struct buf *buf, size_t more_bytes)
{
	if (more_bytes > buf->max || buf->len > buf->max - more_bytes)
		return -EFBIG;

	size_t need = buf->len + more_bytes + 1; /* the NUL */
	if (need <= buf->cap)
		return 0;

	size_t cap = buf->cap ? buf->cap : 64;
	while (cap < need)
		cap = cap > SIZE_MAX / 2 ? need : cap * 2;
	char *data = realloc(buf->data, cap);
	if (!data)
		return -ENOMEM;
	buf->data = data;
	buf->cap = cap;
	return 0;
}

int buf_append(struct buf *buf, const void *data, size_t len)
{
	int ret = buf_reserve(buf, len);
	if (ret < 0)
		return ret;
	if (len)
		memcpy(buf->data + buf->len, data, len);
	buf->len += len;
	buf->data[buf->len] = '\0';
	return 0;
}

int buf_puts(struct buf *buf, const char *string)
{
	return buf_append(buf, string, strlen(string));
}

int buf_putc(struct buf *buf, char c)
{
	return buf_append(buf, &c, 1);
}

int buf_vprintf(struct buf *buf, const char *format, va_list args)
{
	va_list again;
	va_copy(again, args);
	int len = vsnprintf(NULL, 0, format, again);
	va_end(again);
	if (len < 0)
		return -EINVAL;

	int ret = buf_reserve(buf, (size_t)len);
	if (ret < 0)
		return ret;
	vsnprintf(buf->data + buf->len, (size_t)len + 1, format, args);
	buf->len += (size_t)len;
	return 0;
}

int buf_printf(struct buf *buf, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	int ret = buf_vprintf(buf, format, args);
	va_end(args);
	return ret;
}

void buf_consume(struct buf *buf, size_t len)
{
	if (len >= buf->len) {
		buf_reset(buf);
		return;
	}
	if (!len)
		return;
	memmove(buf->data, buf->data + len, buf->len - len + 1);
	buf->len -= len;
}

ssize_t buf_read(struct buf *buf, int fd, size_t want)
{
	if (buf->len >= buf->max)
		return -EFBIG;
	if (want > buf->max - buf->len)
		want = buf->max - buf->len;
	int ret = buf_reserve(buf, want);
	if (ret < 0)
		return ret;

	ssize_t n;
	do
		n = read(fd, buf->data + buf->len, want);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	buf->len += (size_t)n;
	buf->data[buf->len] = '\0';
	return n;
}

char *buf_take(struct buf *buf)
{
	if (!buf->data && buf_append(buf, "", 0) < 0)
		return NULL;
	char *data = TAKE(buf->data);
	buf->len = buf->cap = 0;
	return data;
}
