#include "codec/query.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

#include "base/parse.h"
#include "codec/percent.h"

struct pair {
	char *key;
	char *value;
};

struct query {
	size_t count;
	struct pair pairs[];
};

static int pair_parse(const char *text, size_t len, struct pair *pair)
{
	const char *equals = memchr(text, '=', len);
	size_t key_len = equals ? (size_t)(equals - text) : len;
	size_t value_at = equals ? key_len + 1 : len;
	int ret = percent_decode(text, key_len, true, &pair->key);
	return ret < 0 ? ret : percent_decode(text + value_at, len - value_at, true, &pair->value);
}

int query_parse(const char *text, struct query **ret)
{
	size_t count = 1;
	for (const char *c = text; *c; c++) {
		if (*c == ';')
			return -EINVAL;
		count += *c == '&';
	}
	if (count > QUERY_PAIRS_MAX)
		return -E2BIG;

	_autofree_(query) struct query *query = calloc(1, sizeof *query + count * sizeof *query->pairs);
	if (!query)
		return -ENOMEM;
	for (size_t len; *text; text += text[len] ? len + 1 : len) {
		len = strcspn(text, "&");
		if (!len)
			continue;
		int r = pair_parse(text, len, &query->pairs[query->count++]);
		if (r < 0)
			return r;
	}
	*ret = TAKE(query);
	return 0;
}

void query_free(struct query *query)
{
	for (size_t i = 0; query && i < query->count; i++) {
		free(query->pairs[i].key);
		free(query->pairs[i].value);
	}
	free(query);
}

const char *query_next(const struct query *query, const char *key, size_t *cursor)
{
	while (*cursor < query->count) {
		const struct pair *pair = &query->pairs[(*cursor)++];
		if (strcmp(pair->key, key) == 0)
			return pair->value;
	}
	return NULL;
}

const char *query_get(const struct query *query, const char *key)
{
	size_t cursor = 0;
	return query_next(query, key, &cursor);
}

bool query_has(const struct query *query, const char *key)
{
	return query_get(query, key) != NULL;
}

static bool is_false(const char *text, size_t len)
{
	static const char *const words[] = { "", "0", "no", "false", "none" };
	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (strlen(words[i]) == len && strncasecmp(words[i], text, len) == 0)
			return true;
	return false;
}

bool query_bool(const struct query *query, const char *key, bool fallback)
{
	static const char blanks[] = " \t\r\n\v\f";
	const char *text = query_get(query, key);
	if (!text)
		return fallback;
	text += strspn(text, blanks);
	size_t len = strlen(text);
	while (len && strchr(blanks, text[len - 1]))
		len--;
	return !is_false(text, len);
}

int query_int(const struct query *query, const char *key, int64_t fallback, int64_t *ret)
{
	const char *text = query_get(query, key);
	if (!text || !*text) {
		*ret = fallback;
		return 0;
	}
	return parse_i64(text, INT64_MIN, INT64_MAX, ret);
}

int query_append(struct buf *path, const char *key, const char *value)
{
	bool first = !path->len || !memchr(path->data, '?', path->len);
	int ret = buf_putc(path, first ? '?' : '&');
	if (ret == 0)
		ret = percent_encode(path, key, "");
	if (ret == 0)
		ret = buf_putc(path, '=');
	return ret < 0 ? ret : percent_encode(path, value, "");
}
