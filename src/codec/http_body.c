/*
 * The chunk parser is our own: a worker or monitor that was handed a connection in the middle decodes a body without
 * carrying a whole HTTP parser, and llhttp's is laxer than we want (sizes, line ends, unlimited extensions).
 *
 * One byte at a time through the framing, in one piece through the data. A size is refused as soon as another digit would
 * leave int64; extensions and trailers are held to visible characters, blank and tab, and to their limits.
 */
#include "codec/http_body.h"

#include <errno.h>
#include <string.h>

#include "base/cleanup.h"
#include "codec/hex.h"

static const char *const kind_names[] = {
	[HTTP_BODY_NONE] = "none",
	[HTTP_BODY_LENGTH] = "length",
	[HTTP_BODY_CHUNKED] = "chunked",
	[HTTP_BODY_UNTIL_EOF] = "until-eof",
};

const char *http_body_kind_name(enum http_body_kind kind)
{
	return kind_names[kind];
}

int http_body_kind_parse(const char *name, enum http_body_kind *ret)
{
	for (size_t i = 0; i < ARRAY_SIZE(kind_names); i++) {
		if (strcmp(kind_names[i], name) == 0) {
			*ret = (enum http_body_kind)i;
			return 0;
		}
	}
	return -EINVAL;
}

void http_body_init(struct http_body *body, const struct http_framing *framing)
{
	*body = (struct http_body){ .kind = framing->kind, .state = HTTP_BODY_DATA };
	if (framing->kind == HTTP_BODY_CHUNKED)
		body->state = HTTP_BODY_SIZE;
	else if (framing->kind == HTTP_BODY_LENGTH)
		body->left = framing->length;
	if (framing->kind == HTTP_BODY_NONE || (framing->kind == HTTP_BODY_LENGTH && !framing->length))
		body->state = HTTP_BODY_DONE;
}

bool http_body_is_done(const struct http_body *body)
{
	return body->state == HTTP_BODY_DONE;
}

uint64_t http_body_ahead(const struct http_body *body)
{
	if (body->state != HTTP_BODY_DATA)
		return 0;
	return body->kind == HTTP_BODY_UNTIL_EOF ? UINT64_MAX : body->left;
}

int http_body_end(struct http_body *body)
{
	if (body->kind == HTTP_BODY_UNTIL_EOF)
		body->state = HTTP_BODY_DONE;
	return http_body_is_done(body) ? 0 : -ENODATA;
}

static bool is_text(unsigned char c)
{
	return c == '\t' || (c >= 0x20 && c != 0x7f);
}

static int take_digit(struct http_body *body, unsigned char c)
{
	int digit = hex_value((char)c);
	if (digit < 0 || body->left > (uint64_t)INT64_MAX >> 4 || body->line_bytes > HTTP_CHUNK_DIGITS_MAX)
		return -EINVAL;
	body->left = body->left << 4 | (unsigned)digit;
	body->state = HTTP_BODY_SIZE_DIGITS;
	return 0;
}

static int count_extension(struct http_body *body)
{
	return ++body->extension_bytes > HTTP_CHUNK_EXTENSIONS_MAX ? -EFBIG : 0;
}

/* What may follow the digits of a size. */
static int take_after_size(struct http_body *body, unsigned char c)
{
	if (c == '\r' && body->state == HTTP_BODY_SIZE_DIGITS)
		body->state = HTTP_BODY_SIZE_LF;
	else if (c == ';')
		body->state = HTTP_BODY_EXTENSION;
	else if (c == ' ' || c == '\t')
		body->state = HTTP_BODY_SIZE_BLANK;
	else
		return -EINVAL;
	return body->state == HTTP_BODY_SIZE_LF ? 0 : count_extension(body);
}

static int take_extension(struct http_body *body, unsigned char c)
{
	if (c == '\r') {
		body->state = HTTP_BODY_SIZE_LF;
		return 0;
	}
	int ret = count_extension(body);
	return ret == 0 && !is_text(c) ? -EINVAL : ret;
}

