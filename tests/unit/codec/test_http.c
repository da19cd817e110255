#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../unit.h"
#include "base/buf.h"
#include "codec/http.h"
#include "codec/http_response.h"
#include "codec/http_write.h"

/* Feeds `step` bytes at a time; the answer of the last call, and how many bytes belonged to the head. */
static int feed(struct http_head *head, const char *data, size_t len, size_t step, size_t *ret_total)
{
	int ret = 0;
	*ret_total = 0;
	for (size_t at = 0; at < len && ret == 0; at += step) {
		size_t used;
		ret = http_head_feed(head, data + at, len - at < step ? len - at : step, &used);
		*ret_total += used;
	}
	return ret;
}

static struct http_head *parsed(enum http_kind kind, const char *text)
{
	struct http_head *head = http_head_new(kind);
	size_t used;
	int ret = feed(head, text, strlen(text), strlen(text), &used);
	if (ret != 1)
		fail_msg("%s: %d %s", text, ret, http_head_problem(head));
	return head;
}

/* Refused at any split, the same way, and again afterwards. */
static void expect_refused_bytes(enum http_kind kind, const char *text, size_t len, int error)
{
	for (size_t step = 1; step <= len; step += step < 16 ? 1 : 16) {
		_autofree_(http_head) struct http_head *head = http_head_new(kind);
		size_t used;
		int ret = feed(head, text, len, step, &used);
		if (ret != error)
			fail_msg("%s: %d instead of %d (%s)", text, ret, error, http_head_problem(head));
		assert_true(*http_head_problem(head));
		assert_int_equal(http_head_feed(head, "x", 1, &used), error);
	}
}

static void expect_refused(const char *text, int error)
{
	expect_refused_bytes(HTTP_REQUEST_HEAD, text, strlen(text), error);
}

static const char request_text[] =
	"POST /v1.47/containers/a%2Fb%20c/attach?stream=1&x=%zz HTTP/1.1\r\nHost: docker\r\nUser-Agent:curl \t\r\n"
	"Connection: keep-alive, Upgrade\r\nupgrade: tcp\r\nX-Empty:\r\nX-Two: 1\r\nx-two: 2\r\nContent-Length: 12\r\n\r\nsurplus";

static void check_request(const struct http_head *head)
{
	assert_string_equal(http_head_method(head), "POST");
	assert_string_equal(http_head_target(head), "/v1.47/containers/a%2Fb%20c/attach?stream=1&x=%zz");
	assert_string_equal(http_head_path(head), "/v1.47/containers/a/b c/attach");
	assert_string_equal(http_head_query(head), "stream=1&x=%zz");
	assert_int_equal(http_head_header_count(head), 8);
	assert_string_equal(http_head_header(head, "USER-AGENT"), "curl");
	assert_string_equal(http_head_header(head, "X-Empty"), "");
	assert_string_equal(http_head_header(head, "x-two"), "1");
	assert_null(http_head_header(head, "x-t"));
	const char *name, *value;
	http_head_header_at(head, 6, &name, &value);
	assert_string_equal(name, "x-two");
	assert_string_equal(value, "2");
	assert_true(http_head_has_token(head, "connection", "UPGRADE"));
	assert_false(http_head_has_token(head, "connection", "keep"));
	assert_string_equal(http_head_upgrade(head), "tcp");
	assert_true(http_head_keep_alive(head));
	assert_false(http_head_expects_continue(head));
	assert_int_equal(http_head_framing(head).kind, HTTP_BODY_LENGTH);
	assert_int_equal(http_head_framing(head).length, 12);
}

static void a_request_is_read_at_any_split(void **state)
{
	(void)state;
	_autofree_(http_head) struct http_head *head = http_head_new(HTTP_REQUEST_HEAD);
	size_t len = strlen(request_text), used;
	for (size_t step = 1; step <= len; step++) {
		assert_false(http_head_has_begun(head));
		assert_int_equal(feed(head, request_text, len, step, &used), 1);
		assert_int_equal(used, len - strlen("surplus"));
		check_request(head);
		assert_int_equal(http_head_feed(head, "x", 1, &used), 1);
		assert_int_equal(used, 0);
		http_head_reset(head);
	}
}

