#include "monitor/detach.h"

#include <errno.h>
#include <string.h>

static const char default_keys[] = "ctrl-p,ctrl-q";

/* One key of `len` bytes: its code, or -EINVAL. */
static int key_parse(const char *text, size_t len)
{
	static const char ctrl[] = "ctrl-";
	static const char ctrl_symbols[] = "@[\\]^_";
	static const unsigned char ctrl_codes[] = { 0, 27, 28, 29, 30, 31 };

	if (len == 1)
		return (unsigned char)text[0];
	if (len == 3 && memcmp(text, "DEL", 3) == 0)
		return 127;
	if (len != sizeof ctrl || memcmp(text, ctrl, sizeof ctrl - 1) != 0)
		return -EINVAL;
	char symbol = text[len - 1];
	if (symbol >= 'a' && symbol <= 'z')
		return symbol - 'a' + 1;
	const char *at = symbol ? strchr(ctrl_symbols, symbol) : NULL;
	return at ? ctrl_codes[at - ctrl_symbols] : -EINVAL;
}

int detach_init(struct detach *detach, const char *text)
{
	struct detach parsed = { .count = 0 };

	if (!text || !*text)
		text = default_keys;
	for (;;) {
		/* A comma is a key itself where one is expected. */
		size_t len = *text == ',' ? 1 : strcspn(text, ",");
		int key = key_parse(text, len);
		if (key < 0 || parsed.count == DETACH_KEYS_MAX)
			return -EINVAL;
		parsed.keys[parsed.count++] = (unsigned char)key;
		text += len;
		if (!*text)
			break;
		if (*text++ != ',')
			return -EINVAL;
	}
	*detach = parsed;
	return 0;
}

/* The longest proper suffix of the first `matched` keys that is also their beginning. */
static unsigned char shorter_match(const struct detach *detach)
{
	for (size_t len = detach->matched - 1U; len > 0; len--)
		if (memcmp(detach->keys, detach->keys + detach->matched - len, len) == 0)
			return (unsigned char)len;
	return 0;
}

bool detach_filter(struct detach *detach, const char *in, size_t len, char *out, size_t *ret_len)
{
	size_t used = 0;

	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)in[i];
		while (detach->matched && detach->keys[detach->matched] != c) {
			unsigned char keep = shorter_match(detach);
			size_t released = detach->matched - keep;
			memcpy(out + used, detach->keys, released);
			used += released;
			detach->matched = keep;
		}
		if (detach->keys[detach->matched] != c)
			out[used++] = (char)c;
		else if (++detach->matched == detach->count) {
			detach->matched = 0;
			*ret_len = used;
			return true;
		}
	}
	*ret_len = used;
	return false;
}
