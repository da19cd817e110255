#include "codec/percent.h"

#include <errno.h>
#include <string.h>

#include "codec/hex.h"

/* The byte behind "%XX", or -1. */
static int escaped_byte(const char *text, size_t len)
{
	if (len < 3)
		return -1;
	int high = hex_value(text[1]), low = hex_value(text[2]);
	return high < 0 || low < 0 ? -1 : high << 4 | low;
}

int percent_decode(const char *text, size_t len, bool plus_is_blank, char **ret)
{
	_cleanup_free_ char *out = malloc(len + 1);
	if (!out)
		return -ENOMEM;

	char *end = out;
	for (size_t i = 0; i < len; i++) {
		int byte = (unsigned char)text[i];
		if (byte == '%') {
			byte = escaped_byte(text + i, len - i);
			i += 2;
		} else if (byte == '+' && plus_is_blank) {
			byte = ' ';
		}
		if (byte <= 0)
			return -EINVAL;
		*end++ = (char)byte;
	}
	*end = '\0';
	*ret = TAKE(out);
	return 0;
}

static bool is_unreserved(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || strchr("-._~", c);
}

int percent_encode(struct buf *out, const char *text, const char *keep)
{
	static const char digits[] = "0123456789ABCDEF";
	for (; *text; text++) {
		unsigned char byte = (unsigned char)*text;
		int ret;
		if (is_unreserved(*text) || strchr(keep, *text))
			ret = buf_putc(out, *text);
		else
			ret = buf_append(out, (char[]){ '%', digits[byte >> 4], digits[byte & 15] }, 3);
		if (ret < 0)
			return ret;
	}
	return 0;
}
