#include "codec/http_write.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>

static const struct {
	int status;
	const char *reason;
} reasons[] = {
	{ 100, "Continue" },
	{ 101, "UPGRADED" }, /* Docker's word, not the RFC's */
	{ 200, "OK" },
	{ 201, "Created" },
	{ 202, "Accepted" },
	{ 204, "No Content" },
	{ 206, "Partial Content" },
	{ 301, "Moved Permanently" },
	{ 304, "Not Modified" },
	{ 307, "Temporary Redirect" },
	{ 400, "Bad Request" },
	{ 401, "Unauthorized" },
	{ 403, "Forbidden" },
	{ 404, "Not Found" },
	{ 405, "Method Not Allowed" },
	{ 406, "Not Acceptable" },
	{ 408, "Request Timeout" },
	{ 409, "Conflict" },
	{ 411, "Length Required" },
	{ 413, "Request Entity Too Large" },
	{ 414, "Request URI Too Long" },
	{ 415, "Unsupported Media Type" },
	{ 416, "Requested Range Not Satisfiable" },
	{ 417, "Expectation Failed" },
	{ 429, "Too Many Requests" },
	{ 431, "Request Header Fields Too Large" },
	{ 499, "Client Closed Request" },
	{ 500, "Internal Server Error" },
	{ 501, "Not Implemented" },
	{ 502, "Bad Gateway" },
	{ 503, "Service Unavailable" },
	{ 504, "Gateway Timeout" },
	{ 505, "HTTP Version Not Supported" },
	{ 507, "Insufficient Storage" },
};

const char *http_reason(int status)
{
	for (size_t i = 0; i < ARRAY_SIZE(reasons); i++)
		if (reasons[i].status == status)
			return reasons[i].reason;
	return "Unknown";
}

int http_write_status(struct buf *out, int status)
{
	return buf_printf(out, "HTTP/1.1 %03d %s\r\n", status, http_reason(status));
}

static bool is_clean(const char *text, bool blank_too)
{
	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;
		if ((c < 0x20 && (c != '\t' || !blank_too)) || c == 0x7f || (c == ' ' && !blank_too))
			return false;
	}
	return true;
}

int http_write_request(struct buf *out, const char *method, const char *target)
{
	if (!is_clean(method, false) || !is_clean(target, false))
		return -EINVAL;
	return buf_printf(out, "%s %s HTTP/1.1\r\n", method, target);
}

int http_write_header(struct buf *out, const char *name, const char *value)
{
	if (!is_clean(name, false) || !is_clean(value, true))
		return -EINVAL;
	return buf_printf(out, "%s: %s\r\n", name, value);
}

int http_write_headerf(struct buf *out, const char *name, const char *format, ...)
{
	_cleanup_free_ char *value = NULL;
	va_list args;
	va_start(args, format);
	int len = vasprintf(&value, format, args);
	va_end(args);
	if (len < 0) {
		value = NULL;
		return -ENOMEM;
	}
	return http_write_header(out, name, value);
}

int http_write_end(struct buf *out)
{
	return buf_append(out, "\r\n", 2);
}

size_t http_chunk_head(char out[static HTTP_CHUNK_HEAD_MAX], size_t len)
{
	return (size_t)snprintf(out, HTTP_CHUNK_HEAD_MAX, "%zx\r\n", len);
}

int http_write_chunk(struct buf *out, const void *data, size_t len)
{
	char head[HTTP_CHUNK_HEAD_MAX];
	size_t head_len = http_chunk_head(head, len);
	if (!len)
		return 0;
	if (len > out->max)
		return -EFBIG;
	int ret = buf_reserve(out, head_len + len + 2); /* the appends can't fail after it */
	if (ret < 0)
		return ret;
	buf_append(out, head, head_len);
	buf_append(out, data, len);
	return buf_append(out, "\r\n", 2);
}

int http_write_last_chunk(struct buf *out)
{
	return buf_puts(out, "0\r\n\r\n");
}
