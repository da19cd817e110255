#include "cli/detach.h"

#include <string.h>

/* The code of "ctrl-X", or -1. */
static int control_code(const char *name, size_t len)
{
	static const char special[] = "@[\\]^_"; /* codes 0 and 27 to 31 */
	if (len != 1)
		return -1;
	if (*name >= 'a' && *name <= 'z')
		return *name - 'a' + 1;
	const char *at = memchr(special, *name, sizeof special - 1);
	if (!at)
		return -1;
	return at == special ? 0 : 26 + (int)(at - special);
}

static int key_code(const char *key, size_t len)
{
	if (len == 1)
		return (unsigned char)*key < 0x80 ? *key : -1;
	if (len > 5 && memcmp(key, "ctrl-", 5) == 0)
		return control_code(key + 5, len - 5);
	return -1;
}

int detach_keys_parse(const char *text, struct detach_keys *ret, struct err **reterr)
{
	struct detach_keys keys = { .count = 0 };
	for (const char *key = text;; key++) {
		size_t len = strcspn(key, ",");
		int code = key_code(key, len);
		if (code < 0)
			return err_set(reterr, ERR_INVALID, 0, "invalid detach keys (%s): Unknown character: '%.*s'",
				text, (int)len, key);
		if (keys.count == DETACH_KEYS_MAX)
			return err_set(reterr, ERR_INVALID, 0, "invalid detach keys (%s): more than %d keys", text,
				DETACH_KEYS_MAX);
		keys.keys[keys.count++] = (unsigned char)code;
		key += len;
		if (!*key)
			break;
	}
	*ret = keys;
	return 0;
}

/* How much of the sequence is matched after `matched` keys of it and then `next`, which differs: the longest beginning
 * of the sequence that the keys typed end with. The keys before that are sent. */
static size_t fall_back(const struct detach_keys *keys, unsigned char next)
{
	for (size_t len = keys->matched; len > 0; len--) {
		if (keys->keys[len - 1] == next &&
			memcmp(keys->keys, keys->keys + keys->matched - (len - 1), len - 1) == 0)
			return len;
	}
	return 0;
}

int detach_keys_feed(struct detach_keys *keys, const unsigned char *typed, size_t len, struct buf *out)
{
	for (size_t i = 0; i < len; i++) {
		if (keys->count && typed[i] == keys->keys[keys->matched]) {
			if (++keys->matched == keys->count)
				return 1;
			continue;
		}
		size_t again = fall_back(keys, typed[i]);
		/* Of the keys held back and this one, all but the last `again` go out. */
		size_t send_held = again ? keys->matched - (again - 1) : keys->matched;
		int ret = buf_append(out, keys->keys, send_held);
		if (ret == 0 && !again)
			ret = buf_append(out, typed + i, 1);
		if (ret < 0)
			return ret;
		keys->matched = again;
	}
	return 0;
}
