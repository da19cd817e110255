/* In a network namespace of their own; what Debian's nft lists is what was meant. Without the rights for that they are skipped. */
#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>

#include "../unit.h"
#include "base/buf.h"
#include "sys/nft_change.h"
#include "sys/nftables.h"

#define LISTING_MAX (1024 * 1024)

static const struct nft_set set_address = { .name = "address", .key = { NFT_TYPE_IPV4 } };
static const struct nft_set set_short_lived = {
	.name = "short_lived",
	.flags = NFT_SET_TIMEOUT,
	.key = { NFT_TYPE_INTERFACE, NFT_TYPE_MARK },
};
static const struct nft_set set_subnet = { .name = "subnet", .flags = NFT_SET_INTERVAL, .key = { NFT_TYPE_IPV4 } };
static const struct nft_set map_port = {
	.name = "port",
	.key = { NFT_TYPE_PROTOCOL, NFT_TYPE_PORT },
	.data = { NFT_TYPE_IPV4, NFT_TYPE_PORT },
};
static const struct nft_set map_range = {
	.name = "range",
	.flags = NFT_SET_INTERVAL,
	.key = { NFT_TYPE_PROTOCOL, NFT_TYPE_IPV6, NFT_TYPE_PORT },
	.data = { NFT_TYPE_IPV6 },
};

static int setup(void **state)
{
	static struct netlink netlink;
	if (geteuid() != 0 || unshare(CLONE_NEWNET) < 0 || netlink_open(&netlink, NETLINK_NETFILTER) < 0)
		return 0;
	*state = &netlink;
	return 0;
}

static int teardown(void **state)
{
	if (*state)
		netlink_close(*state);
	return 0;
}

static struct netlink *netlink_of(void **state)
{
	if (!*state)
		skip();
	return *state;
}

static char *listing(void)
{
	struct buf out = BUF_INIT(LISTING_MAX);
	FILE *list = popen("nft -nn list ruleset", "r");
	assert_non_null(list);
	while (buf_read(&out, fileno(list), 4096) > 0)
		;
	assert_int_equal(pclose(list), 0);
	assert_int_equal(buf_puts(&out, ""), 0);
	return buf_take(&out);
}

static void commit(struct nft_batch *batch, struct netlink *netlink)
{
	int r = nft_batch_commit(batch, netlink);
	if (r < 0) {
		struct buf what = BUF_INIT(4096);
		nft_batch_describe(batch, netlink, r, &what);
		fail_msg("%s", what.data);
	}
	nft_batch_finish(batch);
}

static void describe(const struct nft_batch *batch, const struct netlink *netlink, int error, const char *want)
{
	_cleanup_(buf_finish) struct buf what = BUF_INIT(4096);
	nft_batch_describe(batch, netlink, error, &what);
	if (strncmp(what.data, want, strlen(want)) != 0)
		fail_msg("%s", what.data);
}

static void address(struct nft_value *value, const char *text)
{
	uint8_t bytes[16];
	bool is_v6 = strchr(text, ':');
	assert_int_equal(inet_pton(is_v6 ? AF_INET6 : AF_INET, text, bytes), 1);
	nft_value_add(value, is_v6 ? NFT_TYPE_IPV6 : NFT_TYPE_IPV4, bytes);
}

static void protocol(struct nft_value *value, uint8_t number)
{
	nft_value_add(value, NFT_TYPE_PROTOCOL, &number);
}

static void drop_table(struct netlink *netlink)
{
	struct nft_batch batch;
	nft_batch_begin(&batch, NFPROTO_INET, "unit");
	nft_put_table_delete(&batch);
	commit(&batch, netlink);
}

