#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../unit.h"
#include "codec/json.h"
#include "codec/jsonlog.h"

#define TIME "2026-11-23T20:15:00.5Z"

static char *encoded(const char *data, size_t len)
{
	char *out = malloc(JSONLOG_SIZE_MAX(len));
	size_t size = jsonlog_encode(out, data, len, "stdout", NULL, TIME);
	assert_true(size < JSONLOG_SIZE_MAX(len));
	out[size] = '\0';
	return out;
}

static void expect_text(const char *data, size_t len, const char *text)
{
	_cleanup_free_ char *out = encoded(data, len);
	_cleanup_free_ char *want = NULL;
	assert_true(asprintf(&want, "{\"log\":\"%s\",\"stream\":\"stdout\",\"time\":\"" TIME "\"}\n", text) > 0);
	assert_string_equal(out, want);
}

static void records_are_dockers(void **state)
{
	(void)state;
	expect_text("hello\n", 6, "hello\\n");
	expect_text("a\"b\\c\r\n", 7, "a\\\"b\\\\c\\r\\n");
	expect_text("\0\t\b\x1b[0m\x7f", 8, "\\u0000\\u0009\\u0008\\u001b[0m\x7f");
	expect_text("<a&b>", 5, "\\u003ca\\u0026b\\u003e");
	expect_text("\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", 9, "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80");
	expect_text("\xe2\x80\xa8\xe2\x80\xa9\xe2\x80\xaa", 9, "\\u2028\\u2029\xe2\x80\xaa");
	expect_text("a\xff\xc3\xed\xa0\x80\xe2\x82", 8, "a\\ufffd\\ufffd\\ufffd\\ufffd\\ufffd\\ufffd\\ufffd");
	_cleanup_free_ char *empty = encoded("", 0);
	assert_string_equal(empty, "{\"stream\":\"stdout\",\"time\":\"" TIME "\"}\n");
}

/* Each byte at each place of a long run: the scan by sixteen must see what the scan by one sees. */
static void every_byte_is_seen_everywhere(void **state)
{
	(void)state;
	char data[40];
	for (size_t place = 0; place < sizeof data; place++) {
		for (int byte = 0; byte < 256; byte++) {
			memset(data, 'x', sizeof data);
			data[place] = (char)byte;
			_cleanup_free_ char *line = encoded(data, sizeof data);
			bool escaped = strchr(line, '\\') != NULL;
			assert_int_equal(escaped, byte < 0x20 || byte >= 0x80 || (byte && strchr("\"\\<>&", byte)));
			struct jsonlog_record record;
			assert_int_equal(jsonlog_decode(line, strlen(line), &record), 0);
			if (byte < 0x80) {
				assert_int_equal(record.len, sizeof data);
				assert_memory_equal(record.data, data, sizeof data);
			} else {
				assert_int_equal(record.len, sizeof data + 2);
			}
		}
	}
}

static void another_reader_agrees(void **state)
{
	(void)state;
	static const char data[] = "\x01 \"q\" \\ \xc3\xa9 \xe2\x80\xa8 \xff <&>\t\n";
	_cleanup_free_ char *line = encoded(data, strlen(data));
	_autojson_ json_t *value = NULL;
	assert_int_equal(json_load(line, strlen(line), &value, NULL), 0);
	struct jsonlog_record record;
	assert_int_equal(jsonlog_decode(line, strlen(line), &record), 0);
	assert_string_equal(record.data, json_string_value(json_object_get(value, "log")));
	assert_string_equal(record.stream, "stdout");
	assert_string_equal(record.time, TIME);
}

static int decode(const char *text, struct jsonlog_record *record, char line[static 1000])
{
	size_t len = strlen(text);
	memcpy(line, text, len);
	line[len] = 'x'; /* nobody may look there */
	return jsonlog_decode(line, len, record);
}

static void foreign_records_are_read(void **state)
{
	(void)state;
	struct jsonlog_record record;
	char line[1000];
	assert_int_equal(
		decode(" { \"time\" : \"t\" , \"attrs\":{\"a\":[1,{\"b\":\"}\"}],\"tag\":\"x\"}, \"log\":\"\\u00e9\\ud83d\\ude00"
		       "\\ud800\\/\\b\\f\\t\\n\", \"stream\":\"stderr\", \"n\":-1.5e3, \"z\":null}\r\n",
			&record, line),
		0);
	assert_string_equal(record.data, "\xc3\xa9\xf0\x9f\x98\x80\xef\xbf\xbd/\b\f\t\n");
	assert_string_equal(record.stream, "stderr");
	assert_string_equal(record.time, "t");
	assert_int_equal(decode("{}", &record, line), 0);
	assert_string_equal(record.data, "");
	assert_string_equal(record.time, "");
	assert_int_equal(decode("{\"log\":\"\\ud800\\ud800\\udc00\\udc00\\ud800x\"}", &record, line), 0);
	assert_string_equal(record.data, "\xef\xbf\xbd\xf0\x90\x80\x80\xef\xbf\xbd\xef\xbf\xbdx");
	assert_int_equal(decode("{\"log\":\"a\\u0000b\"}", &record, line), 0);
	assert_int_equal(record.len, 3);
}

