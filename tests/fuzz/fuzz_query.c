/* Each pair that was read is written, and read again as the same. */
#include <string.h>

#include "codec/base64.h"
#include "codec/percent.h"
#include "codec/query.h"

#include "fuzz.h"

static void check_percent(const char *text)
{
	_cleanup_(buf_finish) struct buf out = BUF_INIT(3 * strlen(text));
	_cleanup_free_ char *back = NULL;
	fuzz_check(percent_encode(&out, text, "") == 0);
	fuzz_check(percent_decode(out.data ?: "", out.len, true, &back) == 0 && strcmp(back, text) == 0);
}

static void check_pair(const struct query *query, const char *key)
{
	const char *value = query_get(query, key);
	int64_t number;
	query_bool(query, key, false);
	query_int(query, key, 0, &number);
	if (!value)
		return;
	_cleanup_(buf_finish) struct buf path = BUF_INIT(1 << 20);
	_autofree_(query) struct query *again = NULL;
	if (query_append(&path, key, value) < 0)
		return;
	fuzz_check(query_parse(path.data + 1, &again) == 0);
	fuzz_check(strcmp(query_get(again, key), value) == 0);
}

static void check_base64(const char *data, size_t size)
{
	_cleanup_free_ char *back = NULL, *same = NULL;
	size_t len, same_len;
	if (base64_decode(data, size, &back, &len) < 0)
		return;
	_cleanup_(buf_finish) struct buf out = BUF_INIT(size + 4);
	fuzz_check(base64_encode(&out, back, len, false) == 0);
	fuzz_check(base64_decode(out.data ?: "", out.len, &same, &same_len) == 0);
	fuzz_check(len == same_len && memcmp(back, same, len) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const keys[] = { "", "a", "b", "filters", "t" };
	_cleanup_free_ char *text = strndup((const char *)data, size);
	_autofree_(query) struct query *query = NULL;
	check_percent(text);
	check_base64((const char *)data, size);
	if (query_parse(text, &query) < 0)
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		check_pair(query, keys[i]);
	size_t first = strcspn(text, "&=%+");
	text[first] = '\0';
	check_pair(query, text);
	return 0;
}