static void sets_are_listed_as_meant(void **state)
{
	struct netlink *netlink = netlink_of(state);
	const uint32_t mark = 7;
	struct nft_element one = { .comment = "first" }, brief = { .timeout_ms = 3600000 }, subnets[2] = { 0 };
	struct nft_element port = { 0 }, range = { .comment = "of web" };
	address(&one.key, "10.1.2.3");
	nft_value_add(&brief.key, NFT_TYPE_INTERFACE, "br-0123456789ab");
	nft_value_add(&brief.key, NFT_TYPE_MARK, &mark);
	address(&subnets[0].key, "10.1.0.0");
	address(&subnets[0].last, "10.1.255.255");
	address(&subnets[1].key, "255.255.255.0");
	address(&subnets[1].last, "255.255.255.255"); /* nothing lies behind it */
	protocol(&port.key, IPPROTO_TCP);
	nft_value_add_port(&port.key, 8080);
	address(&port.data, "172.17.0.2");
	nft_value_add_port(&port.data, 80);
	protocol(&range.key, IPPROTO_UDP);
	address(&range.key, "::");
	nft_value_add_port(&range.key, 1000);
	protocol(&range.last, IPPROTO_UDP);
	address(&range.last, "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff");
	nft_value_add_port(&range.last, 1999);
	address(&range.data, "fd00::2");

	struct nft_batch batch;
	nft_batch_begin(&batch, NFPROTO_INET, "unit");
	nft_put_table(&batch);
	const struct nft_set *sets[] = { &set_address, &set_short_lived, &set_subnet, &map_port, &map_range };
	for (size_t i = 0; i < ARRAY_SIZE(sets); i++)
		nft_put_set(&batch, sets[i]);
	nft_put_elements(&batch, &set_address, &one, 1);
	nft_put_elements(&batch, &set_short_lived, &brief, 1);
	nft_put_elements(&batch, &set_subnet, subnets, 2);
	nft_put_elements(&batch, &map_port, &port, 1);
	nft_put_elements(&batch, &map_range, &range, 1);
	commit(&batch, netlink);
	_cleanup_free_ char *text = listing();
	const char *want[] = {
		"set address {\n\t\ttype ipv4_addr\n\t\telements = { 10.1.2.3 comment \"first\" }",
		"set short_lived {\n\t\ttype ifname . mark\n",
		"\"br-0123456789ab\" . 0x00000007 timeout 3600s expires 3",
		"set subnet {\n\t\ttype ipv4_addr\n\t\tflags interval\n\t\telements = { 10.1.0.0/16, 255.255.255.0/24 }",
		"map port {\n\t\ttype inet_proto . inet_service : ipv4_addr . inet_service\n"
		"\t\telements = { 6 . 8080 : 172.17.0.2 . 80 }",
		"map range {\n\t\ttype inet_proto . ipv6_addr . inet_service : ipv6_addr\n\t\tflags interval\n"
		"\t\telements = { 17 . ::/0 . 1000-1999 comment \"of web\" : fd00::2 }",
	};
	for (size_t i = 0; i < ARRAY_SIZE(want); i++) {
		if (!strstr(text, want[i]))
			fail_msg("no %s\nin %s", want[i], text);
	}
	drop_table(netlink);
}

