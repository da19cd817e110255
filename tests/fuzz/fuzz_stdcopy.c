/* Whole and in pieces: the same bytes for each stream, the same end. */
#include <string.h>

#include "base/buf.h"
#include "codec/stdcopy.h"

#include "fuzz.h"
#include "split.h"

#define STREAMS 4

struct outcome {
	struct buf streams[STREAMS];
	int error;
	int end;
};

static void decode(const char *data, size_t size, size_t step, struct outcome *ret)
{
	struct stdcopy stdcopy;
	stdcopy_init(&stdcopy);
	*ret = (struct outcome){ 0 };
	for (size_t i = 0; i < STREAMS; i++)
		buf_init(&ret->streams[i], size);
	for (size_t at = 0; at < size && !ret->error;) {
		struct stdcopy_piece piece;
		size_t now = split_piece(at, size, step);
		ssize_t used = stdcopy_decode(&stdcopy, data + at, now, &piece);
		if (used < 0) {
			ret->error = (int)used;
			break;
		}
		fuzz_check(used > 0 && (size_t)used <= now && piece.len <= (size_t)used && piece.stream < STREAMS);
		fuzz_check(buf_append(&ret->streams[piece.stream], piece.data, piece.len) == 0);
		at += (size_t)used;
	}
	ret->end = stdcopy_end(&stdcopy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!size)
		return 0;
	size_t step = split_step(&data, &size);
	struct outcome whole, pieces;
	decode((const char *)data, size, size + 1, &whole);
	decode((const char *)data, size, step, &pieces);
	fuzz_check(whole.error == pieces.error && whole.end == pieces.end);
	for (size_t i = 0; i < STREAMS; i++) {
		struct buf *a = &whole.streams[i], *b = &pieces.streams[i];
		fuzz_check(whole.error || (a->len == b->len && (!a->len || memcmp(a->data, b->data, a->len) == 0)));
		buf_finish(a);
		buf_finish(b);
	}
	return 0;
}
