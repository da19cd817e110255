/* A chunked body, whole and in pieces: the same bytes come out, and it ends at the same place. */
#include <errno.h>
#include <string.h>

#include "base/buf.h"
#include "codec/http_body.h"

#include "fuzz.h"
#include "split.h"

struct outcome {
	struct buf out;
	size_t used;
	int error;
	bool done;
};

static void decode(const char *data, size_t size, size_t step, struct outcome *ret)
{
	struct http_body body;
	http_body_init(&body, &(struct http_framing){ HTTP_BODY_CHUNKED, 0 });
	*ret = (struct outcome){ .out = BUF_INIT(size) };
	while (ret->used < size && !http_body_is_done(&body)) {
		const char *at = data + ret->used, *piece;
		size_t now = split_piece(ret->used, size, step), len;
		ssize_t used = http_body_decode(&body, at, now, &piece, &len);
		if (used < 0) {
			ret->error = (int)used;
			fuzz_check(http_body_decode(&body, "0", 1, &piece, &len) == used);
			break;
		}
		fuzz_check(used > 0 && (size_t)used <= now && piece >= at && piece + len <= at + used);
		fuzz_check(buf_append(&ret->out, piece, len) == 0);
		ret->used += (size_t)used;
	}
	ret->done = http_body_is_done(&body);
	fuzz_check(http_body_end(&body) == (ret->done ? 0 : -ENODATA));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!size)
		return 0;
	size_t step = split_step(&data, &size);
	struct outcome whole, pieces;
	decode((const char *)data, size, size + 1, &whole);
	decode((const char *)data, size, step, &pieces);
	fuzz_check(whole.error == pieces.error && whole.done == pieces.done);
	if (!whole.error) {
		fuzz_check(whole.used == pieces.used && whole.out.len == pieces.out.len);
		fuzz_check(!whole.out.len || memcmp(whole.out.data, pieces.out.data, whole.out.len) == 0);
	}
	buf_finish(&whole.out);
	buf_finish(&pieces.out);
	return 0;
}