/* Each kind of expression once. */
static void rules_are_listed_as_meant(void **state)
{
	struct netlink *netlink = netlink_of(state);
	const uint32_t established = 1 << 1 | 1 << 2, zero = 0, local = 2;
	const uint8_t v4 = NFPROTO_IPV4, tcp = IPPROTO_TCP;
	const struct in_addr to = { htonl(0x0a000001) };
	struct nft_batch batch;
	nft_batch_begin(&batch, NFPROTO_INET, "unit");
	nft_put_table(&batch);
	nft_put_set(&batch, &set_address);
	nft_put_set(&batch, &map_port);
	const struct nft_chain chains[] = {
		{ "forward", "filter", NF_INET_FORWARD, -5, NF_DROP },
		{ "before", "nat", NF_INET_PRE_ROUTING, -100, NF_ACCEPT },
		{ "after", "nat", NF_INET_POST_ROUTING, 100, NF_ACCEPT },
		{ .name = "plain" },
	};
	for (size_t i = 0; i < ARRAY_SIZE(chains); i++)
		nft_put_chain(&batch, &chains[i]);

	nft_rule_begin(&batch, "forward");
	nft_load_ct(&batch, NFT_CT_STATE, 0);
	nft_mask(&batch, 0, &established, sizeof(established));
	nft_compare(&batch, 0, NFT_CMP_NEQ, &zero, sizeof(zero));
	nft_counter(&batch);
	nft_verdict(&batch, NF_ACCEPT, NULL);
	nft_rule_end(&batch, "answers");
	nft_rule_begin(&batch, "forward");
	nft_load_meta(&batch, NFT_META_NFPROTO, 0);
	nft_compare(&batch, 0, NFT_CMP_EQ, &v4, sizeof(v4));
	nft_load_payload(&batch, NFT_PAYLOAD_NETWORK_HEADER, 12, 4, 0);
	nft_lookup(&batch, 0, "address", false);
	nft_verdict(&batch, NFT_JUMP, "plain");
	nft_rule_end(&batch, NULL);
	nft_rule_begin(&batch, "before");
	nft_load_fib_daddr_type(&batch, 0);
	nft_compare(&batch, 0, NFT_CMP_EQ, &local, sizeof(local));
	nft_load_meta(&batch, NFT_META_L4PROTO, 0);
	nft_load_payload(&batch, NFT_PAYLOAD_TRANSPORT_HEADER, 2, 2, 1);
	nft_lookup_map(&batch, 0, "port", 0);
	nft_nat(&batch, NFT_NAT_DNAT, NFPROTO_IPV4, 0, 1);
	nft_rule_end(&batch, NULL);
	nft_rule_begin(&batch, "before");
	nft_load_meta(&batch, NFT_META_L4PROTO, 0);
	nft_compare(&batch, 0, NFT_CMP_EQ, &tcp, sizeof(tcp));
	nft_load_immediate(&batch, 0, &to, sizeof(to));
	nft_nat(&batch, NFT_NAT_DNAT, NFPROTO_IPV4, 0, NFT_SLOT_NONE);
	nft_rule_end(&batch, NULL);
	nft_rule_begin(&batch, "after");
	nft_masquerade(&batch);
	nft_rule_end(&batch, NULL);
	commit(&batch, netlink);
	_cleanup_free_ char *text = listing();
	const char *want[] = {
		"type filter hook forward priority -5; policy drop;",
		"ct state 0x2,0x4 counter packets 0 bytes 0 accept comment \"answers\"",
		"ip saddr != @address jump plain",
		"type nat hook prerouting priority -100; policy accept;",
		"fib daddr type 2 dnat ip to meta l4proto . th dport map @port",
		"meta l4proto 6 dnat ip to 10.0.0.1",
		"masquerade",
		"chain plain {\n\t}",
	};
	for (size_t i = 0; i < ARRAY_SIZE(want); i++) {
		if (!strstr(text, want[i]))
			fail_msg("no %s\nin %s", want[i], text);
	}

	nft_batch_begin(&batch, NFPROTO_INET, "unit");
	nft_put_flush(&batch, NULL);
	commit(&batch, netlink);
	_cleanup_free_ char *empty = listing();
	assert_null(strstr(empty, "masquerade"));
	assert_non_null(strstr(empty, "chain plain"));
	drop_table(netlink);
}

static void many_ports(struct nft_element *ports, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		ports[i] = (struct nft_element){ .comment = "0123456789abcdef0123456789abcdef" };
		protocol(&ports[i].key, IPPROTO_TCP);
		nft_value_add_port(&ports[i].key, (uint16_t)(1 + i));
		address(&ports[i].data, "172.17.0.2");
		nft_value_add_port(&ports[i].data, (uint16_t)i);
	}
}

static int count_element(const struct nft_element *element, void *user)
{
	size_t *count = user;
	assert_int_equal(element->key.len, 8);
	assert_int_equal(element->data.len, 8);
	assert_int_equal(element->key.bytes[0], IPPROTO_TCP);
	assert_memory_equal(element->data.bytes, "\xac\x11\0\2", 4);
	assert_string_equal(element->comment, "0123456789abcdef0123456789abcdef");
	(*count)++;
	return 0;
}

