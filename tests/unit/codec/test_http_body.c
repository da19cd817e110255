#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../unit.h"
#include "base/buf.h"
#include "codec/http_body.h"
#include "codec/http_write.h"

/* Feeds `step` bytes at a time; returns how many were used in all, or the error. */
static ssize_t decode(struct http_body *body, const char *data, size_t len, size_t step, struct buf *out)
{
	size_t at = 0;
	while (at < len && !http_body_is_done(body)) {
		size_t now = len - at < step ? len - at : step;
		uint64_t ahead = http_body_ahead(body);
		const char *piece;
		size_t piece_len;
		struct http_body passed = *body;
		ssize_t used = http_body_decode(body, data + at, now, &piece, &piece_len);
		if (ahead >= now) {
			http_body_pass(&passed, now);
			assert_int_equal(passed.state, body->state);
			assert_int_equal(passed.left, body->left);
		}
		if (ahead >= now)
			assert_true(used == (ssize_t)now && piece == data + at && piece_len == now);
		if (used < 0)
			return used;
		assert_true(used > 0 && (size_t)used <= now);
		assert_true(!piece_len || (piece >= data + at && piece + piece_len <= data + at + used));
		assert_int_equal(buf_append(out, piece, piece_len), 0);
		at += (size_t)used;
	}
	return (ssize_t)at;
}

static void expect_chunked(const char *text, const char *decoded, size_t surplus)
{
	size_t len = strlen(text);
	for (size_t step = 1; step <= len; step++) {
		_cleanup_(buf_finish) struct buf out = BUF_INIT(1 << 16);
		struct http_body body;
		http_body_init(&body, &(struct http_framing){ HTTP_BODY_CHUNKED, 0 });
		assert_int_equal(decode(&body, text, len, step, &out), len - surplus);
		assert_true(http_body_is_done(&body));
		assert_int_equal(http_body_end(&body), 0);
		assert_int_equal(buf_append(&out, "", 0), 0);
		assert_string_equal(out.data, decoded);
	}
}

static void expect_refused(const char *text, int error)
{
	size_t len = strlen(text);
	for (size_t step = 1; step <= len; step++) {
		_cleanup_(buf_finish) struct buf out = BUF_INIT(1 << 16);
		struct http_body body;
		http_body_init(&body, &(struct http_framing){ HTTP_BODY_CHUNKED, 0 });
		assert_int_equal(decode(&body, text, len, step, &out), error);
		assert_int_equal(decode(&body, "0\r\n\r\n", 5, 5, &out), error);
		assert_false(http_body_is_done(&body));
		assert_int_equal(http_body_end(&body), -ENODATA);
	}
}

static void chunks_are_decoded_at_any_split(void **state)
{
	(void)state;
	expect_chunked("0\r\n\r\n", "", 0);
	expect_chunked("5\r\nhello\r\n6\r\n world\r\n0\r\n\r\nGET ", "hello world", 4);
	expect_chunked("1a\r\nabcdefghijklmnopqrstuvwxyz\r\n000\r\n\r\n", "abcdefghijklmnopqrstuvwxyz", 0);
	expect_chunked("A;name=value;q=\"x y\"\r\n0123456789\r\n0;last\r\n\r\n", "0123456789", 0);
	expect_chunked("1 ;x\r\n\r\r\n0\r\nTrailer: x\r\nOther:\ty\r\n\r\n\r\n", "\r", 2);
}

static void broken_chunks_are_refused(void **state)
{
	(void)state;
	static const char *const texts[] = { "\r\n", "g\r\n", "-1\r\n", "+1\r\na\r\n", "0x1\r\n", " 1\r\na\r\n", "1\na",
		"1\r\na\n", "1\r\nab\r\n", "1\ra", "1 \r\na", ";x\r\n", "1;a\nb\r\n", "1;a\rb\r\n", "1;\x7f\r\n",
		"0\r\n folded\r\n", "0\r\na\nb", "0\r\n\n", "0\r\n: x\r\n", "0\r\n\rx", "8000000000000000\r\n",
		"10000000000000000\r\n", "00000000000000001\r\n" };
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		expect_refused(texts[i], -EINVAL);
}

static void large_sizes_are_kept_exactly(void **state)
{
	(void)state;
	struct http_body body;
	const char *piece;
	size_t len;
	http_body_init(&body, &(struct http_framing){ HTTP_BODY_CHUNKED, 0 });
	assert_int_equal(http_body_decode(&body, "7fffffffffffffff\r\nxy", 20, &piece, &len), 20);
	assert_int_equal(len, 2);
	assert_true(body.left == INT64_MAX - 2);
}

/* A body of one chunk whose size line, extension or trailer has `count` bytes. */
static ssize_t decode_filled(const char *before, size_t count, const char *after)
{
	_cleanup_(buf_finish) struct buf text = BUF_INIT(1 << 20), out = BUF_INIT(1 << 10);
	buf_puts(&text, before);
	for (size_t i = 0; i < count; i++)
		buf_putc(&text, 'x');
	buf_puts(&text, after);
	struct http_body body;
	http_body_init(&body, &(struct http_framing){ HTTP_BODY_CHUNKED, 0 });
	ssize_t used = decode(&body, text.data, text.len, 1000, &out);
	return used < 0 ? used : 0;
}

