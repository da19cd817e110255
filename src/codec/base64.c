#include "codec/base64.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>

int base64_encode(struct buf *out, const void *data, size_t len, bool url_safe)
{
	const char *digits = url_safe ? "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
				      : "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const uint8_t *bytes = data;
	for (size_t at = 0; at < len; at += 3) {
		size_t count = len - at < 3 ? len - at : 3;
		uint32_t bits = (uint32_t)bytes[at] << 16;
		bits |= count > 1 ? (uint32_t)bytes[at + 1] << 8 : 0;
		bits |= count > 2 ? bytes[at + 2] : 0;
		char group[4] = { digits[bits >> 18], digits[bits >> 12 & 63], '=', '=' };
		if (count > 1)
			group[2] = digits[bits >> 6 & 63];
		if (count > 2)
			group[3] = digits[bits & 63];
		int ret = buf_append(out, group, sizeof group);
		if (ret < 0)
			return ret;
	}
	return 0;
}

static int digit_value(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	if (c == '+' || c == '-')
		return 62;
	return c == '/' || c == '_' ? 63 : -1;
}

/* Length without the padding; -EINVAL if that is there and does not fill the last group. */
static int cut_padding(const char *text, size_t *len)
{
	size_t padded = *len, padding = 0;
	while (*len && padding < 2 && text[*len - 1] == '=') {
		padding++;
		--*len;
	}
	return (padding && padded % 4) || *len % 4 == 1 ? -EINVAL : 0;
}

int base64_decode(const char *text, size_t len, char **ret, size_t *ret_len)
{
	if (cut_padding(text, &len) < 0)
		return -EINVAL;
	_cleanup_free_ char *out = malloc(len / 4 * 3 + 3);
	if (!out)
		return -ENOMEM;

	size_t count = 0;
	uint32_t bits = 0;
	unsigned bit_count = 0;
	for (size_t i = 0; i < len; i++) {
		int value = digit_value(text[i]);
		if (value < 0)
			return -EINVAL;
		bits = bits << 6 | (uint32_t)value;
		bit_count += 6;
		if (bit_count >= 8) {
			bit_count -= 8;
			out[count++] = (char)(bits >> bit_count & 0xff);
			bits &= (1u << bit_count) - 1;
		}
	}
	if (bits)
		return -EINVAL;
	out[count] = '\0';
	*ret = TAKE(out);
	*ret_len = count;
	return 0;
}
