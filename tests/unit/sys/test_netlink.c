/* Messages as bytes; and, as root, links made in two network namespaces of the test's own. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <unistd.h>

#include <linux/rtnetlink.h>
#include <sys/wait.h>

#include "../unit.h"
#include "base/cleanup.h"
#include "sys/links.h"

static void nests_and_padding_are_in_the_lengths(void **state)
{
	(void)state;
	_cleanup_(netlink_request_finish) struct netlink_request request = NETLINK_REQUEST;
	const struct ifinfomsg info = { .ifi_index = 7 };
	netlink_begin(&request, RTM_NEWLINK, NLM_F_CREATE, &info, sizeof(info));
	netlink_put_text(&request, IFLA_IFNAME, "eth0"); /* 4 + 5, padded to 12 */
	size_t nest = netlink_nest(&request, IFLA_LINKINFO);
	netlink_put_u8(&request, 1, 9); /* 4 + 1, padded to 8 */
	netlink_nest_end(&request, nest);
	netlink_begin(&request, RTM_DELLINK, 0, &info, sizeof(info));
	assert_int_equal(request.error, 0);
	assert_int_equal(request.count, 2);

	const struct nlmsghdr *message = (void *)request.data.data;
	assert_int_equal(message->nlmsg_len, 16 + 16 + 12 + 12);
	assert_int_equal(message->nlmsg_flags, NLM_F_REQUEST | NLM_F_CREATE);
	const struct nlattr *table[IFLA_LINKINFO + 1], *inner[2];
	assert_int_equal(netlink_message_attributes(message, sizeof(info), table, IFLA_LINKINFO), 0);
	assert_string_equal(netlink_text(table[IFLA_IFNAME]), "eth0");
	assert_null(table[IFLA_MTU]);
	assert_int_equal(table[IFLA_LINKINFO]->nla_type, IFLA_LINKINFO | NLA_F_NESTED);
	assert_int_equal(netlink_attributes(netlink_data(table[IFLA_LINKINFO]), netlink_len(table[IFLA_LINKINFO]),
				 inner, 1),
		0);
	assert_int_equal(*(const uint8_t *)netlink_data(inner[1]), 9);
	assert_int_equal(netlink_u32(inner[1], 5), 5); /* too short for one */
	assert_int_equal(request.data.len, 16 + 16 + 12 + 12 + 32);
}

static void broken_attributes_are_refused(void **state)
{
	(void)state;
	const struct nlattr *table[2];
	struct nlattr attribute = { .nla_len = 3, .nla_type = 1 };
	assert_int_equal(netlink_attributes(&attribute, sizeof(attribute), table, 1), -EBADMSG);
	attribute.nla_len = 5;
	assert_int_equal(netlink_attributes(&attribute, sizeof(attribute), table, 1), -EBADMSG);
	attribute.nla_len = 4;
	assert_int_equal(netlink_attributes(&attribute, 3, table, 1), -EBADMSG);
	assert_int_equal(netlink_attributes(&attribute, 4, table, 1), 0);
	assert_null(netlink_text(table[1]));
	assert_int_equal(netlink_attributes(&attribute, 4, table, 0), 0);
}

static void too_much_is_an_error_that_stays(void **state)
{
	(void)state;
	_cleanup_(netlink_request_finish) struct netlink_request request = NETLINK_REQUEST;
	_cleanup_free_ char *big = calloc(1, UINT16_MAX);
	struct netlink nowhere = NETLINK_NONE;
	const struct ifinfomsg info = { 0 };
	netlink_begin(&request, RTM_NEWLINK, 0, &info, sizeof(info));
	netlink_put(&request, 1, big, UINT16_MAX - NLA_HDRLEN);
	assert_int_equal(request.error, 0);
	netlink_put(&request, 1, big, UINT16_MAX);
	netlink_put_u8(&request, 2, 1);
	assert_int_equal(request.error, -EMSGSIZE);
	assert_int_equal(netlink_transact(&nowhere, &request), -EMSGSIZE);
}

/* --- against the kernel --- */

#define STEP(condition) \
 do {                   \
  if (!(condition))     \
   return __LINE__;     \
 } while (0)

struct seen {
	int index;
	unsigned addresses;
	unsigned defaults;
};

static int see_address(int index, const struct inet_subnet *address, void *user)
{
	struct seen *seen = user;
	char text[INET_SUBNET_SIZE];
	inet_print_subnet(address, text);
	seen->addresses += index == seen->index &&
			   (strcmp(text, "10.9.0.2/24") == 0 || strcmp(text, "fd09::2/64") == 0);
	return 0;
}

static int see_route(const struct inet_subnet *to, const struct inet_address *gateway, int index, void *user)
{
	struct seen *seen = user;
	seen->defaults += index == seen->index && to->prefix == 0 && gateway != NULL;
	return 0;
}