static void attributes_are_kept_and_read(void **state)
{
	(void)state;
	static const char attrs[] = "{\"a\":\"x\\\"y\",\"b\":\"\\u003c\"}";
	char line[1000];
	struct jsonlog_record record;
	const char *key, *value;
	size_t at = 0;
	size_t len = jsonlog_encode(line, "hi\n", 3, "stdout", attrs, TIME);
	line[len] = '\0';
	assert_string_equal(line,
		"{\"log\":\"hi\\n\",\"stream\":\"stdout\",\"attrs\":{\"a\":\"x\\\"y\",\"b\":\"\\u003c\"},\"time\":\"" TIME
		"\"}\n");
	assert_int_equal(jsonlog_decode(line, len, &record), 0);
	assert_int_equal(record.attrs_len, strlen(attrs));
	assert_memory_equal(record.attrs, attrs, strlen(attrs));
	assert_int_equal(jsonlog_next_attr(&record, &at, &key, &value), 1);
	assert_string_equal(key, "a");
	assert_string_equal(value, "x\"y");
	assert_int_equal(jsonlog_next_attr(&record, &at, &key, &value), 1);
	assert_string_equal(key, "b");
	assert_string_equal(value, "<");
	assert_int_equal(jsonlog_next_attr(&record, &at, &key, &value), 0);
	assert_string_equal(record.data, "hi\n");
}

/* The number of pairs, or -EINVAL. */
static int count_attrs(const char *text)
{
	char line[1000];
	struct jsonlog_record record;
	const char *key, *value;
	size_t at = 0;
	int r, count = 0;
	assert_int_equal(decode(text, &record, line), 0);
	while ((r = jsonlog_next_attr(&record, &at, &key, &value)) == 1)
		count++;
	return r < 0 ? r : count;
}

static void foreign_attributes_are_no_trap(void **state)
{
	(void)state;
	assert_int_equal(count_attrs("{\"attrs\":{}}"), 0);
	assert_int_equal(count_attrs("{\"attrs\": { \"a\" : \"b\" , \"\":\"\" } }"), 2);
	static const char *const broken[] = { "{\"attrs\":1}", "{\"attrs\":\"x\"}", "{\"attrs\":[\"a\"]}",
		"{\"attrs\":null}", "{\"attrs\":{\"a\":1}}", "{\"attrs\":{\"a\":{}}}", "{\"attrs\":{\"a\",\"b\"}}",
		"{\"attrs\":{\"a\":\"\\x\"}}", "{\"attrs\":{,}}", "{\"attrs\":{\"a\":\"b\",}}" };
	for (size_t i = 0; i < ARRAY_SIZE(broken); i++)
		assert_int_equal(count_attrs(broken[i]), -EINVAL);
}

static void broken_records_are_refused(void **state)
{
	(void)state;
	static const char *const lines[] = { "", "{", "}", "null", "[]", "{\"log\"}", "{\"log\":}", "{\"log\":1}",
		"{\"log\":\"a}", "{\"log\":\"a\"", "{\"log\":\"a\",}", "{\"log\":\"a\"}}", "{\"log\":\"a\"}{",
		"{\"log\":\"\\x\"}", "{\"log\":\"\\u12\"}", "{\"log\":\"\\u12g4\"}", "{\"log\":\"\\", "{\"log\":\"\\u",
		"{\"log\":\"\\ud800\\", "{\"log\":\"\\ud800\\u", "{\"log\":\"a\nb\"}", "{log:\"a\"}", "{\"x\":}",
		"{\"x\":[}", "{\"x\":]}", "{\"x\":1 2}", "{\"x\":", "{\"x\":tru" };
	for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
		struct jsonlog_record record;
		char line[1000];
		if (decode(lines[i], &record, line) != -EINVAL)
			fail_msg("accepted: %s", lines[i]);
	}
}

static int decode_nested(size_t depth)
{
	char line[1000] = "{\"x\":";
	size_t len = strlen(line);
	memset(line + len, '[', depth);
	memset(line + len + depth, ']', depth);
	line[len + 2 * depth] = '}';
	struct jsonlog_record record;
	return jsonlog_decode(line, len + 2 * depth + 1, &record);
}

static void depth_is_bounded(void **state)
{
	(void)state;
	assert_int_equal(decode_nested(JSONLOG_DEPTH_MAX - 1), 0);
	assert_int_equal(decode_nested(JSONLOG_DEPTH_MAX), 0);
	assert_int_equal(decode_nested(JSONLOG_DEPTH_MAX + 1), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(records_are_dockers),
		cmocka_unit_test(every_byte_is_seen_everywhere),
		cmocka_unit_test(another_reader_agrees),
		cmocka_unit_test(foreign_records_are_read),
		cmocka_unit_test(attributes_are_kept_and_read),
		cmocka_unit_test(foreign_attributes_are_no_trap),
		cmocka_unit_test(broken_records_are_refused),
		cmocka_unit_test(depth_is_bounded),
	};
	return cmocka_run_group_tests_name("jsonlog", tests, NULL, NULL);
}
