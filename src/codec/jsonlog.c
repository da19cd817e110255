/*
 * Every byte that every container writes comes through the encoder: it finds runs that need nothing, sixteen bytes at a
 * time, and copies them whole. The decoder works in place, since no escape is shorter than what it stands for.
 */
#include "codec/jsonlog.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "codec/hex.h"
#include "codec/utf8.h"

/* --- encoding --- */

typedef uint8_t lanes __attribute__((vector_size(16)));
typedef uint64_t halves __attribute__((vector_size(16)));

static bool is_plain(uint8_t byte)
{
	return byte >= 0x20 && byte < 0x80 && byte != '"' && byte != '\\' && byte != '<' && byte != '>' && byte != '&';
}

static bool any_lane(lanes mask)
{
	halves both = (halves)mask;
	return both[0] | both[1];
}

static bool are_plain(const uint8_t *text)
{
	lanes bytes;
	memcpy(&bytes, text, sizeof bytes);
	return !any_lane((lanes)((bytes < 0x20) | (bytes >= 0x80) | (bytes == '"') | (bytes == '\\') | (bytes == '<') |
				 (bytes == '>') | (bytes == '&')));
}

static size_t plain_length(const uint8_t *text, size_t len)
{
	size_t at = 0;
	while (len - at >= sizeof(lanes) && are_plain(text + at))
		at += sizeof(lanes);
	while (at < len && is_plain(text[at]))
		at++;
	return at;
}

/* Up to the end of a JSON string, an escape, or what may not stand in one. */
static size_t text_length(const uint8_t *text, size_t len)
{
	size_t at = 0;
	for (lanes bytes; len - at >= sizeof bytes; at += sizeof bytes) {
		memcpy(&bytes, text + at, sizeof bytes);
		if (any_lane((lanes)((bytes < 0x20) | (bytes == '"') | (bytes == '\\'))))
			break;
	}
	while (at < len && text[at] >= 0x20 && text[at] != '"' && text[at] != '\\')
		at++;
	return at;
}

static char *put(char *out, const void *data, size_t len)
{
	memcpy(out, data, len);
	return out + len;
}

static char *put_text(char *out, const char *text)
{
	return put(out, text, strlen(text));
}

static char *put_ascii_escape(char *out, uint8_t byte)
{
	static const char digits[] = "0123456789abcdef";
	*out++ = '\\';
	switch (byte) {
	case '"':
	case '\\': *out++ = (char)byte; return out;
	case '\n': *out++ = 'n'; return out;
	case '\r': *out++ = 'r'; return out;
	default: break;
	}
	out = put_text(out, "u00");
	*out++ = digits[byte >> 4];
	*out++ = digits[byte & 15];
	return out;
}

/* One character that is not plain; *ret_used bytes of the text. U+2028 and U+2029 end lines in JavaScript. */
static char *put_special(char *out, const uint8_t *text, size_t len, size_t *ret_used)
{
	*ret_used = 1;
	if (*text < 0x80)
		return put_ascii_escape(out, *text);
	size_t sequence = utf8_sequence(text, len);
	if (!sequence)
		return put_text(out, "\\ufffd");
	*ret_used = sequence;
	if (sequence == 3 && text[0] == 0xe2 && text[1] == 0x80 && (text[2] & 0xfe) == 0xa8)
		return put_text(out, text[2] & 1 ? "\\u2029" : "\\u2028");
	return put(out, text, sequence);
}

static char *put_escaped(char *out, const uint8_t *text, size_t len)
{
	for (size_t at = 0; at < len;) {
		size_t used = plain_length(text + at, len - at);
		out = put(out, text + at, used);
		at += used;
		if (at < len) {
			out = put_special(out, text + at, len - at, &used);
			at += used;
		}
	}
	return out;
}