static int put_addresses(struct netlink *netlink, int index)
{
	_cleanup_(netlink_request_finish) struct netlink_request request = NETLINK_REQUEST;
	struct inet_subnet subnets[2];
	struct inet_address gateways[2];
	inet_parse_subnet("10.9.0.2/24", &subnets[0]);
	inet_parse_subnet("fd09::2/64", &subnets[1]);
	inet_parse("10.9.0.1", &gateways[0]);
	inet_parse("fd09::1", &gateways[1]);
	for (int i = 0; i < 2; i++) {
		const struct inet_subnet all = { .address.is_v6 = i == 1 };
		link_put_address(&request, index, &subnets[i]);
		link_put_route(&request, index, &all, &gateways[i], 0);
	}
	return netlink_transact(netlink, &request);
}

static int make_pair(struct netlink *netlink, int netns_fd, int *ret_master)
{
	_cleanup_(netlink_request_finish) struct netlink_request request = NETLINK_REQUEST;
	const uint8_t mac[INET_MAC_BYTES] = { 2, 0x42, 10, 9, 0, 2 };
	const struct link_peer peer = { .name = "eth0", .netns_fd = netns_fd, .mac = mac };
	const struct link_new bridge = { .kind = "bridge", .name = "br9", .netns_fd = -1, .up = true };
	struct link_info info;
	link_put_new(&request, &bridge);
	int r = netlink_transact(netlink, &request);
	netlink_request_finish(&request);
	request = (struct netlink_request)NETLINK_REQUEST;
	if (r == 0)
		r = link_find(netlink, "br9", &info);
	if (r < 0)
		return r;
	const struct link_new veth = { .kind = "veth",
		.name = "ve9",
		.netns_fd = -1,
		.master = info.index,
		.mtu = 1400,
		.peer = &peer,
		.up = true };
	link_put_new(&request, &veth);
	*ret_master = info.index;
	return netlink_transact(netlink, &request);
}

static int isolate(struct netlink *netlink, int index)
{
	_cleanup_(netlink_request_finish) struct netlink_request request = NETLINK_REQUEST;
	link_put_isolated(&request, index, true);
	return netlink_transact(netlink, &request);
}

static int let_through(struct netlink *netlink, int index, unsigned segment)
{
	_cleanup_(netlink_request_finish) struct netlink_request request = NETLINK_REQUEST;
	link_put_segment(&request, index, segment);
	return netlink_transact(netlink, &request);
}

/* A line's number, or 0. */
static int links_in_namespaces(void)
{
	struct netlink outer = NETLINK_NONE, inner = NETLINK_NONE;
	struct link_info info;
	struct seen seen = { 0 };
	int master, home;
	STEP((home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC)) >= 0);
	STEP(unshare(CLONE_NEWNET) == 0);
	int netns_fd = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	STEP(netns_fd >= 0 && setns(home, CLONE_NEWNET) == 0);
	STEP(netlink_open(&outer, NETLINK_ROUTE) == 0);
	STEP(netlink_open_in(&inner, NETLINK_ROUTE, netns_fd) == 0);
	STEP(make_pair(&outer, netns_fd, &master) == 0);
	STEP(link_find(&outer, "ve9", &info) == 0);
	STEP(info.master == master && info.mtu == 1400 && (info.flags & IFF_UP) && strcmp(info.kind, "veth") == 0);
	STEP(isolate(&outer, info.index) == 0);
	bool can_be_large = info.segment > 0;
	STEP(let_through(&outer, info.index, 3 * 65536) == 0);
	STEP(link_find(&outer, "ve9", &info) == 0 && info.segment == (can_be_large ? 3 * 65536 : 0));
	STEP(link_find(&outer, "eth0", &info) == -ENODEV && link_find(&inner, "eth0", &info) == 0);

	_cleanup_(netlink_request_finish) struct netlink_request up = NETLINK_REQUEST;
	link_put_up(&up, info.index, true);
	STEP(netlink_transact(&inner, &up) == 0);
	STEP(put_addresses(&inner, info.index) == 0);
	STEP(put_addresses(&inner, info.index) == -EEXIST);
	seen.index = info.index;
	STEP(addresses_each(&inner, see_address, &seen) == 0 && seen.addresses == 2);
	STEP(routes_each(&inner, see_route, &seen) == 0 && seen.defaults == 2);

	_cleanup_(netlink_request_finish) struct netlink_request wrong = NETLINK_REQUEST;
	const struct link_new odd = { .kind = "macvlan", .name = "mv9", .netns_fd = -1 };
	link_put_new(&wrong, &odd);
	STEP(netlink_transact(&outer, &wrong) < 0);
	netlink_close(&inner);
	netlink_close(&outer);
	return 0;
}

static void links_are_made_in_namespaces(void **state)
{
	(void)state;
	int status;
	pid_t pid = fork();
	if (pid == 0) {
		if (unshare(CLONE_NEWNET) < 0)
			_exit(255);
		int line = links_in_namespaces();
		if (line)
			dprintf(STDERR_FILENO, "line %d\n", line);
		_exit(line ? 1 : 0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WEXITSTATUS(status) == 255)
		skip(); /* not root */
	assert_int_equal(status, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nests_and_padding_are_in_the_lengths),
		cmocka_unit_test(broken_attributes_are_refused),
		cmocka_unit_test(too_much_is_an_error_that_stays),
		cmocka_unit_test(links_are_made_in_namespaces),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
