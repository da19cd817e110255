/* The same bytes whole and in pieces: the same answer, the same end, the same head. */
#include <string.h>

#include "codec/http.h"

#include "fuzz.h"
#include "split.h"

static int feed(struct http_head *head, const char *data, size_t size, size_t step, size_t *ret_used)
{
	int ret = 0;
	*ret_used = 0;
	for (size_t at = 0; at < size && ret == 0; at += step) {
		size_t used;
		ret = http_head_feed(head, data + at, split_piece(at, size, step), &used);
		*ret_used += used;
	}
	return ret;
}

static void compare(const struct http_head *a, const struct http_head *b)
{
	fuzz_check(strcmp(http_head_target(a), http_head_target(b)) == 0);
	fuzz_check(strcmp(http_head_path(a), http_head_path(b)) == 0);
	fuzz_check(strcmp(http_head_query(a), http_head_query(b)) == 0);
	fuzz_check(http_head_header_count(a) == http_head_header_count(b));
	for (size_t i = 0; i < http_head_header_count(a); i++) {
		const char *name[2], *value[2];
		http_head_header_at(a, i, &name[0], &value[0]);
		http_head_header_at(b, i, &name[1], &value[1]);
		fuzz_check(*name[0] && strcmp(name[0], name[1]) == 0 && strcmp(value[0], value[1]) == 0);
		fuzz_check(!strpbrk(value[0], "\r\n"));
		fuzz_check(http_head_header(a, name[0]));
	}
	struct http_framing framing[2] = { http_head_framing(a), http_head_framing(b) };
	fuzz_check(framing[0].kind == framing[1].kind && framing[0].length == framing[1].length);
	fuzz_check(framing[0].kind != HTTP_BODY_UNTIL_EOF && framing[0].length <= INT64_MAX);
	fuzz_check(http_head_keep_alive(a) == http_head_keep_alive(b));
	fuzz_check(http_head_expects_continue(a) == http_head_expects_continue(b));
	fuzz_check(!http_head_upgrade(a) == !http_head_upgrade(b));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!size)
		return 0;
	size_t step = split_step(&data, &size), used[2];
	_autofree_(http_head) struct http_head *whole = http_head_new(HTTP_REQUEST_HEAD);
	_autofree_(http_head) struct http_head *pieces = http_head_new(HTTP_REQUEST_HEAD);
	int ret = feed(whole, (const char *)data, size, size + 1, &used[0]);
	fuzz_check(feed(pieces, (const char *)data, size, step, &used[1]) == ret);
	fuzz_check(used[0] == used[1] || ret < 0);
	if (ret < 0)
		fuzz_check(http_error_status(ret) >= 400 && *http_head_problem(whole));
	if (ret == 1) {
		fuzz_check(used[0] >= 4 && memcmp(data + used[0] - 4, "\r\n\r\n", 4) == 0);
		compare(whole, pieces);
	}
	return 0;
}
