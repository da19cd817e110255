/*
 * The "json-file" driver's record: see codec/jsonlog.h. A line is a record, so the file can be walked from either end and
 * damage costs the line it is in.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "codec/jsonlog.h"
#include "monitor/logformat.h"

#define JSON_BLOCK (32 * 1024)

static size_t json_encode(char *out, const struct log_stamp *stamp, enum log_stream stream, const char *data,
	size_t len)
{
	return jsonlog_encode(out, data, len, stream == LOG_STDOUT ? "stdout" : "stderr", stamp->attrs, stamp->text);
}

static size_t json_decode(char *data, size_t len, struct log_record *ret)
{
	struct jsonlog_record *line = &ret->line;
	char *newline = memchr(data, '\n', len);

	*ret = (struct log_record){ .data = NULL };
	if (!newline)
		return 0;
	size_t used = (size_t)(newline - data) + 1;
	if (jsonlog_decode(data, used, line) < 0 || clock_parse_rfc3339(line->time, &ret->time_ns) < 0)
		return used;
	ret->stream = strcmp(line->stream, "stderr") == 0 ? LOG_STDERR : LOG_STDOUT;
	ret->data = line->data;
	ret->len = line->len;
	return used;
}

/* The last newline in data[0..len), or NULL. */
static const char *last_newline(const char *data, size_t len)
{
	return memrchr(data, '\n', len);
}

/* The record before position P begins behind the newline before P - 1, which ends it. */
static int json_seek_back(int fd, off_t end, uint64_t *count, off_t *ret_pos)
{
	char block[JSON_BLOCK];
	off_t pos = end > 0 ? end - 1 : 0; /* everything up to here, without the newline that ends the last record */

	*ret_pos = end;
	while (pos > 0 && *count) {
		size_t want = pos < (off_t)sizeof block ? (size_t)pos : sizeof block;
		ssize_t n = pread(fd, block, want, pos - (off_t)want);
		if (n < 0)
			return -errno;
		if ((size_t)n < want)
			break; /* cut off under us */
		const char *newline;
		for (size_t len = want; *count && (newline = last_newline(block, len)) != NULL; --*count) {
			len = (size_t)(newline - block);
			*ret_pos = pos - (off_t)want + (off_t)len + 1;
		}
		pos -= (off_t)want;
	}
	if (pos <= 0 && *count && end > 0) {
		--*count;
		*ret_pos = 0;
	}
	return 0;
}

static off_t json_whole(int fd, off_t size)
{
	char block[JSON_BLOCK];

	while (size > 0) {
		size_t want = size < (off_t)sizeof block ? (size_t)size : sizeof block;
		ssize_t n = pread(fd, block, want, size - (off_t)want);
		if (n != (ssize_t)want)
			return size;
		const char *newline = last_newline(block, want);
		if (newline)
			return size - (off_t)want + (newline - block) + 1;
		size -= (off_t)want;
	}
	return 0;
}

const struct log_ops log_ops_json_file = {
	.driver = "json-file",
	.record_max = JSONLOG_SIZE_MAX(LOG_DATA_MAX) + LOG_ATTRS_ROOM,
	.encode = json_encode,
	.decode = json_decode,
	.seek_back = json_seek_back,
	.whole = json_whole,
};