size_t jsonlog_encode(char *out, const char *data, size_t len, const char *stream, const char *attrs, const char *time)
{
	char *end = put_text(out, "{");
	if (len) { /* Docker leaves an empty one out */
		end = put_text(end, "\"log\":\"");
		end = put_escaped(end, (const uint8_t *)data, len);
		end = put_text(end, "\",");
	}
	end = put_text(end, "\"stream\":\"");
	end = put_text(end, stream);
	if (attrs) {
		end = put_text(end, "\",\"attrs\":");
		end = put_text(end, attrs);
		end = put_text(end, ",\"time\":\"");
	} else {
		end = put_text(end, "\",\"time\":\"");
	}
	end = put_text(end, time);
	end = put_text(end, "\"}\n");
	return (size_t)(end - out);
}

/* --- decoding --- */

struct cursor {
	char *at;
	char *end;
};

static void skip_blanks(struct cursor *in)
{
	while (in->at < in->end && strchr(" \t\r\n", *in->at) && *in->at)
		in->at++;
}

static bool take(struct cursor *in, char c)
{
	skip_blanks(in);
	if (in->at == in->end || *in->at != c)
		return false;
	in->at++;
	return true;
}

/* The four digits after "\u", or -1; moves on only if they are there. */
static int take_unit(struct cursor *in)
{
	int unit = 0;
	if (in->end - in->at < 4)
		return -1;
	for (int i = 0; i < 4; i++) {
		int digit = hex_value(in->at[i]);
		if (digit < 0)
			return -1;
		unit = unit << 4 | digit;
	}
	in->at += 4;
	return unit;
}

static char *put_code(char *out, unsigned code)
{
	if (code < 0x80) {
		*out++ = (char)code;
	} else if (code < 0x800) {
		*out++ = (char)(0xc0 | code >> 6);
		*out++ = (char)(0x80 | (code & 0x3f));
	} else if (code < 0x10000) {
		*out++ = (char)(0xe0 | code >> 12);
		*out++ = (char)(0x80 | (code >> 6 & 0x3f));
		*out++ = (char)(0x80 | (code & 0x3f));
	} else {
		*out++ = (char)(0xf0 | code >> 18);
		*out++ = (char)(0x80 | (code >> 12 & 0x3f));
		*out++ = (char)(0x80 | (code >> 6 & 0x3f));
		*out++ = (char)(0x80 | (code & 0x3f));
	}
	return out;
}

/* After "\u". Half of a surrogate pair is no character. */
static int take_code(struct cursor *in, char **out)
{
	int high = take_unit(in);
	if (high < 0)
		return -EINVAL;
	unsigned code = (unsigned)high;
	if (high >= 0xd800 && high <= 0xdfff) {
		bool paired = high < 0xdc00 && in->end - in->at >= 6 && in->at[0] == '\\' && in->at[1] == 'u';
		struct cursor next = { in->at + (paired ? 2 : 0), in->end };
		int low = paired ? take_unit(&next) : -1;
		code = 0xfffd;
		if (low >= 0xdc00 && low <= 0xdfff) {
			code = 0x10000 + ((unsigned)(high - 0xd800) << 10) + (unsigned)(low - 0xdc00);
			*in = next;
		}
	}
	*out = put_code(*out, code);
	return 0;
}

