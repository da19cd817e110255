/*
 * The input as a line: refused, or the same as what jansson reads. The input as what a container wrote: encoded, it is JSON,
 * and comes back but for bytes that were not UTF-8.
 */
#include <string.h>

#include "base/cleanup.h"
#include "codec/json.h"
#include "codec/jsonlog.h"
#include "codec/utf8.h"

#include "fuzz.h"

static const char *string_member(json_t *object, const char *key)
{
	return json_string_value(json_object_get(object, key)) ?: "";
}

/* jansson refuses more (encoded NULs, bytes that are no UTF-8, what we pass over); where both read, both read the same. */
static void read_line(const char *data, size_t size)
{
	_cleanup_free_ char *line = malloc(size ? size : 1);
	_autojson_ json_t *value = NULL;
	struct jsonlog_record record;
	if (size)
		memcpy(line, data, size);
	int ret = jsonlog_decode(line, size, &record);
	const char *key, *member;
	for (size_t at = 0; ret == 0 && record.attrs && jsonlog_next_attr(&record, &at, &key, &member) == 1;)
		fuzz_check(strlen(key) + strlen(member) < size && at <= record.attrs_len);
	if (json_load(data, size, &value, NULL) < 0 ||
		!json_is_object(value)) /* takes invalid escapes for errors too */
		return;
	if (ret == 0 && json_object_size(value)) {
		fuzz_check(strcmp(record.stream, string_member(value, "stream")) == 0);
		fuzz_check(strcmp(record.time, string_member(value, "time")) == 0);
		fuzz_check(strcmp(record.data, string_member(value, "log")) == 0);
	}
}

static void write_line(const char *data, size_t size)
{
	_cleanup_free_ char *line = malloc(JSONLOG_SIZE_MAX(size));
	size_t len = jsonlog_encode(line, data, size, "stderr", NULL, "2026-11-23T20:15:00.123456789Z");
	fuzz_check(len <= JSONLOG_SIZE_MAX(size) && line[len - 1] == '\n' && !memchr(line, '\n', len - 1));
	if (!memchr(data, '\0', size)) {
		_autojson_ json_t *value = NULL;
		fuzz_check(json_load(line, len, &value, NULL) == 0);
	}
	struct jsonlog_record record;
	fuzz_check(jsonlog_decode(line, len, &record) == 0 && strcmp(record.stream, "stderr") == 0);
	fuzz_check(utf8_is_valid(record.data, record.len));
	if (utf8_is_valid(data, size))
		fuzz_check(record.len == size && memcmp(record.data, data, size) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!size)
		return 0;
	read_line((const char *)data, size);
	write_line((const char *)data, size);
	return 0;
}
