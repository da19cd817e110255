/* In a network namespace of its own, with connections made up by Debian's conntrack. Without the rights for that it is skipped. */
#include <sched.h>
#include <stdlib.h>
#include <unistd.h>

#include "../unit.h"
#include "sys/conntrack.h"

#define MADE \
 "conntrack -I -p tcp -s 10.9.0.1 -d 10.9.0.2 --sport 7 --dport 8 --state ESTABLISHED -t 60 -u SEEN_REPLY >/dev/null 2>&1"

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
	assert_int_equal(conntrack_forget(&netlink, &own), 1);
	assert_true(conntrack_is_empty(&netlink));
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(connections_are_seen_and_forgotten) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