static void limits_hold(void **state)
{
	(void)state;
	size_t line = HTTP_CHUNK_LINE_MAX - 4; /* the digit, the semicolon and the line's end */
	assert_int_equal(decode_filled("0;", line - 1, "\r\n\r\n"), 0);
	assert_int_equal(decode_filled("0;", line, "\r\n\r\n"), 0);
	assert_int_equal(decode_filled("0;", line + 1, "\r\n\r\n"), -EFBIG);
	size_t trailers = HTTP_TRAILERS_MAX - 2; /* two carriage returns count */
	assert_int_equal(decode_filled("0\r\n", trailers - 1, "\r\n\r\n"), 0);
	assert_int_equal(decode_filled("0\r\n", trailers, "\r\n\r\n"), 0);
	assert_int_equal(decode_filled("0\r\n", trailers + 1, "\r\n\r\n"), -EFBIG);
}

static ssize_t decode_extensions(size_t total)
{
	_cleanup_(buf_finish) struct buf text = BUF_INIT(1 << 20), out = BUF_INIT(1 << 20);
	for (size_t left = total; left;) {
		size_t now = left > 1000 ? 1000 : left;
		buf_puts(&text, "1");
		buf_printf(&text, ";%*s\r\na\r\n", (int)now - 1, "");
		left -= now;
	}
	buf_puts(&text, "0\r\n\r\n");
	struct http_body body;
	http_body_init(&body, &(struct http_framing){ HTTP_BODY_CHUNKED, 0 });
	ssize_t used = decode(&body, text.data, text.len, 4096, &out);
	return used < 0 ? used : 0;
}

static void extensions_are_bounded_over_the_body(void **state)
{
	(void)state;
	assert_int_equal(decode_extensions(HTTP_CHUNK_EXTENSIONS_MAX - 1), 0);
	assert_int_equal(decode_extensions(HTTP_CHUNK_EXTENSIONS_MAX), 0);
	assert_int_equal(decode_extensions(HTTP_CHUNK_EXTENSIONS_MAX + 1), -EFBIG);
}

static void lengths_leave_the_surplus(void **state)
{
	(void)state;
	for (size_t step = 1; step <= 9; step++) {
		_cleanup_(buf_finish) struct buf out = BUF_INIT(1 << 10);
		struct http_body body;
		http_body_init(&body, &(struct http_framing){ HTTP_BODY_LENGTH, 5 });
		assert_int_equal(decode(&body, "hell", 4, step, &out), 4);
		assert_int_equal(http_body_end(&body), -ENODATA);
		struct http_body other = body; /* the rest in another process */
		assert_int_equal(decode(&other, "oGET /", 6, step, &out), 1);
		assert_string_equal(out.data, "hello");
		assert_int_equal(http_body_end(&other), 0);
	}
	struct http_body empty;
	http_body_init(&empty, &(struct http_framing){ HTTP_BODY_LENGTH, 0 });
	assert_true(http_body_is_done(&empty));
	http_body_init(&empty, &(struct http_framing){ HTTP_BODY_NONE, 0 });
	assert_true(http_body_is_done(&empty));
}

static void until_eof_ends_only_there(void **state)
{
	(void)state;
	_cleanup_(buf_finish) struct buf out = BUF_INIT(1 << 10);
	struct http_body body;
	http_body_init(&body, &(struct http_framing){ HTTP_BODY_UNTIL_EOF, 0 });
	assert_int_equal(decode(&body, "0\r\n\r\n", 5, 2, &out), 5);
	assert_string_equal(out.data, "0\r\n\r\n");
	assert_false(http_body_is_done(&body));
	assert_int_equal(http_body_end(&body), 0);
	assert_true(http_body_is_done(&body));
}

static void kinds_have_names(void **state)
{
	(void)state;
	for (enum http_body_kind kind = HTTP_BODY_NONE; kind <= HTTP_BODY_UNTIL_EOF; kind++) {
		enum http_body_kind back;
		assert_int_equal(http_body_kind_parse(http_body_kind_name(kind), &back), 0);
		assert_int_equal(back, kind);
	}
	enum http_body_kind kind;
	assert_int_equal(http_body_kind_parse("chunk", &kind), -EINVAL);
}

static void written_chunks_are_read_back(void **state)
{
	(void)state;
	_cleanup_(buf_finish) struct buf text = BUF_INIT(64);
	assert_int_equal(http_write_chunk(&text, "hello, world", 12), 0);
	assert_int_equal(http_write_chunk(&text, "", 0), 0);
	assert_int_equal(http_write_chunk(&text, "0123456789012345678901234567890123456789012345", 46), -EFBIG);
	assert_string_equal(text.data, "c\r\nhello, world\r\n");
	assert_int_equal(http_write_last_chunk(&text), 0);
	expect_chunked(text.data, "hello, world", 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(chunks_are_decoded_at_any_split),
		cmocka_unit_test(broken_chunks_are_refused),
		cmocka_unit_test(large_sizes_are_kept_exactly),
		cmocka_unit_test(limits_hold),
		cmocka_unit_test(extensions_are_bounded_over_the_body),
		cmocka_unit_test(lengths_leave_the_surplus),
		cmocka_unit_test(until_eof_ends_only_there),
		cmocka_unit_test(kinds_have_names),
		cmocka_unit_test(written_chunks_are_read_back),
	};
	return cmocka_run_group_tests_name("http-body", tests, NULL, NULL);
}