static void incomplete_heads_want_more(void **state)
{
	(void)state;
	size_t used;
	for (size_t len = 0; len < strlen(request_text) - strlen("surplus"); len++) {
		_autofree_(http_head) struct http_head *head = http_head_new(HTTP_REQUEST_HEAD);
		assert_int_equal(http_head_feed(head, request_text, len, &used), 0);
		assert_int_equal(used, len);
		assert_int_equal(http_head_has_begun(head), len > 0);
	}
}

static void small_requests(void **state)
{
	(void)state;
	_autofree_(http_head) struct http_head *get = parsed(HTTP_REQUEST_HEAD, "GET / HTTP/1.1\r\n\r\n");
	assert_string_equal(http_head_path(get), "/");
	assert_string_equal(http_head_query(get), "");
	assert_int_equal(http_head_framing(get).kind, HTTP_BODY_NONE);
	assert_null(http_head_upgrade(get));
	_autofree_(http_head) struct http_head *old = parsed(HTTP_REQUEST_HEAD,
		"HEAD /_ping? HTTP/1.0\r\nHost: x\r\n\r\n");
	assert_string_equal(http_head_method(old), "HEAD");
	assert_false(http_head_keep_alive(old));
	_autofree_(http_head) struct http_head *put = parsed(HTTP_REQUEST_HEAD,
		"PUT /x HTTP/1.1\r\nTransfer-Encoding: Chunked\r\nExpect: 100-Continue\r\nConnection: close\r\n\r\n");
	assert_int_equal(http_head_framing(put).kind, HTTP_BODY_CHUNKED);
	assert_true(http_head_expects_continue(put));
	assert_false(http_head_keep_alive(put));
	_autofree_(http_head) struct http_head *kept = parsed(HTTP_REQUEST_HEAD,
		"GET /x HTTP/1.0\r\nConnection: Keep-Alive\r\nExpect: 100-continue\r\n\r\n");
	assert_true(http_head_keep_alive(kept));
	assert_false(http_head_expects_continue(kept));
}

static void malformed_requests_are_refused(void **state)
{
	(void)state;
	static const char *const texts[] = {
		"\r\nGET / HTTP/1.1\r\n\r\n",
		"GET / HTTP/1.1\n\n",
		"GET / HTTP/1.1\r\nHost: x\n\r\n",
		"GET / HTTP/1.1\rHost: x\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: x\ry\r\n\r\n",
		"GET / HTTP/1.1\r\nA: b\r\n folded\r\n\r\n",
		"GET / HTTP/1.1\r\nA: b\r\n\tfolded\r\n\r\n",
		"GET / HTTP/1.1\r\n A: b\r\n\r\n",
		"GET / HTTP/1.1\r\nA : b\r\n\r\n",
		"GET / HTTP/1.1\r\nA\t: b\r\n\r\n",
		"GET / HTTP/1.1\r\n: b\r\n\r\n",
		"GET / HTTP/1.1\r\nnocolon\r\n\r\n",
		"GET / HTTP/1.1\r\nA(b): c\r\n\r\n",
		"GET / HTTP/1.1\r\nA: \x01\r\n\r\n",
		"GET / HTTP/1.1\r\nA: \x7f\r\n\r\n",
		"GET / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n",
		"GET / HTTP/1.1\r\nContent-Length: 1\r\ncontent-length: 2\r\n\r\n",
		"GET / HTTP/1.1\r\nContent-Length: 1, 1\r\n\r\n",
		"GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
		"GET / HTTP/1.1\r\nContent-Length: +1\r\n\r\n",
		"GET / HTTP/1.1\r\nContent-Length: 0x1\r\n\r\n",
		"GET / HTTP/1.1\r\nContent-Length: 1 2\r\n\r\n",
		"GET / HTTP/1.1\r\nContent-Length:\r\n\r\n",
		"GET / HTTP/1.1\r\nContent-Length: 9223372036854775808\r\n\r\n",
		"GET / HTTP/1.1\r\nContent-Length: 18446744073709551616\r\n\r\n",
		"GET / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
		"GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n",
		"GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
		"GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
		"GET  / HTTP/1.1\r\n\r\n",
		" GET / HTTP/1.1\r\n\r\n",
		"GET /a b HTTP/1.1\r\n\r\n",
		"GET /\xff HTTP/1.1\r\n\r\n",
		"GET /%zz HTTP/1.1\r\n\r\n",
		"GET /%00 HTTP/1.1\r\n\r\n",
		"GET /a#b HTTP/1.1\r\n\r\n",
		"GET * HTTP/1.1\r\n\r\n",
		"GET http://host/ HTTP/1.1\r\n\r\n",
		"CONNECT host:1 HTTP/1.1\r\n\r\n",
		"BREW / HTTP/1.1\r\n\r\n",
		"get / HTTP/1.1\r\n\r\n",
		"GET / HTTX/1.1\r\n\r\n",
		"GET / HTTP/1.1 \r\n\r\n",
		"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
		"HTTP/1.1 200 OK\r\n\r\n",
		"\x16\x03\x01\x02\x01\x01",
	};
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		expect_refused(texts[i], -EINVAL);
	expect_refused_bytes(HTTP_REQUEST_HEAD, "GET / HTTP/1.1\r\nA: b\0c\r\n\r\n", 27, -EINVAL);
	expect_refused("GET /\r\n\r\n", -EPROTONOSUPPORT); /* HTTP/0.9 */
	expect_refused("GET / HTTP/11\r\n\r\n", -EPROTONOSUPPORT);
	expect_refused("GET / HTTP/2.0\r\n\r\n", -EPROTONOSUPPORT);
	expect_refused("GET / HTTP/0.9\r\n\r\n", -EPROTONOSUPPORT);
	expect_refused("GET / HTTP/1.2\r\n\r\n", -EPROTONOSUPPORT);
	assert_int_equal(http_error_status(-EINVAL), 400);
	assert_int_equal(http_error_status(-EPROTONOSUPPORT), 505);
}

