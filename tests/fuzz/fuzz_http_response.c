/* What a client reads, whole and in pieces: state, status and body are the same. */
#include <string.h>

#include "base/buf.h"
#include "codec/http_response.h"

#include "fuzz.h"
#include "split.h"

struct outcome {
	struct http_response *response;
	struct buf out;
	size_t used;
	int error;
};

static void decode(const char *data, size_t size, size_t step, struct outcome *ret)
{
	*ret = (struct outcome){ .response = http_response_new(false), .out = BUF_INIT(size) };
	while (ret->used < size && http_response_state(ret->response) != HTTP_COMPLETE) {
		const char *piece;
		size_t now = split_piece(ret->used, size, step), len;
		ssize_t used = http_response_feed(ret->response, data + ret->used, now, &piece, &len);
		if (used < 0) {
			ret->error = (int)used;
			return;
		}
		fuzz_check(used > 0 && (size_t)used <= now && len <= (size_t)used);
		fuzz_check(buf_append(&ret->out, piece, len) == 0);
		ret->used += (size_t)used;
	}
}

static void compare(const struct outcome *a, const struct outcome *b)
{
	fuzz_check(a->error == b->error);
	if (a->error)
		return;
	fuzz_check(a->used == b->used && http_response_state(a->response) == http_response_state(b->response));
	fuzz_check(a->out.len == b->out.len && (!a->out.len || memcmp(a->out.data, b->out.data, a->out.len) == 0));
	if (http_response_state(a->response) == HTTP_AWAITS_HEAD)
		return;
	const struct http_head *head = http_response_head(a->response);
	int status = http_head_status(head);
	fuzz_check(status >= 100 && status <= 999 && status == http_head_status(http_response_head(b->response)));
	fuzz_check(strcmp(http_head_reason(head), http_head_reason(http_response_head(b->response))) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!size)
		return 0;
	size_t step = split_step(&data, &size);
	struct outcome whole, pieces;
	decode((const char *)data, size, size + 1, &whole);
	decode((const char *)data, size, step, &pieces);
	compare(&whole, &pieces);
	http_response_free(whole.response);
	http_response_free(pieces.response);
	buf_finish(&whole.out);
	buf_finish(&pieces.out);
	return 0;
}
