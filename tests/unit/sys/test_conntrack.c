/* In a network namespace of its own, with connections made up by Debian's conntrack. Without the rights for that it is skipped. */
#include <sched.h>
#include <stdlib.h>
#include <unistd.h>

#include "../unit.h"
#include "sys/conntrack.h"

#define MADE \
 "conntrack -I -p tcp -s 10.9.0.1 -d 10.9.0.2 --sport 7 --dport 8 --state ESTABLISHED -t 60 -u SEEN_REPLY >/dev/null 2>&1"

static bool keep(const struct conntrack_place *place, void *user)
{
	*(struct conntrack_place *)user = *place;
	return false;
}

static bool pick(const struct conntrack_place *place, void *user)
{
	(void)place;
	(void)user;
	return true;
}

static void connections_are_seen_and_forgotten(void **state)
{
	_cleanup_(netlink_close) struct netlink netlink = NETLINK_NONE;
	struct inet_address own, other;
	(void)state;
	if (geteuid() != 0 || unshare(CLONE_NEWNET) < 0 || netlink_open(&netlink, NETLINK_NETFILTER) < 0)
		skip();
	assert_int_equal(inet_parse("10.9.0.1", &own), 0);
	assert_int_equal(inet_parse("10.9.0.9", &other), 0);
	assert_true(conntrack_is_empty(&netlink));
	if (system(MADE) != 0)
		skip(); /* not installed, or not of this kernel */
	assert_false(conntrack_is_empty(&netlink));
	assert_int_equal(conntrack_forget(&netlink, &other), 0);
	assert_false(conntrack_is_empty(&netlink));
	struct conntrack_place seen = { 0 };
	assert_int_equal(conntrack_forget_some(&netlink, &own, keep, &seen), 0);
	assert_int_equal(inet_parse("10.9.0.2", &other), 0);
	assert_true(inet_equal(&seen.address, &other) && seen.protocol == 6 && seen.port == 8);
	assert_int_equal(conntrack_forget_some(&netlink, &other, pick, NULL), 0); /* who did not begin it */
	assert_int_equal(conntrack_forget_some(&netlink, &own, pick, NULL), 1);
	assert_true(conntrack_is_empty(&netlink));
	assert_int_equal(system(MADE), 0);
	assert_int_equal(conntrack_forget(&netlink, &own), 1);
	assert_true(conntrack_is_empty(&netlink));
}

#define MADE6 \
 "conntrack -I -p tcp -s fd09::1 -d fd09::2 --sport 7 --dport 8 --state ESTABLISHED -t 60 -u SEEN_REPLY >/dev/null 2>&1"

static void connections_of_ipv6_too(void **state)
{
	_cleanup_(netlink_close) struct netlink netlink = NETLINK_NONE;
	struct inet_address own, other;
	struct conntrack_place seen = { 0 };
	(void)state;
	if (geteuid() != 0 || unshare(CLONE_NEWNET) < 0 || netlink_open(&netlink, NETLINK_NETFILTER) < 0)
		skip();
	assert_int_equal(inet_parse("fd09::1", &own), 0);
	assert_int_equal(inet_parse("fd09::2", &other), 0);
	if (system(MADE6) != 0)
		skip();
	assert_int_equal(conntrack_forget_some(&netlink, &own, keep, &seen), 0);
	assert_true(inet_equal(&seen.address, &other) && seen.protocol == 6 && seen.port == 8);
	assert_int_equal(conntrack_forget(&netlink, &other), 1); /* by the way back */
	assert_int_equal(system(MADE6), 0);
	assert_int_equal(inet_parse("fd09::3", &other), 0);
	assert_int_equal(conntrack_forget(&netlink, &other), 0);
	assert_int_equal(conntrack_forget_some(&netlink, &other, pick, NULL), 0);
	assert_int_equal(conntrack_forget_some(&netlink, &own, pick, NULL), 1);
	assert_true(conntrack_is_empty(&netlink));
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(connections_are_seen_and_forgotten),
		cmocka_unit_test(connections_of_ipv6_too) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
