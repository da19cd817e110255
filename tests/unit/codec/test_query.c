#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../unit.h"
#include "codec/percent.h"
#include "codec/query.h"

static struct query *parsed(const char *text)
{
	struct query *query = NULL;
	assert_int_equal(query_parse(text, &query), 0);
	return query;
}

static void pairs_are_found(void **state)
{
	(void)state;
	_autofree_(query) struct query *query = parsed("a=1&b=x%20y+z&&a=2&flag&e=&=nokey&%6b=v=w");
	assert_string_equal(query_get(query, "a"), "1");
	assert_string_equal(query_get(query, "b"), "x y z");
	assert_string_equal(query_get(query, "flag"), "");
	assert_string_equal(query_get(query, "e"), "");
	assert_string_equal(query_get(query, ""), "nokey");
	assert_string_equal(query_get(query, "k"), "v=w");
	assert_null(query_get(query, "A"));
	assert_true(query_has(query, "flag"));
	size_t cursor = 0;
	assert_string_equal(query_next(query, "a", &cursor), "1");
	assert_string_equal(query_next(query, "a", &cursor), "2");
	assert_null(query_next(query, "a", &cursor));
}

static void broken_text_is_refused(void **state)
{
	(void)state;
	static const char *const texts[] = { "a=%", "a=%4", "a=%zz", "%=1", "a=%00", "a=1;b=2" };
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		struct query *query = NULL;
		assert_int_equal(query_parse(texts[i], &query), -EINVAL);
		assert_null(query);
	}
	_autofree_(query) struct query *empty = parsed("");
	assert_false(query_has(empty, ""));
}

static int parse_pairs(size_t count)
{
	_cleanup_(buf_finish) struct buf text = BUF_INIT(1 << 16);
	buf_puts(&text, "a");
	for (size_t i = 1; i < count; i++)
		buf_puts(&text, "&a");
	_autofree_(query) struct query *query = NULL;
	return query_parse(text.data, &query);
}

static void number_of_pairs_is_bounded(void **state)
{
	(void)state;
	assert_int_equal(parse_pairs(QUERY_PAIRS_MAX - 1), 0);
	assert_int_equal(parse_pairs(QUERY_PAIRS_MAX), 0);
	assert_int_equal(parse_pairs(QUERY_PAIRS_MAX + 1), -E2BIG);
}

static void truth_is_dockers(void **state)
{
	(void)state;
	_autofree_(query) struct query
		*query = parsed("a=&b=0&c=No&d=FALSE&e=none&f=%20+&g=1&h=true&i=nope&j=00&k=%20yes&l=falsey");
	for (const char *key = "abcdef"; *key; key++)
		assert_false(query_bool(query, (char[]){ *key, 0 }, true));
	for (const char *key = "ghijkl"; *key; key++)
		assert_true(query_bool(query, (char[]){ *key, 0 }, false));
	assert_true(query_bool(query, "absent", true));
	assert_false(query_bool(query, "absent", false));
}

static void integers_are_checked(void **state)
{
	(void)state;
	_autofree_(query) struct query *query = parsed("t=-1&e=&x=5s&big=9223372036854775808&max=9223372036854775807");
	int64_t value;
	assert_int_equal(query_int(query, "t", 10, &value), 0);
	assert_int_equal(value, -1);
	assert_int_equal(query_int(query, "e", 10, &value), 0);
	assert_int_equal(value, 10);
	assert_int_equal(query_int(query, "absent", 11, &value), 0);
	assert_int_equal(value, 11);
	assert_int_equal(query_int(query, "x", 0, &value), -EINVAL);
	assert_int_equal(query_int(query, "big", 0, &value), -ERANGE);
	assert_int_equal(query_int(query, "max", 0, &value), 0);
}

static void writing_escapes(void **state)
{
	(void)state;
	_cleanup_(buf_finish) struct buf path = BUF_INIT(1 << 16);
	buf_puts(&path, "/images/");
	assert_int_equal(percent_encode(&path, "a/b c:\xc3\xa9%", "/:"), 0);
	assert_int_equal(query_append(&path, "filters", "{\"a\":[\"b&c=+\"]}"), 0);
	assert_int_equal(query_append(&path, "x", ""), 0);
	assert_string_equal(path.data, "/images/a/b%20c:%C3%A9%25?filters=%7B%22a%22%3A%5B%22b%26c%3D%2B%22%5D%7D&x=");
	_autofree_(query) struct query *query = parsed(strchr(path.data, '?') + 1);
	assert_string_equal(query_get(query, "filters"), "{\"a\":[\"b&c=+\"]}");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pairs_are_found),
		cmocka_unit_test(broken_text_is_refused),
		cmocka_unit_test(number_of_pairs_is_bounded),
		cmocka_unit_test(truth_is_dockers),
		cmocka_unit_test(integers_are_checked),
		cmocka_unit_test(writing_escapes),
	};
	return cmocka_run_group_tests_name("query", tests, NULL, NULL);
}
