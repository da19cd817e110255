/* Times as --since and --until take them. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../unit.h"
#include "cli/timestamp.h"

static void is(const char *text, const char *want)
{
	char out[TIMESTAMP_MAX];

	assert_int_equal(timestamp_parse(text, out, NULL), 0);
	assert_string_equal(out, want);
}

static void test_points(void **state)
{
	(void)state;
	is("1600000000", "1600000000");
	is("1600000000.25", "1600000000.25");
	is("2020-09-13T12:26:40Z", "1600000000.000000000");
	is("2020-09-13T14:26:40.5+02:00", "1600000000.500000000");
}

/* In New York it was four hours earlier in summer, and five in winter. */
static void test_local_times(void **state)
{
	(void)state;
	is("2020-09-13T08:26:40", "1600000000.000000000");
	is("2020-09-13T08:26:40.125", "1600000000.125000000");
	is("2020-09-13T08:26", "1599999960.000000000");
	is("2020-09-13T08", "1599998400.000000000");
	is("2020-09-13", "1599969600.000000000");
	is("2020-01-13", "1578891600.000000000");
	is("1969-12-31T18:59:59.5", "-1.500000000"); /* whole seconds, and the rest behind them */
}

static void test_what_is_no_time(void **state)
{
	static const char *const bad[] = { "", "x", "2020-9-13", "2020-09", "2020-09-13T", "2020-09-13T8",
		"2020-09-13T08:26:", "2020-13-01", "2020-09-13T24", "2020-09-13 x", "2020-09-13T08:26:40+02",
		"2020-09-13T08:26:40.1234567890123456789012345678901234567890" };

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		char out[TIMESTAMP_MAX];
		if (timestamp_parse(bad[i], out, NULL) >= 0)
			fail_msg("\"%s\" is taken for %s", bad[i], out);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_points), cmocka_unit_test(test_local_times),
		cmocka_unit_test(test_what_is_no_time) };

	setenv("TZ", "EST5EDT,M3.2.0,M11.1.0", 1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
