/*
 * Where a message's body ends, and its bytes without their framing. The decoder is a plain value made from two facts
 * (struct http_framing), so that a process which was handed the connection goes on where the head's reader stopped: it
 * decodes the surplus bytes first and then what it reads itself.
 *
 *	while (len > 0 && !http_body_is_done(&body)) {
 *		ssize_t used = http_body_decode(&body, data, len, &piece, &piece_len);
 *		if (used < 0)
 *			return (int)used;
 *		consume(piece, piece_len);
 *		data += used;
 *		len -= (size_t)used;
 *	}
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <sys/types.h>

/* Bytes of one chunk's size line, of all chunk extensions of a body, and of its trailers (which are checked and dropped). */
#define HTTP_CHUNK_LINE_MAX       4096
#define HTTP_CHUNK_DIGITS_MAX     16
#define HTTP_CHUNK_EXTENSIONS_MAX (64 * 1024)
#define HTTP_TRAILERS_MAX         (16 * 1024)

enum http_body_kind {
	HTTP_BODY_NONE,
	HTTP_BODY_LENGTH,
	HTTP_BODY_CHUNKED,
	HTTP_BODY_UNTIL_EOF, /* responses only */
};

struct http_framing {
	enum http_body_kind kind;
	uint64_t length; /* HTTP_BODY_LENGTH */
};

enum http_body_state {
	HTTP_BODY_DATA,
	HTTP_BODY_SIZE, /* no digit yet */
	HTTP_BODY_SIZE_DIGITS,
	HTTP_BODY_SIZE_BLANK, /* after white space that only an extension may follow */
	HTTP_BODY_EXTENSION,
	HTTP_BODY_SIZE_LF,
	HTTP_BODY_DATA_CR,
	HTTP_BODY_DATA_LF,
	HTTP_BODY_TRAILER_START,
	HTTP_BODY_TRAILER,
	HTTP_BODY_TRAILER_LF,
	HTTP_BODY_LAST_LF,
	HTTP_BODY_DONE,
	HTTP_BODY_FAILED,
};

/* Read `kind`, leave the rest to the functions. */
struct http_body {
	enum http_body_kind kind;
	enum http_body_state state;
	uint64_t left; /* of the body (LENGTH) or of the chunk (CHUNKED) */
	uint32_t line_bytes;
	uint32_t extension_bytes;
	uint32_t trailer_bytes;
};

void http_body_init(struct http_body *body, const struct http_framing *framing);

/*
 * Returns how many bytes of `data` were used, at least one unless `len` is 0 or the body is done (bytes after its end are
 * never touched: they are the next request). *ret_piece points into `data` at *ret_len decoded bytes, often none.
 * -EINVAL: broken framing; -EFBIG: over a limit above; the same again for every later call.
 */
ssize_t http_body_decode(struct http_body *body, const char *data, size_t len, const char **ret_piece, size_t *ret_len);

bool http_body_is_done(const struct http_body *body);
/* How many bytes come next that are all the body's own, without framing between them: they may be received where they are
 * wanted, and decoded there. 0 if framing comes next. */
uint64_t http_body_ahead(const struct http_body *body);
/* So many of them, at least one, went somewhere else undecoded. */
void http_body_pass(struct http_body *body, size_t len);

/* Says that the connection ended: 0 if the body is complete (then it is done), -ENODATA if it was cut off. */
int http_body_end(struct http_body *body);

/* "none", "length", "chunked", "until-eof", for messages between our processes; -EINVAL for another word. */
const char *http_body_kind_name(enum http_body_kind kind);
int http_body_kind_parse(const char *name, enum http_body_kind *ret);
