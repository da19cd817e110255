#include "codec/utf8.h"

#include <stdlib.h>
#include <string.h>

static bool is_tail(unsigned char byte)
{
	return (byte & 0xc0) == 0x80;
}

/* The second byte's range depends on the first: that is where overlong forms and surrogates are kept out. */
static bool is_second(unsigned char first, unsigned char second)
{
	switch (first) {
	case 0xe0: return second >= 0xa0 && second <= 0xbf;
	case 0xed: return second >= 0x80 && second <= 0x9f;
	case 0xf0: return second >= 0x90 && second <= 0xbf;
	case 0xf4: return second >= 0x80 && second <= 0x8f;
	default: return is_tail(second);
	}
}

size_t utf8_sequence(const unsigned char *text, size_t len)
{
	unsigned char first = text[0];
	if (first < 0x80)
		return 1;
	size_t want = first >= 0xc2 && first <= 0xdf ? 2 : first >= 0xe0 && first <= 0xef ? 3 : 4;
	if (first < 0xc2 || first > 0xf4 || len < want || !is_second(first, text[1]))
		return 0;
	for (size_t i = 2; i < want; i++)
		if (!is_tail(text[i]))
			return 0;
	return want;
}

bool utf8_is_valid(const char *text, size_t len)
{
	for (size_t at = 0, step; at < len; at += step) {
		step = utf8_sequence((const unsigned char *)text + at, len - at);
		if (!step)
			return false;
	}
	return true;
}

char *utf8_repair(const char *text)
{
	size_t len = strlen(text);
	char *copy = malloc(len * strlen(UTF8_REPLACEMENT) + 1);
	if (!copy)
		return NULL;

	char *end = copy;
	for (size_t at = 0; at < len;) {
		size_t step = utf8_sequence((const unsigned char *)text + at, len - at);
		if (step) {
			memcpy(end, text + at, step);
			end += step;
			at += step;
		} else {
			memcpy(end, UTF8_REPLACEMENT, strlen(UTF8_REPLACEMENT));
			end += strlen(UTF8_REPLACEMENT);
			at++;
		}
	}
	*end = '\0';
	return copy;
}
