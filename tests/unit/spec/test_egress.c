#include <string.h>

#include <netinet/in.h>

#include "../unit.h"
#include "base/strv.h"
#include "spec/egress.h"

/* What the words come to, in one line. */
static void expect(const char *words, const char *shown)
{
	_autofree_(strv) char **list = NULL, **printed = NULL;
	struct egress egress;
	assert_int_equal(egress_split(words, &list), 0);
	assert_int_equal(egress_parse(list, &egress, NULL), 0);
	assert_int_equal(egress_print(&egress, &printed), 0);
	_cleanup_free_ char *text = strv_join(printed, " ");
	assert_string_equal(text, shown);
	egress_finish(&egress);
}

static void policies_are_shown(void **state)
{
	(void)state;
	expect("", "default=allow");
	expect("default=audit", "default=audit");
	expect("allow=1.2.3.4", "default=deny allow=1.2.3.4");
	expect("deny=1.2.3.4", "default=allow deny=1.2.3.4");
	expect(" default=audit\tallow=1.2.3.4 ", "default=audit allow=1.2.3.4");
	expect("allow=1.2.3.4/16:80,1.2.3.4/32:1-2/udp", "default=deny allow=1.2.0.0/16:80 allow=1.2.3.4:1-2/udp");
	expect("allow=fd00::1,fd00::1/tcp,[fd00::1]:80,[fd00::1/8]:80,[fd00::1]/8:80/sctp,[fd00::1]",
		"default=deny allow=fd00::1 allow=fd00::1/tcp allow=[fd00::1]:80 allow=[fd00::/8]:80 allow=[fd00::/8]:80/sctp "
		"allow=fd00::1");
	expect("allow=*,*:22,*/icmp,Api.Example.COM.:443,*.x.y", "default=deny allow=* allow=*:22 allow=*/icmp "
								 "allow=api.example.com:443 allow=*.x.y");
	expect("allow=1.2.3.4:1-65535", "default=deny allow=1.2.3.4:1-65535");
}

static void bad_ones_are_refused(void **state)
{
	static const char *const cases[] = { "x", "allow", "deny=", "allow=,", "default=", "default=Deny", "allow=a b",
		"allow=:80", "allow=x:", "allow=x:0", "allow=x:65536", "allow=x:1-", "allow=x:2-1", "allow=x:80/icmp",
		"allow=x:80/ftp", "allow=1.2.3", "allow=1.2.3.4.5", "allow=01.2.3.4", "allow=1.2.3.4/33",
		"allow=1.2.3.4/", "allow=[fd00::1", "allow=[fd00::1]x", "allow=[x]:80", "allow=[1.2.3.4]:80",
		"allow=fd00::/129", "allow=*x", "allow=*.", "allow=*.*.x", "allow=a..b", "allow=-a", "allow=a-",
		"allow=a/24", "deny=x.y", "allow=x/tcp", "allow=x:1-17", "default=deny default=allow" };
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_autofree_(strv) char **list = NULL;
		_autofree_(err) struct err *err = NULL;
		struct egress egress;
		if (strcmp(cases[i], "allow=a b") != 0)
			assert_int_equal(egress_split(cases[i], &list), 0);
		else
			assert_int_equal(strv_append(&list, cases[i]), 0);
		if (egress_parse(list, &egress, &err) == 0)
			fail_msg("%s", cases[i]);
		assert_non_null(err);
		egress_finish(&egress);
	}
}

static void there_are_not_too_many(void **state)
{
	struct egress egress;
	(void)state;
	for (int more = -1; more <= 1; more++) {
		_autofree_(strv) char **list = NULL;
		for (int i = 0; i < EGRESS_RULES_MAX + more; i++)
			assert_int_equal(strv_appendf(&list, "allow=10.0.0.%d", i % 256), 0);
		assert_int_equal(egress_parse(list, &egress, NULL) == 0, more <= 0);
		egress_finish(&egress);
	}
}

static void places_are_looked_up(void **state)
{
	static const struct {
		const char *words, *address;
		uint8_t protocol;
		uint16_t port;
		bool is_let;
	} cases[] = {
		{ "", "10.0.0.1", IPPROTO_TCP, 80, true },
		{ "default=deny", "10.0.0.1", IPPROTO_TCP, 80, false },
		{ "default=audit", "10.0.0.1", IPPROTO_TCP, 80, true },
		{ "allow=10.0.0.0/8:80-90", "10.0.0.1", IPPROTO_TCP, 90, true },
		{ "allow=10.0.0.0/8:80-90", "10.0.0.1", IPPROTO_UDP, 80, true },
		{ "allow=10.0.0.0/8:80-90", "10.0.0.1", IPPROTO_SCTP, 80, false },
		{ "allow=10.0.0.0/8:80-90", "10.0.0.1", IPPROTO_TCP, 91, false },
		{ "allow=10.0.0.0/8:80-90", "11.0.0.1", IPPROTO_TCP, 80, false },
		{ "allow=10.0.0.0/8 deny=10.0.0.1:80/tcp", "10.0.0.1", IPPROTO_TCP, 80, false },
		{ "allow=10.0.0.0/8 deny=10.0.0.1:80/tcp", "10.0.0.1", IPPROTO_UDP, 80, true },
		{ "deny=10.0.0.1 allow=10.0.0.1", "10.0.0.1", IPPROTO_ICMP, 0, false },
		{ "allow=*/icmp", "10.0.0.1", IPPROTO_ICMP, 0, true },
		{ "allow=*/icmp", "fd00::1", IPPROTO_ICMPV6, 0, true },
		{ "allow=*/icmp", "fd00::1", IPPROTO_TCP, 80, false },
		{ "allow=*:443", "fd00::1", IPPROTO_TCP, 443, true },
		{ "allow=10.0.0.1", "fd00::1", IPPROTO_TCP, 443, false },
		{ "allow=x.y:80", "10.0.0.1", IPPROTO_TCP, 80, false },
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_autofree_(strv) char **list = NULL;
		struct egress egress;
		struct inet_address address;
		assert_int_equal(egress_split(cases[i].words, &list), 0);
		assert_int_equal(egress_parse(list, &egress, NULL), 0);
		assert_int_equal(inet_parse(cases[i].address, &address), 0);
		if (egress_lets(&egress, &address, cases[i].protocol, cases[i].port) != cases[i].is_let)
			fail_msg("%s: %s %u %u", cases[i].words, cases[i].address, cases[i].protocol, cases[i].port);
		egress_finish(&egress);
	}
}

static void names_match(void **state)
{
	(void)state;
	assert_true(egress_name_matches("x.y", "x.y"));
	assert_false(egress_name_matches("x.y", "a.x.y") || egress_name_matches("x.y", "x.yy") ||
		     egress_name_matches("x.y", ""));
	assert_true(egress_name_matches("*.x.y", "a.x.y") && egress_name_matches("*.x.y", "b.a.x.y"));
	assert_false(egress_name_matches("*.x.y", "x.y") || egress_name_matches("*.x.y", "ax.y") ||
		     egress_name_matches("*.x.y", ".x.y"));
	assert_false(egress_name_matches("", "") || egress_name_matches("", "x"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(policies_are_shown),
		cmocka_unit_test(bad_ones_are_refused),
		cmocka_unit_test(there_are_not_too_many),
		cmocka_unit_test(places_are_looked_up),
		cmocka_unit_test(names_match),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