/* llhttp refuses some of these itself, as malformed; what it lets through is ours to refuse. */
static void other_transfer_codings_are_refused(void **state)
{
	(void)state;
	static const char *const codings[] = { "gzip", "gzip, chunked", "chunked, gzip", "identity", "", "xchunked",
		"chunkedx", "\"chunked\"", "chunked;q=1" };
	for (size_t i = 0; i < ARRAY_SIZE(codings); i++) {
		_cleanup_(buf_finish) struct buf text = BUF_INIT(1024);
		buf_printf(&text, "POST / HTTP/1.1\r\nTransfer-Encoding: %s\r\n\r\n", codings[i]);
		_autofree_(http_head) struct http_head *head = http_head_new(HTTP_REQUEST_HEAD);
		size_t used;
		int ret = http_head_feed(head, text.data, text.len, &used);
		assert_true(ret == -EOPNOTSUPP || ret == -EINVAL);
	}
}

static int feed_start_line(size_t len)
{
	_cleanup_(buf_finish) struct buf text = BUF_INIT(1 << 20);
	buf_puts(&text, "GET /");
	while (text.len < len - strlen(" HTTP/1.1"))
		buf_putc(&text, 'a');
	buf_puts(&text, " HTTP/1.1\r\n\r\n");
	_autofree_(http_head) struct http_head *head = http_head_new(HTTP_REQUEST_HEAD);
	size_t used;
	return feed(head, text.data, text.len, 1000, &used);
}

/* `len` bytes of headers, the blank line included. */
static int feed_headers(size_t len)
{
	_cleanup_(buf_finish) struct buf text = BUF_INIT(1 << 20);
	buf_puts(&text, "GET / HTTP/1.1\r\n");
	size_t end = text.len + len - 4;
	buf_puts(&text, "A: ");
	while (text.len < end)
		buf_putc(&text, 'a');
	buf_puts(&text, "\r\n\r\n");
	_autofree_(http_head) struct http_head *head = http_head_new(HTTP_REQUEST_HEAD);
	size_t used;
	return feed(head, text.data, text.len, 1000, &used);
}

static int feed_header_count(size_t count)
{
	_cleanup_(buf_finish) struct buf text = BUF_INIT(1 << 20);
	buf_puts(&text, "GET / HTTP/1.1\r\n");
	for (size_t i = 0; i < count; i++)
		buf_puts(&text, "A: b\r\n");
	buf_puts(&text, "\r\n");
	_autofree_(http_head) struct http_head *head = http_head_new(HTTP_REQUEST_HEAD);
	size_t used;
	return feed(head, text.data, text.len, 7, &used);
}