static int take_trailer(struct http_body *body, unsigned char c)
{
	if (++body->trailer_bytes > HTTP_TRAILERS_MAX)
		return -EFBIG;
	bool starts = body->state == HTTP_BODY_TRAILER_START;
	if (c == '\r') {
		body->state = starts ? HTTP_BODY_LAST_LF : HTTP_BODY_TRAILER_LF;
		return 0;
	}
	if (!is_text(c) || (starts && (c == ' ' || c == '\t' || c == ':')))
		return -EINVAL;
	body->state = HTTP_BODY_TRAILER;
	return 0;
}

static int take_expected(struct http_body *body, unsigned char c, char expected, enum http_body_state next)
{
	if (c != (unsigned char)expected)
		return -EINVAL;
	body->state = next;
	body->line_bytes = 0;
	return 0;
}

/* One byte of framing. */
static int take_framing(struct http_body *body, unsigned char c)
{
	if (++body->line_bytes > HTTP_CHUNK_LINE_MAX && body->state < HTTP_BODY_TRAILER_START)
		return -EFBIG;
	switch (body->state) {
	case HTTP_BODY_SIZE: return take_digit(body, c);
	case HTTP_BODY_SIZE_DIGITS: return hex_value((char)c) >= 0 ? take_digit(body, c) : take_after_size(body, c);
	case HTTP_BODY_SIZE_BLANK: return take_after_size(body, c);
	case HTTP_BODY_EXTENSION: return take_extension(body, c);
	case HTTP_BODY_SIZE_LF:
		return take_expected(body, c, '\n', body->left ? HTTP_BODY_DATA : HTTP_BODY_TRAILER_START);
	case HTTP_BODY_DATA_CR: return take_expected(body, c, '\r', HTTP_BODY_DATA_LF);
	case HTTP_BODY_DATA_LF: return take_expected(body, c, '\n', HTTP_BODY_SIZE);
	case HTTP_BODY_TRAILER_START:
	case HTTP_BODY_TRAILER: return take_trailer(body, c);
	case HTTP_BODY_TRAILER_LF: return take_expected(body, c, '\n', HTTP_BODY_TRAILER_START);
	case HTTP_BODY_LAST_LF: return take_expected(body, c, '\n', HTTP_BODY_DONE);
	case HTTP_BODY_DATA:
	case HTTP_BODY_DONE:
	case HTTP_BODY_FAILED: break;
	}
	return -EINVAL;
}

static void take_data(struct http_body *body, size_t *len)
{
	if (body->kind == HTTP_BODY_UNTIL_EOF)
		return;
	if (*len > body->left)
		*len = (size_t)body->left;
	body->left -= *len;
	if (!body->left)
		body->state = body->kind == HTTP_BODY_CHUNKED ? HTTP_BODY_DATA_CR : HTTP_BODY_DONE;
}

void http_body_pass(struct http_body *body, size_t len)
{
	take_data(body, &len);
}

/* `left` has no other use any more: it keeps the errno for later calls. */
static int fail(struct http_body *body, int ret)
{
	body->state = HTTP_BODY_FAILED;
	body->left = (uint64_t)-ret;
	return ret;
}

ssize_t http_body_decode(struct http_body *body, const char *data, size_t len, const char **ret_piece, size_t *ret_len)
{
	*ret_piece = data;
	*ret_len = 0;
	if (body->state == HTTP_BODY_FAILED)
		return -(ssize_t)body->left;

	size_t used = 0;
	while (used < len && body->state != HTTP_BODY_DATA && body->state != HTTP_BODY_DONE) {
		int ret = take_framing(body, (unsigned char)data[used++]);
		if (ret < 0)
			return fail(body, ret);
	}
	if (used < len && body->state == HTTP_BODY_DATA) {
		*ret_piece = data + used;
		*ret_len = len - used;
		take_data(body, ret_len);
		used += *ret_len;
	}
	return (ssize_t)used;
}
