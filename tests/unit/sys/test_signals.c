#include <errno.h>
#include <signal.h>
#include <string.h>

#include "../unit.h"
#include "sys/signals.h"

static void spellings_of_docker(void **state)
{
	(void)state;
	assert_int_equal(signal_parse("SIGTERM"), SIGTERM);
	assert_int_equal(signal_parse("TERM"), SIGTERM);
	assert_int_equal(signal_parse("sigterm"), SIGTERM);
	assert_int_equal(signal_parse("15"), SIGTERM);
	assert_int_equal(signal_parse("1"), 1);
	assert_int_equal(signal_parse("64"), 64);
	assert_int_equal(signal_parse("RTMIN"), 34);
	assert_int_equal(signal_parse("SIGRTMIN+3"), 37);
	assert_int_equal(signal_parse("RTMIN+15"), 49);
	assert_int_equal(signal_parse("RTMAX-14"), 50);
	assert_int_equal(signal_parse("RTMAX"), 64);
	assert_int_equal(signal_parse("CLD"), SIGCHLD);
}

static void nonsense_is_refused(void **state)
{
	(void)state;
	const char *const bad[] = { "", "0", "65", "-1", "+9", "9 ", " 9", "SIG", "SIGSIGTERM", "TERMX", "RTMIN+16",
		"RTMIN+", "RTMIN-1", "RTMAX-15", "RTMAX+1", "RTMINX", "18446744073709551625" };
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		assert_int_equal(signal_parse(bad[i]), -EINVAL);
}

static void names_come_back_as_their_number(void **state)
{
	(void)state;
	char name[SIGNAL_NAME_MAX];
	for (int signo = 1; signo <= 64; signo++) {
		signal_format(signo, name);
		assert_int_equal(signal_parse(name), signo);
	}
	signal_format(9, name);
	assert_string_equal(name, "SIGKILL");
	signal_format(37, name);
	assert_string_equal(name, "SIGRTMIN+3");
	signal_format(63, name);
	assert_string_equal(name, "SIGRTMAX-1");
	signal_format(0, name);
	assert_string_equal(name, "0");
	signal_format(-2147483647, name);
	assert_string_equal(name, "-2147483647");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(spellings_of_docker),
		cmocka_unit_test(nonsense_is_refused),
		cmocka_unit_test(names_come_back_as_their_number),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
