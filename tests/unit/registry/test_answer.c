#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../unit.h"
#include "base/cleanup.h"
#include "registry/answer.h"

static int take(struct answer *answer, const char *line)
{
	return answer_take_line(answer, line, strlen(line));
}

static void test_headers(void **state)
{
	struct answer answer = { 0 };
	(void)state;
	answer_reset(&answer);
	assert_int_equal(take(&answer, "HTTP/1.1 202 Accepted\r\n"), 0);
	assert_int_equal(take(&answer, "location:  /v2/a?x=1 \r\n"), 0);
	assert_int_equal(take(&answer, "Range: 0-99\r\n"), 0);
	assert_int_equal(take(&answer, "Content-Range: bytes 5-9/10\r\n"), 0);
	assert_int_equal(take(&answer, "Content-Length: 12\r\n"), 0);
	assert_int_equal(take(&answer, "Retry-After: 7\r\n"), 0);
	assert_int_equal(take(&answer, "Docker-Content-Digest: sha256:x\r\n"), 0);
	assert_int_equal(take(&answer, "WWW-Authenticate: Basic realm=\"x\"\r\n"), 0);
	assert_string_equal(answer.location, "/v2/a?x=1");
	assert_string_equal(answer.content_digest, "sha256:x");
	assert_int_equal(answer.range_end, 99);
	assert_int_equal(answer.range_start, 5);
	assert_int_equal(answer.content_length, 12);
	assert_int_equal(answer.retry_after_ms, 7000);
	assert_true(answer.challenge.basic);
	assert_int_equal(take(&answer, "HTTP/1.1 200 OK\r\n"), 0); /* an interim answer was that */
	assert_null(answer.location);
	assert_int_equal(answer.content_length, -1);
	assert_int_equal(answer.lines, 9);
	answer_finish(&answer);
}

static void test_what_is_senseless_is_not_said(void **state)
{
	static const char *const ranges[] = { "Range: 1-99", "Range: 0-", "Range: 0-9x",
		"Range: 0-99999999999999999999", "Range: -5" };
	static const char *const waits[] = { "Retry-After: -1", "Retry-After: soon",
		"Retry-After: Thu, 01 Jan 1970 00:00:00 GMT" };
	struct answer answer = { 0 };
	(void)state;
	answer_reset(&answer);
	for (size_t i = 0; i < ARRAY_SIZE(ranges); i++) {
		assert_int_equal(take(&answer, ranges[i]), 0);
		assert_int_equal(answer.range_end, -1);
	}
	for (size_t i = 0; i < ARRAY_SIZE(waits); i++) {
		assert_int_equal(take(&answer, waits[i]), 0);
		assert_int_equal(answer.retry_after_ms, -1);
	}
	assert_int_equal(take(&answer, "Retry-After: 1000000000"), 0);
	assert_int_equal(answer.retry_after_ms, RETRY_PAUSE_MAX);
	assert_int_equal(take(&answer, "Content-Length: -3"), 0);
	assert_int_equal(answer.content_length, -1);
	assert_int_equal(take(&answer, "Content-Encoding: gzip"), -EOPNOTSUPP);
	assert_int_equal(take(&answer, "Content-Encoding: identity"), 0);
	answer_finish(&answer);
}

static void test_bounds(void **state)
{
	char *text = malloc(ANSWER_HEAD_BYTES + 1);
	struct answer answer = { 0 };
	(void)state;
	answer_reset(&answer);
	for (unsigned i = 0; i < ANSWER_HEAD_LINES; i++)
		assert_int_equal(take(&answer, "a: b\r\n"), 0);
	assert_int_equal(take(&answer, "a: b\r\n"), -EFBIG);
	answer_reset(&answer);
	memset(text, 'x', ANSWER_HEAD_BYTES + 1);
	assert_int_equal(answer_take_line(&answer, text, ANSWER_HEAD_BYTES), 0);
	assert_int_equal(answer_take_line(&answer, text, 1), -EFBIG);
	answer_reset(&answer);
	assert_int_equal(answer_take_line(&answer, text, ANSWER_HEAD_BYTES + 1), -EFBIG);
	answer_finish(&answer);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_headers),
		cmocka_unit_test(test_what_is_senseless_is_not_said),
		cmocka_unit_test(test_bounds),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