/* Far more than one message holds, in one transaction. */
static void elements_come_and_go_whole(void **state)
{
	enum { COUNT = 3000 };
	struct netlink *netlink = netlink_of(state);
	struct nft_element *ports = calloc(COUNT, sizeof(*ports));
	many_ports(ports, COUNT);
	struct nft_batch batch;
	nft_batch_begin(&batch, NFPROTO_INET, "unit");
	nft_put_table(&batch);
	nft_put_set(&batch, &map_port);
	nft_put_elements(&batch, &map_port, ports, COUNT);
	commit(&batch, netlink);
	size_t count = 0;
	assert_int_equal(nft_elements_each(netlink, NFPROTO_INET, "unit", "port", count_element, &count), 0);
	assert_int_equal(count, COUNT);
	const struct nft_element known = { .key = ports[COUNT / 2].key };
	struct nft_element unknown = known;
	unknown.key.bytes[0] = IPPROTO_UDP;
	assert_int_equal(nft_has_element(netlink, NFPROTO_INET, "unit", &map_port, &known), 0);
	assert_int_equal(nft_has_element(netlink, NFPROTO_INET, "unit", &map_port, &unknown), -ENOENT);
	assert_int_equal(nft_has_element(netlink, NFPROTO_INET, "none", &map_port, &known), -ENOENT);

	/* Again changes nothing; with other data it fails, and nothing of the batch remains. */
	nft_batch_begin(&batch, NFPROTO_INET, "unit");
	nft_put_elements(&batch, &map_port, ports, COUNT);
	commit(&batch, netlink);
	struct nft_element other = ports[COUNT - 1];
	other.data = ports[0].data;
	nft_batch_begin(&batch, NFPROTO_INET, "unit");
	nft_put_elements_delete(&batch, &map_port, ports, COUNT - 1);
	nft_put_elements(&batch, &map_port, &other, 1);
	int r = nft_batch_commit(&batch, netlink);
	assert_int_equal(r, -EEXIST);
	describe(&batch, netlink, r, "set port of table unit: new elements: File exists");
	nft_batch_finish(&batch);
	count = 0;
	assert_int_equal(nft_elements_each(netlink, NFPROTO_INET, "unit", "port", count_element, &count), 0);
	assert_int_equal(count, COUNT);

	/* Put and deleted in one batch: gone, whether they were there or not. */
	for (int i = 0; i < 2; i++) {
		nft_batch_begin(&batch, NFPROTO_INET, "unit");
		nft_put_elements(&batch, &map_port, ports, COUNT);
		nft_put_elements_delete(&batch, &map_port, ports, COUNT);
		commit(&batch, netlink);
		count = 0;
		assert_int_equal(nft_elements_each(netlink, NFPROTO_INET, "unit", "port", count_element, &count), 0);
		assert_int_equal(count, 0);
	}
	free(ports);
	drop_table(netlink);
}

struct told {
	int put, deleted;
};

static void count_change(const struct nft_change *change, void *user)
{
	struct told *told = user;
	told->put += change->type == NFT_MSG_NEWSETELEM;
	told->deleted += change->type == NFT_MSG_DELSETELEM;
}

/* Each digit stands for a hundred ports. */
static void change_ranges(struct netlink *netlink, const char *before, const char *after, int put, int deleted)
{
	struct nft_elements lists[2] = { 0 };
	const char *const firsts[] = { before, after };
	struct netlink watch;
	struct told told = { 0 };
	for (int i = 0; i < 2; i++) {
		for (const char *first = firsts[i]; *first; first++) {
			struct nft_element element = { 0 };
			uint16_t port = (uint16_t)((*first - '0') * 100);
			protocol(&element.key, IPPROTO_TCP);
			address(&element.key, "fd00::1");
			element.last = element.key;
			nft_value_add_port(&element.key, port);
			nft_value_add_port(&element.last, (uint16_t)(port + 99));
			address(&element.data, "fd00::2");
			nft_elements_add(&lists[i], NFPROTO_INET, &map_range, &element);
		}
	}
	struct nft_batch batch;
	nft_batch_begin(&batch, NFPROTO_INET, "unit");
	assert_int_equal(nft_watch_open(&watch), 0);
	assert_int_equal(nft_put_changed(&batch, &lists[0], &lists[1]), 0);
	commit(&batch, netlink);
	assert_int_equal(nft_watch_read(&watch, count_change, &told), 0);
	assert_int_equal(told.put, put);
	assert_int_equal(told.deleted, deleted);
	netlink_close(&watch);
	nft_elements_finish(&lists[0]);
	nft_elements_finish(&lists[1]);
}

static void what_stays_is_not_touched(void **state)
{
	struct netlink *netlink = netlink_of(state);
	struct nft_batch batch;
	nft_batch_begin(&batch, NFPROTO_INET, "unit");
	nft_put_table(&batch);
	nft_put_set(&batch, &map_range);
	commit(&batch, netlink);
	change_ranges(netlink, "", "123", 3, 0);
	change_ranges(netlink, "123", "342", 1, 1);
	change_ranges(netlink, "234", "234", 0, 0);
	change_ranges(netlink, "234", "", 0, 3);
	change_ranges(netlink, "5", "6", 2, 1); /* 5 was not there */
	drop_table(netlink);
}

