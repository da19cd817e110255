#include <errno.h>
#include <string.h>

#include "../unit.h"
#include "base/buf.h"
#include "codec/stdcopy.h"

struct result {
	struct buf streams[4];
	int error;
	int end;
};

static void decode(const char *data, size_t len, size_t step, struct result *ret)
{
	struct stdcopy stdcopy;
	stdcopy_init(&stdcopy);
	ret->error = 0;
	for (size_t i = 0; i < 4; i++)
		buf_init(&ret->streams[i], 1 << 16);
	for (size_t at = 0; at < len;) {
		size_t now = len - at < step ? len - at : step;
		struct stdcopy_piece piece;
		ssize_t used = stdcopy_decode(&stdcopy, data + at, now, &piece);
		if (used < 0) {
			ret->error = (int)used;
			assert_int_equal(stdcopy_decode(&stdcopy, "\1", 1, &piece), -EINVAL);
			break;
		}
		assert_true(used > 0 && (size_t)used <= now);
		buf_append(&ret->streams[piece.stream], piece.data, piece.len);
		at += (size_t)used;
	}
	ret->end = stdcopy_end(&stdcopy);
}

static void finish(struct result *result)
{
	for (size_t i = 0; i < 4; i++)
		buf_finish(&result->streams[i]);
}

static void put_frame(struct buf *out, enum stdcopy_stream stream, const char *text)
{
	unsigned char header[STDCOPY_HEADER_SIZE];
	stdcopy_header(header, stream, (uint32_t)strlen(text));
	buf_append(out, header, sizeof header);
	buf_puts(out, text);
}

static void frames_go_round_at_any_split(void **state)
{
	(void)state;
	_cleanup_(buf_finish) struct buf text = BUF_INIT(1 << 16);
	put_frame(&text, STDCOPY_STDOUT, "one ");
	put_frame(&text, STDCOPY_STDERR, "error");
	put_frame(&text, STDCOPY_STDOUT, "");
	put_frame(&text, STDCOPY_SYSTEM_ERROR, "engine");
	put_frame(&text, STDCOPY_STDIN, "in");
	put_frame(&text, STDCOPY_STDOUT, "two");
	for (size_t step = 1; step <= text.len; step++) {
		struct result result;
		decode(text.data, text.len, step, &result);
		assert_int_equal(result.error, 0);
		assert_int_equal(result.end, 0);
		assert_string_equal(result.streams[STDCOPY_STDOUT].data, "one two");
		assert_string_equal(result.streams[STDCOPY_STDERR].data, "error");
		assert_string_equal(result.streams[STDCOPY_STDIN].data, "in");
		assert_string_equal(result.streams[STDCOPY_SYSTEM_ERROR].data, "engine");
		finish(&result);
	}
}

static void the_header_is_dockers(void **state)
{
	(void)state;
	unsigned char header[STDCOPY_HEADER_SIZE];
	stdcopy_header(header, STDCOPY_STDERR, 0x01020304);
	assert_memory_equal(header, "\2\0\0\0\1\2\3\4", sizeof header);
}

static void what_is_no_frame_is_refused(void **state)
{
	(void)state;
	static const char *const headers[] = { "\4\0\0\0\0\0\0\1x", "\1\1\0\0\0\0\0\1x", "\1\0\0\1\0\0\0\1x",
		"HTTP/1.1 400" };
	for (size_t i = 0; i < ARRAY_SIZE(headers); i++) {
		for (size_t step = 1; step <= 9; step++) {
			struct result result;
			decode(headers[i], 9, step, &result);
			assert_int_equal(result.error, -EINVAL);
			finish(&result);
		}
	}
}

static void an_end_inside_a_frame_is_told(void **state)
{
	(void)state;
	static const char frame[] = "\1\0\0\0\0\0\0\2xy";
	for (size_t len = 0; len <= 10; len++) {
		struct result result;
		decode(frame, len, 100, &result);
		assert_int_equal(result.end, len == 0 || len == 10 ? 0 : -ENODATA);
		finish(&result);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(frames_go_round_at_any_split),
		cmocka_unit_test(the_header_is_dockers),
		cmocka_unit_test(what_is_no_frame_is_refused),
		cmocka_unit_test(an_end_inside_a_frame_is_told),
	};
	return cmocka_run_group_tests_name("stdcopy", tests, NULL, NULL);
}
