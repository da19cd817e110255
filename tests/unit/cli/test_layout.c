#include <errno.h>
#include <string.h>
#include <time.h>

#include "../unit.h"
#include "cli/detach.h"
#include "cli/humanize.h"
#include "cli/suggest.h"
#include "cli/table.h"

static void check_table(const char *text, const char *expected)
{
	_cleanup_(buf_finish) struct buf out = BUF_INIT(4096);
	assert_int_equal(table_format(text, strlen(text), TABLE_LIST, &out), 0);
	assert_string_equal(out.data ? out.data : "", expected);
}

static void tables_align(void **state)
{
	(void)state;
	check_table("", "");
	check_table("one\n", "one\n");
	check_table("A\tB\nlonger cell\tx\n", "A             B\nlonger cell   x\n");
	check_table("A\tB\tC\n1\t\t3\n", "A         B         C\n1                   3\n");
	check_table("\xc3\xa9\tB\nee\tB\n", "\xc3\xa9         B\nee        B\n");
	/* a row without the column ends its block */
	check_table("aaaaaaaaaaaaaaa\tb\nalone\nc\td\n", "aaaaaaaaaaaaaaa   b\nalone\nc         d\n");
	_cleanup_(buf_finish) struct buf small = BUF_INIT(3);
	assert_int_equal(table_format("a\tb", 3, TABLE_LIST, &small), -EFBIG);
}

static void check_size(double bytes, const char *expected)
{
	char text[HUMAN_MAX];
	human_size(bytes, 3, text);
	assert_string_equal(text, expected);
}

static void sizes(void **state)
{
	(void)state;
	check_size(0, "0B");
	check_size(999, "999B");
	check_size(1000, "1kB");
	check_size(7660000, "7.66MB");
	check_size(123456789, "123MB");
	check_size(1.5e12, "1.5TB");
	char text[HUMAN_MAX];
	human_size_binary(2096000000, text);
	assert_string_equal(text, "1.952GiB");
	human_size_binary(0, text);
	assert_string_equal(text, "0B");
}

static void check_duration(int64_t seconds, const char *expected)
{
	char text[HUMAN_MAX];
	human_duration(seconds, text);
	assert_string_equal(text, expected);
}

static void durations(void **state)
{
	(void)state;
	check_duration(-5, "Less than a second");
	check_duration(0, "Less than a second");
	check_duration(1, "1 second");
	check_duration(59, "59 seconds");
	check_duration(60, "About a minute");
	check_duration(119, "About a minute");
	check_duration(120, "2 minutes");
	check_duration(59 * 60 + 59, "59 minutes");
	check_duration(3600, "About an hour");
	check_duration(5399, "About an hour");
	check_duration(5400, "2 hours");
	check_duration(47 * 3600, "47 hours");
	check_duration(48 * 3600, "2 days");
	check_duration(14 * 24 * 3600, "2 weeks");
	check_duration(60 * 24 * 3600, "2 months");
	check_duration(2 * 365 * 24 * 3600LL, "2 years");
}

static void times(void **state)
{
	(void)state;
	char text[HUMAN_MAX];
	setenv("TZ", "UTC", 1);
	tzset();
	human_time(0, text);
	assert_string_equal(text, "1970-01-01 00:00:00 +0000 UTC");
	human_time_rfc3339(1, 5, text);
	assert_string_equal(text, "1970-01-01T00:00:01.000000005Z");
	setenv("TZ", "XXX+03:30", 1);
	tzset();
	human_time_rfc3339(0, -1, text);
	assert_string_equal(text, "1969-12-31T20:30:00-03:30");
}

static void check_keys(const char *spec, const char *typed, const char *sent, int expected)
{
	struct detach_keys keys;
	assert_int_equal(detach_keys_parse(spec, &keys, NULL), 0);
	size_t len = strlen(typed);
	/* in one piece, and key by key */
	for (int step = 0; step < 2; step++) {
		keys.matched = 0;
		_cleanup_(buf_finish) struct buf out = BUF_INIT(256);
		int ret = 0;
		if (step == 0)
			ret = detach_keys_feed(&keys, (const unsigned char *)typed, len, &out);
		for (size_t i = 0; step == 1 && ret == 0 && i < len; i++)
			ret = detach_keys_feed(&keys, (const unsigned char *)typed + i, 1, &out);
		assert_int_equal(ret, expected);
		assert_string_equal(out.data ? out.data : "", sent);
	}
}

static void detach_keys_match(void **state)
{
	(void)state;
	check_keys("ctrl-p,ctrl-q", "ab\x10\x11zz", "ab", 1);
	check_keys("ctrl-p,ctrl-q", "a\x10z", "a\x10z", 0);
	check_keys("ctrl-p,ctrl-q", "\x10\x10\x11", "\x10", 1);
	check_keys("ctrl-p,ctrl-q", "\x10", "", 0);
	check_keys("a,b,a,c", "ababac", "ab", 1);
	check_keys("a,a,b", "aaab", "a", 1);
	check_keys("a,a,b", "aac", "aac", 0);
	check_keys("ctrl-@", "x", "x", 0);
	check_keys("ctrl-[", "\x1b", "", 1);
	check_keys("ctrl-_", "\x1f", "", 1);
}

static void detach_keys_refuse(void **state)
{
	(void)state;
	struct detach_keys keys;
	static const char *const wrong[] = { "", ",", "ctrl-", "ctrl-A", "ctrl-ab", "ab", "a,,b", "a,", "\xc3\xa9" };
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
		assert_true(detach_keys_parse(wrong[i], &keys, NULL) < 0);

	_cleanup_(buf_finish) struct buf text = BUF_INIT(4096);
	for (int i = 0; i < DETACH_KEYS_MAX; i++)
		buf_puts(&text, i ? ",a" : "a");
	assert_int_equal(detach_keys_parse(text.data, &keys, NULL), 0);
	assert_int_equal(keys.count, DETACH_KEYS_MAX);
	buf_puts(&text, ",a");
	assert_true(detach_keys_parse(text.data, &keys, NULL) < 0);
}

static void suggestions(void **state)
{
	(void)state;
	assert_int_equal(suggest_distance("", "abc"), 3);
	assert_int_equal(suggest_distance("imgaes", "images"), 1);
	assert_int_equal(suggest_distance("kitten", "sitting"), 3);
	struct suggestion best = SUGGESTION_FOR("imgaes");
	suggest(&best, "inspect");
	suggest(&best, "images");
	suggest(&best, "image");
	assert_string_equal(best.found, "images");
	struct suggestion none = SUGGESTION_FOR("xyzzy");
	suggest(&none, "run");
	assert_null(none.found);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tables_align),
		cmocka_unit_test(sizes),
		cmocka_unit_test(durations),
		cmocka_unit_test(times),
		cmocka_unit_test(detach_keys_match),
		cmocka_unit_test(detach_keys_refuse),
		cmocka_unit_test(suggestions),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
