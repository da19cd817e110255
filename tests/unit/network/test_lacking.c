#include <errno.h>

#include "../unit.h"
#include "network/lacking.h"

static void test_what_is_missing_is_named(void **state)
{
	static const struct {
		int r;
		const char *message;
	} cases[] = {
		{ -EPERM, "networks take CAP_NET_ADMIN, which tared was started without; --network host works" },
		{ -EOPNOTSUPP,
			"networks take veth, which this kernel does not have (modprobe veth); --network none and --network host "
			"work" },
		{ -EPROTONOSUPPORT,
			"networks take veth, which this kernel does not have (modprobe veth); --network none and --network host "
			"work" },
	};
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		_autofree_(err) struct err *err = NULL;
		assert_true(lacking(cases[i].r, "veth", &err));
		assert_string_equal(err_message(err), cases[i].message);
		assert_int_equal(err->kind, ERR_UNSUPPORTED);
		assert_int_equal(err->errnum, -cases[i].r);
	}
}

static void test_other_failures_are_left_alone(void **state)
{
	_autofree_(err) struct err *err = NULL;
	(void)state;
	assert_false(lacking(-EEXIST, "veth", &err));
	assert_false(lacking(-ENOMEM, "veth", &err));
	assert_false(lacking(0, "veth", &err));
	assert_null(err);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_missing_is_named),
		cmocka_unit_test(test_other_failures_are_left_alone),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
