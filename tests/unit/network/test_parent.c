#include <errno.h>

#include "../unit.h"
#include "network/parent.h"

static void assert_vlan(const char *name, int want, size_t want_len, unsigned want_number)
{
	size_t len = 0;
	unsigned number = 0;
	assert_int_equal(parent_parse_vlan(name, &len, &number), want);
	assert_int_equal(len, want_len);
	assert_int_equal(number, want_number);
}

static void names_with_a_vlan_s_number(void **state)
{
	(void)state;
	assert_vlan("eth0.10", 0, 4, 10);
	assert_vlan("eth0.1", 0, 4, 1);
	assert_vlan("br.7.4094", 0, 4, 4094);
	assert_vlan("eth0.0", -EINVAL, 0, 0);
	assert_vlan("eth0.4095", -EINVAL, 0, 0);
	assert_vlan("eth0.", -EINVAL, 0, 0);
	assert_vlan("eth0.-1", -EINVAL, 0, 0);
	assert_vlan(".10", -EINVAL, 0, 0);
	assert_vlan("eth0", -EINVAL, 0, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(names_with_a_vlan_s_number) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