static void limits_hold(void **state)
{
	(void)state;
	assert_int_equal(feed_start_line(HTTP_START_LINE_MAX - 1), 1);
	assert_int_equal(feed_start_line(HTTP_START_LINE_MAX), 1);
	assert_int_equal(feed_start_line(HTTP_START_LINE_MAX + 1), -ENAMETOOLONG);
	assert_int_equal(feed_headers(HTTP_HEADERS_MAX - 1), 1);
	assert_int_equal(feed_headers(HTTP_HEADERS_MAX), 1);
	assert_int_equal(feed_headers(HTTP_HEADERS_MAX + 1), -EFBIG);
	assert_int_equal(feed_header_count(HTTP_HEADER_COUNT_MAX - 1), 1);
	assert_int_equal(feed_header_count(HTTP_HEADER_COUNT_MAX), 1);
	assert_int_equal(feed_header_count(HTTP_HEADER_COUNT_MAX + 1), -EFBIG);
}

static void responses_say_where_their_body_ends(void **state)
{
	(void)state;
	static const struct {
		enum http_kind kind;
		const char *text;
		enum http_body_kind body;
	} cases[] = {
		{ HTTP_RESPONSE_HEAD, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n", HTTP_BODY_LENGTH },
		{ HTTP_RESPONSE_HEAD, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", HTTP_BODY_CHUNKED },
		{ HTTP_RESPONSE_HEAD, "HTTP/1.1 200 OK\r\n\r\n", HTTP_BODY_UNTIL_EOF },
		{ HTTP_RESPONSE_HEAD, "HTTP/1.0 200\r\nA: b\r\n\r\n", HTTP_BODY_UNTIL_EOF },
		{ HTTP_RESPONSE_HEAD, "HTTP/1.1 204 No Content\r\n\r\n", HTTP_BODY_NONE },
		{ HTTP_RESPONSE_HEAD, "HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", HTTP_BODY_NONE },
		{ HTTP_RESPONSE_HEAD, "HTTP/1.1 100 Continue\r\n\r\n", HTTP_BODY_NONE },
		{ HTTP_RESPONSE_TO_HEAD, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n", HTTP_BODY_NONE },
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_autofree_(http_head) struct http_head *head = parsed(cases[i].kind, cases[i].text);
		assert_int_equal(http_head_framing(head).kind, cases[i].body);
		assert_int_equal(http_head_keep_alive(head), cases[i].body != HTTP_BODY_UNTIL_EOF);
	}
	_autofree_(http_head) struct http_head *plain = parsed(HTTP_RESPONSE_HEAD, "HTTP/1.0 200\r\nA: b\r\n\r\n");
	assert_int_equal(http_head_status(plain), 200);
	assert_string_equal(http_head_reason(plain), "");
	assert_string_equal(http_head_header(plain, "a"), "b");
	static const char *const bad[] = { "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n",
		"HTTP/1.1 20 OK\r\n\r\n", "HTTP/1.1 2000 OK\r\n\r\n", "HTTP/1.1 OK\r\n\r\n", "GET / HTTP/1.1\r\n\r\n" };
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		expect_refused_bytes(HTTP_RESPONSE_HEAD, bad[i], strlen(bad[i]), -EINVAL);
}

/* Everything a response says, at one split; returns the bytes used or the error. */
static ssize_t read_response(struct http_response *response, const char *text, size_t step, struct buf *out)
{
	size_t len = strlen(text), at = 0;
	while (at < len && http_response_state(response) != HTTP_COMPLETE) {
		const char *piece;
		size_t piece_len;
		size_t now = len - at < step ? len - at : step;
		ssize_t used = http_response_feed(response, text + at, now, &piece, &piece_len);
		if (used < 0)
			return used;
		assert_true(used > 0);
		assert_int_equal(buf_append(out, piece, piece_len), 0);
		at += (size_t)used;
	}
	return (ssize_t)at;
}

static void expect_response(const char *text, int status, const char *body, enum http_response_state end,
	size_t surplus)
{
	for (size_t step = 1; step <= strlen(text); step++) {
		_cleanup_(buf_finish) struct buf out = BUF_INIT(1 << 16);
		_autofree_(http_response) struct http_response *response = http_response_new(false);
		assert_int_equal(read_response(response, text, step, &out), strlen(text) - surplus);
		assert_int_equal(http_response_state(response), end);
		assert_int_equal(http_head_status(http_response_head(response)), status);
		assert_string_equal(out.data ?: "", body);
		assert_int_equal(http_response_end(response), 0);
		assert_int_equal(http_response_state(response), HTTP_COMPLETE);
	}
}

static void a_client_reads_whole_responses(void **state)
{
	(void)state;
	expect_response("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
			"HTTP/1.1 201 Created\r\nContent-Length: 5\r\n\r\nhello+",
		201, "hello", HTTP_COMPLETE, 1);
	expect_response("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n1\r\nd\r\n0\r\n\r\n", 200,
		"abcd", HTTP_COMPLETE, 0);
	expect_response("HTTP/1.1 200 OK\r\nContent-Type: application/vnd.docker.raw-stream\r\n\r\nraw", 200, "raw",
		HTTP_IN_BODY, 0);
	expect_response("HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\nstream\r\n\r\n", 101,
		"stream\r\n\r\n", HTTP_UPGRADED, 0);
	expect_response("HTTP/1.1 204 No Content\r\n\r\nnext", 204, "", HTTP_COMPLETE, 4);
}

static void cut_off_responses_are_told(void **state)
{
	(void)state;
	static const char *const texts[] = { "", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 100 Continue\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\na",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n" };
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		_cleanup_(buf_finish) struct buf out = BUF_INIT(1 << 16);
		_autofree_(http_response) struct http_response *response = http_response_new(false);
		assert_int_equal(read_response(response, texts[i], 9, &out), strlen(texts[i]));
		assert_int_equal(http_response_end(response), -ENODATA);
	}
}

static ssize_t read_interim(size_t count)
{
	_cleanup_(buf_finish) struct buf text = BUF_INIT(1 << 16), out = BUF_INIT(1 << 16);
	for (size_t i = 0; i < count; i++)
		buf_puts(&text, "HTTP/1.1 102 Processing\r\n\r\n");
	buf_puts(&text, "HTTP/1.1 204 No Content\r\n\r\n");
	_autofree_(http_response) struct http_response *response = http_response_new(false);
	ssize_t used = read_response(response, text.data, 100, &out);
	return used < 0 ? used : 0;
}

static void interim_answers_are_bounded(void **state)
{
	(void)state;
	assert_int_equal(read_interim(HTTP_INTERIM_MAX - 1), 0);
	assert_int_equal(read_interim(HTTP_INTERIM_MAX), 0);
	assert_int_equal(read_interim(HTTP_INTERIM_MAX + 1), -EPROTO);
}

static void what_is_written_is_read_back(void **state)
{
	(void)state;
	_cleanup_(buf_finish) struct buf text = BUF_INIT(1 << 16);
	assert_int_equal(http_write_status(&text, 409), 0);
	assert_int_equal(http_write_header(&text, "Content-Type", "application/json"), 0);
	assert_int_equal(http_write_headerf(&text, "Content-Length", "%d", 17), 0);
	assert_int_equal(http_write_header(&text, "X-Bad", "a\r\nSet-Cookie: b"), -EINVAL);
	assert_int_equal(http_write_header(&text, "X-Bad: a\r\nY", "b"), -EINVAL);
	assert_int_equal(http_write_end(&text), 0);
	assert_string_equal(text.data,
		"HTTP/1.1 409 Conflict\r\nContent-Type: application/json\r\nContent-Length: 17\r\n\r\n");
	_autofree_(http_head) struct http_head *head = parsed(HTTP_RESPONSE_HEAD, text.data);
	assert_int_equal(http_head_framing(head).length, 17);
	assert_string_equal(http_head_reason(head), "Conflict");

	buf_reset(&text);
	assert_int_equal(http_write_request(&text, "GET", "/a b"), -EINVAL);
	assert_int_equal(http_write_request(&text, "GET", "/a?b=c"), 0);
	assert_int_equal(http_write_end(&text), 0);
	_autofree_(http_head) struct http_head *request = parsed(HTTP_REQUEST_HEAD, text.data);
	assert_string_equal(http_head_query(request), "b=c");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_request_is_read_at_any_split),
		cmocka_unit_test(incomplete_heads_want_more),
		cmocka_unit_test(small_requests),
		cmocka_unit_test(malformed_requests_are_refused),
		cmocka_unit_test(other_transfer_codings_are_refused),
		cmocka_unit_test(limits_hold),
		cmocka_unit_test(responses_say_where_their_body_ends),
		cmocka_unit_test(a_client_reads_whole_responses),
		cmocka_unit_test(cut_off_responses_are_told),
		cmocka_unit_test(interim_answers_are_bounded),
		cmocka_unit_test(what_is_written_is_read_back),
	};
	return cmocka_run_group_tests_name("http", tests, NULL, NULL);
}