/* After a backslash. */
static int take_escape(struct cursor *in, char **out)
{
	static const char letters[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";
	if (in->at == in->end)
		return -EINVAL;
	char c = *in->at++;
	if (c == 'u')
		return take_code(in, out);
	const char *letter = c ? strchr(letters, c) : NULL;
	if (!letter)
		return -EINVAL;
	*(*out)++ = values[letter - letters];
	return 0;
}

/* A string, decoded where it stands and ended with a NUL. */
static int take_string(struct cursor *in, const char **ret, size_t *ret_len)
{
	if (!take(in, '"'))
		return -EINVAL;
	char *start = in->at, *out = in->at;
	for (;;) {
		size_t len = text_length((const uint8_t *)in->at, (size_t)(in->end - in->at));
		if (out != in->at)
			memmove(out, in->at, len);
		out += len;
		in->at += len;
		if (in->at == in->end || (uint8_t)*in->at < 0x20)
			return -EINVAL;
		if (*in->at++ == '"')
			break;
		int r = take_escape(in, &out);
		if (r < 0)
			return r;
	}
	*out = '\0';
	*ret = start;
	*ret_len = (size_t)(out - start);
	return 0;
}

/* Leaves it as it stands. */
static int skip_string(struct cursor *in)
{
	in->at++;
	for (;;) {
		in->at += text_length((const uint8_t *)in->at, (size_t)(in->end - in->at));
		if (in->at == in->end || (uint8_t)*in->at < 0x20)
			return -EINVAL;
		if (*in->at++ == '"')
			return 0;
		if (in->at++ == in->end)
			return -EINVAL;
	}
}

static int skip_scalar(struct cursor *in)
{
	char *start = in->at;
	while (in->at < in->end && *in->at && !strchr(",:{}[] \t\r\n\"", *in->at))
		in->at++;
	return in->at > start ? 0 : -EINVAL;
}

/* One bracket or what stands for a whole value; brackets, commas and colons are not matched further than by depth. */
static int skip_piece(struct cursor *in, unsigned *depth)
{
	skip_blanks(in);
	if (in->at == in->end)
		return -EINVAL;
	switch (*in->at) {
	case '"': return skip_string(in);
	case '{':
	case '[': in->at++; return ++*depth > JSONLOG_DEPTH_MAX ? -EINVAL : 0;
	case '}':
	case ']': in->at++; return (*depth)-- ? 0 : -EINVAL;
	case ',':
	case ':': in->at++; return *depth ? 0 : -EINVAL;
	default: return skip_scalar(in);
	}
}

/* A value we have no use for. */
static int skip_value(struct cursor *in)
{
	unsigned depth = 0;
	do {
		int ret = skip_piece(in, &depth);
		if (ret < 0)
			return ret;
	} while (depth);
	return 0;
}

static int take_member(struct cursor *in, struct jsonlog_record *ret)
{
	const char *key;
	size_t len;
	if (take_string(in, &key, &len) < 0 || !take(in, ':'))
		return -EINVAL;
	if (strcmp(key, "log") == 0)
		return take_string(in, &ret->data, &ret->len);
	if (strcmp(key, "stream") == 0)
		return take_string(in, &ret->stream, &len);
	if (strcmp(key, "time") == 0)
		return take_string(in, &ret->time, &len);
	skip_blanks(in);
	char *value = in->at;
	if (skip_value(in) < 0)
		return -EINVAL;
	if (strcmp(key, "attrs") == 0) {
		ret->attrs = value;
		ret->attrs_len = (size_t)(in->at - value);
	}
	return 0;
}

int jsonlog_decode(char *line, size_t len, struct jsonlog_record *ret)
{
	struct cursor in = { line, line + len };
	*ret = (struct jsonlog_record){ .data = "", .stream = "", .time = "" };
	if (!take(&in, '{'))
		return -EINVAL;
	if (!take(&in, '}')) {
		do {
			if (take_member(&in, ret) < 0)
				return -EINVAL;
		} while (take(&in, ','));
		if (!take(&in, '}'))
			return -EINVAL;
	}
	skip_blanks(&in);
	return in.at == in.end ? 0 : -EINVAL;
}

int jsonlog_next_attr(struct jsonlog_record *record, size_t *at, const char **ret_key, const char **ret_value)
{
	struct cursor in = { record->attrs + *at, record->attrs + record->attrs_len };
	size_t len;
	if (take(&in, '}'))
		return 0;
	if (!take(&in, *at ? ',' : '{'))
		return -EINVAL;
	if (!*at && take(&in, '}'))
		return 0;
	if (take_string(&in, ret_key, &len) < 0 || !take(&in, ':') || take_string(&in, ret_value, &len) < 0)
		return -EINVAL;
	*at = (size_t)(in.at - record->attrs);
	return 1;
}