static void failures_name_their_object(void **state)
{
	struct netlink *netlink = netlink_of(state);
	struct nft_element ports[1];
	struct nft_batch batch;
	many_ports(ports, 1);
	assert_int_equal(nft_table_exists(netlink, NFPROTO_INET, "unit"), -ENOENT);

	nft_batch_begin(&batch, NFPROTO_INET, "unit");
	nft_put_elements(&batch, &map_port, ports, 1);
	int r = nft_batch_commit(&batch, netlink);
	assert_int_equal(r, -ENOENT);
	describe(&batch, netlink, r, "set port of table unit: new elements: No such file or directory");
	nft_batch_finish(&batch);

	nft_batch_begin(&batch, NFPROTO_INET, "unit");
	nft_put_table(&batch);
	nft_put_chain(&batch, &(struct nft_chain){ .name = "plain" });
	nft_rule_begin(&batch, "plain");
	nft_verdict(&batch, NFT_JUMP, "nowhere");
	nft_rule_end(&batch, NULL);
	r = nft_batch_commit(&batch, netlink);
	assert_int_equal(r, -ENOENT);
	describe(&batch, netlink, r, "chain plain of table unit: new rule: No such file or directory");
	nft_batch_finish(&batch);
	assert_int_equal(nft_table_exists(netlink, NFPROTO_INET, "unit"), -ENOENT);

	/* A new one is refused where there is one, unless the same batch takes that away. */
	for (int i = 0; i < 3; i++) {
		nft_batch_begin(&batch, NFPROTO_INET, "unit");
		if (i == 2)
			nft_put_table_delete(&batch);
		nft_put_new_table(&batch);
		assert_int_equal(nft_batch_commit(&batch, netlink), i == 1 ? -EEXIST : 0);
		nft_batch_finish(&batch);
	}
	drop_table(netlink);

	nft_batch_begin(&batch, NFPROTO_INET, "unit");
	nft_put_table_delete(&batch);
	r = nft_batch_commit(&batch, netlink);
	describe(&batch, netlink, r, "table unit: delete: No such file or directory");
	nft_batch_finish(&batch);

	/* What is over the ceiling is not sent at all. */
	nft_batch_begin(&batch, NFPROTO_INET, "unit");
	for (int i = 0; i < 100000; i++)
		nft_put_elements(&batch, &map_port, ports, 1);
	assert_int_equal(nft_batch_commit(&batch, netlink), -EFBIG);
	nft_batch_finish(&batch);
}

struct seen {
	bool deleted;
	bool by_us;
};

static void note_change(const struct nft_change *change, void *user)
{
	struct seen *seen = user;
	if (change->type == NFT_MSG_DELTABLE && strcmp(change->table, "unit") == 0)
		seen->deleted = true;
	else if (change->type == NFT_MSG_NEWGEN && seen->deleted)
		seen->by_us = change->process && strcmp(change->process, "nft") != 0;
}

static int find_chain(const struct nft_chain_info *chain, void *user)
{
	bool *found = user;
	if (chain->family == NFPROTO_INET && strcmp(chain->table, "unit") == 0 && strcmp(chain->name, "foreign") == 0) {
		assert_string_equal(chain->type, "filter");
		assert_int_equal(chain->hook, NF_INET_FORWARD);
		assert_int_equal(chain->priority, -7);
		assert_int_equal(chain->policy, NF_DROP);
		*found = true;
	}
	return 0;
}

static void what_others_do_is_seen(void **state)
{
	struct netlink *netlink = netlink_of(state), watch;
	struct seen seen = { 0 };
	uint32_t before, after;
	bool found = false;
	assert_int_equal(nft_watch_open(&watch), 0);
	assert_int_equal(nft_generation(netlink, &before), 0);
	assert_int_equal(system("nft 'add table inet unit; add chain inet unit foreign "
				"{ type filter hook forward priority -7; policy drop; }'"),
		0);
	assert_int_equal(nft_generation(netlink, &after), 0);
	assert_int_not_equal(before, after);
	assert_int_equal(nft_chains_each(netlink, find_chain, &found), 0);
	assert_true(found);
	assert_int_equal(nft_watch_read(&watch, note_change, &seen), 0);
	assert_false(seen.deleted);
	assert_int_equal(system("nft flush ruleset"), 0);
	assert_int_equal(poll(&(struct pollfd){ watch.fd, POLLIN, 0 }, 1, 5000), 1);
	assert_int_equal(nft_watch_read(&watch, note_change, &seen), 0);
	assert_true(seen.deleted);
	assert_false(seen.by_us);
	netlink_close(&watch);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sets_are_listed_as_meant),
		cmocka_unit_test(rules_are_listed_as_meant),
		cmocka_unit_test(elements_come_and_go_whole),
		cmocka_unit_test(what_stays_is_not_touched),
		cmocka_unit_test(failures_name_their_object),
		cmocka_unit_test(what_others_do_is_seen),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
