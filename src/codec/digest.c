#include "codec/digest.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/parse.h"

#define ALGORITHM_CHARACTERS "abcdefghijklmnopqrstuvwxyz0123456789"
#define ENCODED_CHARACTERS   "ABCDEFGHIJKLMNOPQRSTUVWXYZ" ALGORITHM_CHARACTERS "=_-"

/* component (separator component)* ":" encoded */
static bool fits_grammar(const char *text)
{
	for (;;) {
		size_t component = strspn(text, ALGORITHM_CHARACTERS);
		if (!component)
			return false;
		text += component;
		if (*text == ':')
			break;
		if (!*text || !strchr("+._-", *text))
			return false;
		text++;
	}
	size_t encoded = strspn(++text, ENCODED_CHARACTERS);
	return encoded && !text[encoded];
}

int digest_parse_hex(const char *hex, struct digest *ret)
{
	if (!is_hex(hex, DIGEST_HEX_LEN))
		return -EINVAL;
	memcpy(ret->hex, hex, sizeof ret->hex);
	return 0;
}

int digest_parse(const char *text, struct digest *ret)
{
	size_t prefix = strlen(DIGEST_PREFIX);
	if (strncmp(text, DIGEST_PREFIX, prefix) == 0)
		return digest_parse_hex(text + prefix, ret);
	return fits_grammar(text) ? -EOPNOTSUPP : -EINVAL;
}

void digest_from_bytes(const unsigned char bytes[static DIGEST_BYTES_LEN], struct digest *ret)
{
	static const char digits[] = "0123456789abcdef";
	for (size_t i = 0; i < DIGEST_BYTES_LEN; i++) {
		ret->hex[2 * i] = digits[bytes[i] >> 4];
		ret->hex[2 * i + 1] = digits[bytes[i] & 15];
	}
	ret->hex[DIGEST_HEX_LEN] = '\0';
}

void digest_format(const struct digest *digest, char out[static DIGEST_SIZE])
{
	snprintf(out, DIGEST_SIZE, DIGEST_PREFIX "%s", digest->hex);
}

bool digest_is_set(const struct digest *digest)
{
	return digest->hex[0] != '\0';
}

bool digest_equal(const struct digest *a, const struct digest *b)
{
	return strcmp(a->hex, b->hex) == 0;
}
