#include "network/table.h"

#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter_ipv4.h>
#include <linux/rtnetlink.h>
#include <linux/udp.h>

#include "network/lacking.h"
#include "network/published.h"
#include "sys/nft_change.h"

#define EXEC_ROOT_USUAL "/run/tare"
#define FAILURE_MAX     4096

/* --- its sets and maps --- */

enum set_id {
	SET_BRIDGE,      /* of our networks */
	SET_GUARDED,     /* those with nobody but containers on them */
	SET_INTERNAL,    /* no way in or out */
	SET_ISOLATED,    /* no talk within */
	SET_WITHIN,      /* each bridge with itself */
	SET_SOURCE4,     /* what may come from a bridge */
	SET_SOURCE6,     /* */
	SET_MASQUERADE4, /* subnets that have the host's address outside */
	SET_MASQUERADE6, /* */
	SET_ASIDE4,      /* a bridge, and a container's address elsewhere that would answer to that bridge directly */
	SET_ASIDE6,      /* */
	MAP_PORT4,       /* of all the host's addresses */
	MAP_PORT6,
	MAP_HOST_PORT4, /* of one */
	MAP_HOST_PORT6,
	MAP_RANGE4, /* many, and the container's are the same */
	MAP_RANGE6,
	SET_SPLICED4, /* of all addresses, that a process of the host's serves */
	SET_SPLICED6,
	SET_HOST_SPLICED4, /* of one */
	SET_HOST_SPLICED6,
	SET_COUNT,
};

#define BY_NETWORK_FIRST   SET_BRIDGE
#define BY_NETWORK_LAST    SET_MASQUERADE6
#define BY_CONTAINER_FIRST SET_ASIDE4 /* and what a container adds to the sources of its network */

static const struct nft_set sets[SET_COUNT] = {
	[SET_BRIDGE] = { "bridges", 0, { NFT_TYPE_INTERFACE } },
	[SET_GUARDED] = { "guarded", 0, { NFT_TYPE_INTERFACE } },
	[SET_INTERNAL] = { "internal", 0, { NFT_TYPE_INTERFACE } },
	[SET_ISOLATED] = { "isolated", 0, { NFT_TYPE_INTERFACE } },
	[SET_WITHIN] = { "within", 0, { NFT_TYPE_INTERFACE, NFT_TYPE_INTERFACE } },
	[SET_SOURCE4] = { "source4", NFT_SET_INTERVAL, { NFT_TYPE_INTERFACE, NFT_TYPE_IPV4 } },
	[SET_SOURCE6] = { "source6", NFT_SET_INTERVAL, { NFT_TYPE_INTERFACE, NFT_TYPE_IPV6 } },
	[SET_MASQUERADE4] = { "masquerade4", NFT_SET_INTERVAL, { NFT_TYPE_IPV4 } },
	[SET_MASQUERADE6] = { "masquerade6", NFT_SET_INTERVAL, { NFT_TYPE_IPV6 } },
	[SET_ASIDE4] = { "aside4", 0, { NFT_TYPE_INTERFACE, NFT_TYPE_IPV4 } },
	[SET_ASIDE6] = { "aside6", 0, { NFT_TYPE_INTERFACE, NFT_TYPE_IPV6 } },
	[MAP_PORT4] = { "port4", 0, { NFT_TYPE_PROTOCOL, NFT_TYPE_PORT }, { NFT_TYPE_IPV4, NFT_TYPE_PORT } },
	[MAP_PORT6] = { "port6", 0, { NFT_TYPE_PROTOCOL, NFT_TYPE_PORT }, { NFT_TYPE_IPV6, NFT_TYPE_PORT } },
	[MAP_HOST_PORT4] = { "host_port4", 0, { NFT_TYPE_PROTOCOL, NFT_TYPE_IPV4, NFT_TYPE_PORT },
		{ NFT_TYPE_IPV4, NFT_TYPE_PORT } },
	[MAP_HOST_PORT6] = { "host_port6", 0, { NFT_TYPE_PROTOCOL, NFT_TYPE_IPV6, NFT_TYPE_PORT },
		{ NFT_TYPE_IPV6, NFT_TYPE_PORT } },
	[MAP_RANGE4] = { "range4", NFT_SET_INTERVAL, { NFT_TYPE_PROTOCOL, NFT_TYPE_IPV4, NFT_TYPE_PORT },
		{ NFT_TYPE_IPV4 } },
	[MAP_RANGE6] = { "range6", NFT_SET_INTERVAL, { NFT_TYPE_PROTOCOL, NFT_TYPE_IPV6, NFT_TYPE_PORT },
		{ NFT_TYPE_IPV6 } },
	[SET_SPLICED4] = { "spliced4", 0, { NFT_TYPE_PROTOCOL, NFT_TYPE_PORT } },
	[SET_SPLICED6] = { "spliced6", 0, { NFT_TYPE_PROTOCOL, NFT_TYPE_PORT } },
	[SET_HOST_SPLICED4] = { "host_spliced4", 0, { NFT_TYPE_PROTOCOL, NFT_TYPE_IPV4, NFT_TYPE_PORT } },
	[SET_HOST_SPLICED6] = { "host_spliced6", 0, { NFT_TYPE_PROTOCOL, NFT_TYPE_IPV6, NFT_TYPE_PORT } },
};

/* What is different between the two families. */
struct family {
	uint8_t number;
	enum nft_type type;
	uint32_t source, destination; /* in its header */
	uint32_t size;
	enum set_id sources, masquerade, aside, port, host_port, range, spliced, host_spliced;
};

static const struct family families[] = {
	{ NFPROTO_IPV4, NFT_TYPE_IPV4, offsetof(struct iphdr, saddr), offsetof(struct iphdr, daddr), 4, SET_SOURCE4,
		SET_MASQUERADE4, SET_ASIDE4, MAP_PORT4, MAP_HOST_PORT4, MAP_RANGE4, SET_SPLICED4, SET_HOST_SPLICED4 },
	{ NFPROTO_IPV6, NFT_TYPE_IPV6, offsetof(struct ipv6hdr, saddr), offsetof(struct ipv6hdr, daddr), 16,
		SET_SOURCE6, SET_MASQUERADE6, SET_ASIDE6, MAP_PORT6, MAP_HOST_PORT6, MAP_RANGE6, SET_SPLICED6,
		SET_HOST_SPLICED6 },
};
static const struct family *const v4 = &families[0], *const v6 = &families[1];

static const struct family *family_of(const struct inet_address *address)
{
	return address->is_v6 ? v6 : v4;
}

/* --- its chains --- */

/* Slots of an interface's name are these four; an address behind it comes next. */
#define SLOT_AFTER_INTERFACE 4

static void match_family(struct nft_batch *batch, const struct family *family)
{
	nft_load_meta(batch, NFT_META_NFPROTO, 0);
	nft_compare(batch, 0, NFT_CMP_EQ, &family->number, sizeof(family->number));
}

static void match_interface(struct nft_batch *batch, enum nft_meta_keys key, enum set_id set, bool is_in)
{
	nft_load_meta(batch, key, 0);
	nft_lookup(batch, 0, sets[set].name, is_in);
}

static void match_within(struct nft_batch *batch)
{
	nft_load_meta(batch, NFT_META_IIFNAME, 0);
	nft_load_meta(batch, NFT_META_OIFNAME, SLOT_AFTER_INTERFACE);
	nft_lookup(batch, 0, sets[SET_WITHIN].name, true);
}

/* Any of the bits. */
static void match_ct(struct nft_batch *batch, enum nft_ct_keys key, uint32_t bits)
{
	const uint32_t none = 0;
	nft_load_ct(batch, key, 0);
	nft_mask(batch, 0, &bits, sizeof(bits));
	nft_compare(batch, 0, NFT_CMP_NEQ, &none, sizeof(none));
}

static void load_address(struct nft_batch *batch, const struct family *family, uint32_t offset, uint8_t slot)
{
	nft_load_payload(batch, NFT_PAYLOAD_NETWORK_HEADER, offset, family->size, slot);
}

static void match_address(struct nft_batch *batch, const struct family *family, uint32_t offset, enum set_id set)
{
	match_family(batch, family);
	load_address(batch, family, offset, 0);
	nft_lookup(batch, 0, sets[set].name, true);
}

/* 127.0.0.0/8 */
static void match_loopback(struct nft_batch *batch, uint32_t offset)
{
	const uint8_t net = 127;
	match_family(batch, v4);
	nft_load_payload(batch, NFT_PAYLOAD_NETWORK_HEADER, offset, sizeof(net), 0);
	nft_compare(batch, 0, NFT_CMP_EQ, &net, sizeof(net));
}

static void match_from_wire(struct nft_batch *batch)
{
	const char name[] = "lo";
	nft_load_meta(batch, NFT_META_IIFNAME, 0);
	nft_compare(batch, 0, NFT_CMP_NEQ, name, sizeof(name));
}

/* The key of host_port and range: protocol, the host's address, port. */
static uint8_t load_host_port(struct nft_batch *batch, const struct family *family)
{
	const uint8_t port = (uint8_t)(1 + family->size / 4);
	nft_load_meta(batch, NFT_META_L4PROTO, 0);
	load_address(batch, family, family->destination, 1);
	nft_load_payload(batch, NFT_PAYLOAD_TRANSPORT_HEADER, offsetof(struct udphdr, dest), 2, port);
	return port;
}

static void load_port(struct nft_batch *batch)
{
	nft_load_meta(batch, NFT_META_L4PROTO, 0);
	nft_load_payload(batch, NFT_PAYLOAD_TRANSPORT_HEADER, offsetof(struct udphdr, dest), 2, 1);
}

static void end(struct nft_batch *batch, int verdict, const char *to, const char *comment)
{
	nft_verdict(batch, verdict, to);
	nft_rule_end(batch, comment);
}

/* What is spliced never comes to the chain that drops what leaves an internal network. */
static void guard_spliced(struct nft_batch *batch, const struct family *family)
{
	for (int of_one = 0; of_one < 2; of_one++) {
		nft_rule_begin(batch, "from_internal");
		match_family(batch, family);
		if (of_one)
			load_host_port(batch, family);
		else
			load_port(batch);
		nft_lookup(batch, 0, sets[of_one ? family->host_spliced : family->spliced].name, true);
		end(batch, NF_DROP, NULL, "published, to an internal network");
	}
}

static void guard(struct nft_batch *batch)
{
	const struct nft_chain chain = { "guard", "filter", NF_INET_PRE_ROUTING, NF_IP_PRI_RAW, NF_ACCEPT };
	nft_put_chain(batch, &chain);
	nft_put_chain(batch, &(struct nft_chain){ .name = "source" });
	nft_put_chain(batch, &(struct nft_chain){ .name = "from_internal" });
	nft_put_flush(batch, "guard");
	nft_put_flush(batch, "source");
	nft_put_flush(batch, "from_internal");

	nft_rule_begin(batch, "guard");
	match_interface(batch, NFT_META_IIFNAME, SET_INTERNAL, true);
	end(batch, NFT_JUMP, "from_internal", NULL);
	for (size_t i = 0; i < ARRAY_SIZE(families); i++)
		guard_spliced(batch, &families[i]);
	nft_rule_begin(batch, "guard");
	match_interface(batch, NFT_META_IIFNAME, SET_GUARDED, true);
	end(batch, NFT_GOTO, "source", NULL);
	const enum set_id on_loopback[] = { MAP_HOST_PORT4, MAP_RANGE4 };
	for (size_t i = 0; i < ARRAY_SIZE(on_loopback); i++) {
		nft_rule_begin(batch, "guard");
		match_loopback(batch, v4->destination);
		match_from_wire(batch);
		load_host_port(batch, v4);
		nft_lookup_map(batch, 0, sets[on_loopback[i]].name, 8); /* what it says is of no interest */
		end(batch, NF_DROP, NULL, "published on 127.0.0.1 only");
	}

	nft_rule_begin(batch, "guard");
	match_loopback(batch, v4->destination);
	match_from_wire(batch);
	load_host_port(batch, v4);
	nft_lookup(batch, 0, sets[v4->host_spliced].name, true);
	end(batch, NF_DROP, NULL, "published on 127.0.0.1 only");

	nft_rule_begin(batch, "source");
	match_loopback(batch, v4->destination);
	end(batch, NF_DROP, NULL, NULL);
	for (size_t i = 0; i < ARRAY_SIZE(families); i++) {
		nft_rule_begin(batch, "source");
		match_family(batch, &families[i]);
		nft_load_meta(batch, NFT_META_IIFNAME, 0);
		load_address(batch, &families[i], families[i].source, SLOT_AFTER_INTERFACE);
		nft_lookup(batch, 0, sets[families[i].sources].name, true);
		end(batch, NF_ACCEPT, NULL, NULL);
	}
	nft_rule_begin(batch, "source");
	nft_counter(batch);
	end(batch, NF_DROP, NULL, "not an address of its network");
}

static void to_publish(struct nft_batch *batch, const char *chain)
{
	const uint32_t local = RTN_LOCAL;
	nft_rule_begin(batch, chain);
	nft_load_fib_daddr_type(batch, 0);
	nft_compare(batch, 0, NFT_CMP_EQ, &local, sizeof(local));
	end(batch, NFT_JUMP, "publish", NULL);
}

static void publish_family(struct nft_batch *batch, const struct family *family)
{
	nft_rule_begin(batch, "publish");
	match_family(batch, family);
	load_host_port(batch, family);
	nft_lookup_map(batch, 0, sets[family->host_port].name, 0);
	nft_nat(batch, NFT_NAT_DNAT, family->number, 0, (uint8_t)(family->size / 4));
	nft_rule_end(batch, NULL);

	nft_rule_begin(batch, "publish");
	match_family(batch, family);
	load_port(batch);
	nft_lookup_map(batch, 0, sets[family->port].name, 0);
	nft_nat(batch, NFT_NAT_DNAT, family->number, 0, (uint8_t)(family->size / 4));
	nft_rule_end(batch, NULL);

	nft_rule_begin(batch, "publish");
	match_family(batch, family);
	load_host_port(batch, family);
	nft_lookup_map(batch, 0, sets[family->range].name, 0);
	nft_nat(batch, NFT_NAT_DNAT, family->number, 0, NFT_SLOT_NONE);
	nft_rule_end(batch, NULL);
}

static void publish(struct nft_batch *batch)
{
	const struct nft_chain chains[] = {
		{ "prerouting", "nat", NF_INET_PRE_ROUTING, NF_IP_PRI_NAT_DST, NF_ACCEPT },
		{ "output", "nat", NF_INET_LOCAL_OUT, NF_IP_PRI_NAT_DST, NF_ACCEPT },
		{ .name = "publish" },
	};
	for (size_t i = 0; i < ARRAY_SIZE(chains); i++) {
		nft_put_chain(batch, &chains[i]);
		nft_put_flush(batch, chains[i].name);
	}
	to_publish(batch, "prerouting");
	to_publish(batch, "output");

	const uint8_t loopback[16] = { [15] = 1 }, link_local[2] = { 0xfe, 0x80 }, link_mask[2] = { 0xff, 0xc0 };
	/* What comes from there can't leave the host or the link: it is spliced (network/splice.h). */
	nft_rule_begin(batch, "publish");
	match_family(batch, v6);
	load_address(batch, v6, v6->destination, 0);
	nft_compare(batch, 0, NFT_CMP_EQ, loopback, sizeof(loopback));
	end(batch, NFT_RETURN, NULL, NULL);
	nft_rule_begin(batch, "publish");
	match_family(batch, v6);
	nft_load_payload(batch, NFT_PAYLOAD_NETWORK_HEADER, v6->destination, sizeof(link_local), 0);
	nft_mask(batch, 0, link_mask, sizeof(link_mask));
	nft_compare(batch, 0, NFT_CMP_EQ, link_local, sizeof(link_local));
	end(batch, NFT_RETURN, NULL, NULL);
	publish_family(batch, v4);
	publish_family(batch, v6);
}

static void after(struct nft_batch *batch)
{
	const struct nft_chain chain = { "after", "nat", NF_INET_POST_ROUTING, NF_IP_PRI_NAT_SRC, NF_ACCEPT };
	nft_put_chain(batch, &chain);
	nft_put_chain(batch, &(struct nft_chain){ .name = "inward" });
	nft_put_flush(batch, "after");
	nft_put_flush(batch, "inward");

	nft_rule_begin(batch, "after");
	match_interface(batch, NFT_META_OIFNAME, SET_BRIDGE, true);
	end(batch, NFT_GOTO, "inward", NULL);
	for (size_t i = 0; i < ARRAY_SIZE(families); i++) {
		nft_rule_begin(batch, "after");
		match_address(batch, &families[i], families[i].source, families[i].masquerade);
		nft_masquerade(batch);
		nft_rule_end(batch, NULL);
	}

	nft_rule_begin(batch, "inward");
	match_loopback(batch, v4->source);
	nft_masquerade(batch);
	nft_rule_end(batch, "from the host's 127.0.0.1");
	for (size_t i = 0; i < ARRAY_SIZE(families); i++) {
		nft_rule_begin(batch, "inward");
		match_ct(batch, NFT_CT_STATUS, IPS_DST_NAT);
		match_family(batch, &families[i]);
		nft_load_meta(batch, NFT_META_OIFNAME, 0);
		load_address(batch, &families[i], families[i].source, SLOT_AFTER_INTERFACE);
		nft_lookup(batch, 0, sets[families[i].sources].name, true);
		nft_masquerade(batch);
		nft_rule_end(batch, "by way of the host to its own network");
		nft_rule_begin(batch, "inward");
		match_family(batch, &families[i]);
		nft_load_meta(batch, NFT_META_IIFNAME, 0);
		load_address(batch, &families[i], families[i].destination, SLOT_AFTER_INTERFACE);
		nft_lookup(batch, 0, sets[families[i].aside].name, true);
		nft_masquerade(batch);
		nft_rule_end(batch, NULL);
	}
}

static void forward(struct nft_batch *batch)
{
	const struct nft_chain chain = { "forward", "filter", NF_INET_FORWARD, NF_IP_PRI_FILTER, NF_ACCEPT };
	nft_put_chain(batch, &chain);
	nft_put_chain(batch, &(struct nft_chain){ .name = "to_containers" });
	nft_put_flush(batch, "forward");
	nft_put_flush(batch, "to_containers");

	nft_rule_begin(batch, "forward");
	match_ct(batch, NFT_CT_STATE, NF_CT_STATE_BIT(IP_CT_ESTABLISHED) | NF_CT_STATE_BIT(IP_CT_RELATED));
	end(batch, NF_ACCEPT, NULL, NULL);
	nft_rule_begin(batch, "forward");
	match_interface(batch, NFT_META_OIFNAME, SET_BRIDGE, true);
	end(batch, NFT_GOTO, "to_containers", NULL);
	nft_rule_begin(batch, "forward");
	match_interface(batch, NFT_META_IIFNAME, SET_INTERNAL, true);
	nft_counter(batch);
	end(batch, NF_DROP, NULL, "out of an internal network");

	nft_rule_begin(batch, "to_containers");
	match_within(batch);
	match_interface(batch, NFT_META_OIFNAME, SET_ISOLATED, false);
	end(batch, NF_ACCEPT, NULL, NULL);
	nft_rule_begin(batch, "to_containers");
	match_interface(batch, NFT_META_IIFNAME, SET_INTERNAL, true);
	nft_counter(batch);
	end(batch, NF_DROP, NULL, "out of an internal network");
	nft_rule_begin(batch, "to_containers");
	match_interface(batch, NFT_META_OIFNAME, SET_INTERNAL, true);
	nft_counter(batch);
	end(batch, NF_DROP, NULL, "into an internal network");
	nft_rule_begin(batch, "to_containers");
	match_ct(batch, NFT_CT_STATUS, IPS_DST_NAT);
	end(batch, NF_ACCEPT, NULL, "published");
	nft_rule_begin(batch, "to_containers");
	nft_counter(batch);
	end(batch, NF_DROP, NULL, "not published");
}

/* Whether there was nothing or all of it. */
static void put_frame(struct nft_batch *batch)
{
	nft_put_table(batch);
	for (size_t i = 0; i < SET_COUNT; i++)
		nft_put_set(batch, &sets[i]);
	guard(batch);
	publish(batch);
	after(batch);
	forward(batch);
}

/* --- elements --- */

typedef void put_elements_fn(struct nft_batch *batch, const struct nft_set *set, const struct nft_element *elements,
	size_t count);

/* Puts or deletes, whichever `put` is. */
struct change {
	struct nft_batch *batch;
	put_elements_fn *put; /* or they are listed */
	const char *comment;
	struct nft_elements *list;
};

static void put(const struct change *change, enum set_id set, struct nft_element *element)
{
	element->comment = change->comment;
	if (change->list)
		nft_elements_add(change->list, NFPROTO_INET, &sets[set], element);
	else
		change->put(change->batch, &sets[set], element, 1);
}

static void put_interface(const struct change *change, enum set_id set, const char *interface)
{
	struct nft_element element = { 0 };
	nft_value_add(&element.key, NFT_TYPE_INTERFACE, interface);
	put(change, set, &element);
}

static void put_subnet(const struct change *change, enum set_id set, const char *interface,
	const struct inet_subnet *subnet)
{
	const struct inet_address first = inet_subnet_base(subnet), last = inet_subnet_last(subnet);
	struct nft_element element = { 0 };
	if (interface) {
		nft_value_add(&element.key, NFT_TYPE_INTERFACE, interface);
		nft_value_add(&element.last, NFT_TYPE_INTERFACE, interface);
	}
	nft_value_add(&element.key, family_of(&first)->type, first.bytes);
	nft_value_add(&element.last, family_of(&last)->type, last.bytes);
	put(change, set, &element);
}

static void put_subnet_text(const struct change *change, enum set_id set, const char *interface, const char *text)
{
	struct inet_subnet subnet;
	if (inet_parse_subnet(text, &subnet) == 0)
		put_subnet(change, set, interface, &subnet);
}

static bool is_set(const char *text)
{
	return text && text[0];
}

static void put_network_family(const struct change *change, const struct lease_bridge *bridge,
	const struct lease_address *own)
{
	struct inet_subnet subnet = { .prefix = (unsigned)own->prefix };
	if (!is_set(own->address) || inet_parse(own->address, &subnet.address) < 0)
		return;
	const struct family *family = family_of(&subnet.address);
	put_subnet(change, family->sources, bridge->bridge, &subnet);
	if (bridge->masquerade && !bridge->internal)
		put_subnet(change, family->masquerade, NULL, &subnet);
	if (family == v6) {
		put_subnet_text(change, SET_SOURCE6, bridge->bridge, "fe80::/10");
		put_subnet_text(change, SET_SOURCE6, bridge->bridge,
			"::/128"); /* who looks for duplicates has none yet */
	}
}

static void put_network(const struct change *change, const struct lease_bridge *bridge)
{
	struct nft_element within = { 0 };
	if (!is_set(bridge->bridge))
		return;
	put_interface(change, SET_BRIDGE, bridge->bridge);
	if (!bridge->foreign)
		put_interface(change, SET_GUARDED, bridge->bridge);
	if (bridge->internal)
		put_interface(change, SET_INTERNAL, bridge->bridge);
	if (bridge->isolated)
		put_interface(change, SET_ISOLATED, bridge->bridge);
	nft_value_add(&within.key, NFT_TYPE_INTERFACE, bridge->bridge);
	nft_value_add(&within.key, NFT_TYPE_INTERFACE, bridge->bridge);
	put(change, SET_WITHIN, &within);
	put_network_family(change, bridge, &bridge->ipv4);
	put_network_family(change, bridge, &bridge->ipv6);
}

/* --- a container's elements --- */

static uint8_t protocol_of(const char *name)
{
	return strcmp(name, "udp") == 0 ? IPPROTO_UDP : strcmp(name, "sctp") == 0 ? IPPROTO_SCTP : IPPROTO_TCP;
}

static void put_range(const struct change *change, const struct family *family, const struct lease_port *port,
	const struct inet_subnet *host, const struct inet_address *to)
{
	const struct inet_address first = inet_subnet_base(host), last = inet_subnet_last(host);
	const uint8_t protocol = protocol_of(port->proto);
	struct nft_element element = { 0 };
	nft_value_add(&element.key, NFT_TYPE_PROTOCOL, &protocol);
	nft_value_add(&element.key, family->type, first.bytes);
	nft_value_add_port(&element.key, (uint16_t)port->host_port);
	nft_value_add(&element.last, NFT_TYPE_PROTOCOL, &protocol);
	nft_value_add(&element.last, family->type, last.bytes);
	nft_value_add_port(&element.last, (uint16_t)(port->host_port + port->count - 1));
	nft_value_add(&element.data, family->type, to->bytes);
	put(change, family->range, &element);
}

static void put_each(const struct change *change, const struct family *family, const struct lease_port *port,
	const struct inet_subnet *host, const struct inet_address *to)
{
	const uint8_t protocol = protocol_of(port->proto);
	for (int64_t i = 0; i < port->count; i++) {
		struct nft_element element = { 0 };
		nft_value_add(&element.key, NFT_TYPE_PROTOCOL, &protocol);
		if (host->prefix > 0)
			nft_value_add(&element.key, family->type, host->address.bytes);
		nft_value_add_port(&element.key, (uint16_t)(port->host_port + i));
		nft_value_add(&element.data, family->type, to->bytes);
		nft_value_add_port(&element.data, (uint16_t)(port->container_port + i));
		put(change, host->prefix > 0 ? family->host_port : family->port, &element);
	}
}

static void put_spliced(const struct change *change, const struct family *family, const struct lease_port *port,
	const struct inet_subnet *host)
{
	const uint8_t protocol = protocol_of(port->proto);
	for (int64_t i = 0; i < port->count; i++) {
		struct nft_element element = { 0 };
		nft_value_add(&element.key, NFT_TYPE_PROTOCOL, &protocol);
		if (host->prefix > 0)
			nft_value_add(&element.key, family->type, host->address.bytes);
		nft_value_add_port(&element.key, (uint16_t)(port->host_port + i));
		put(change, host->prefix > 0 ? family->host_spliced : family->spliced, &element);
	}
}

/* `to` is the endpoint's address of the family that the host's has. */
static void put_port(const struct change *change, const struct lease_port *port, const struct lease_endpoint *endpoint)
{
	struct inet_subnet host;
	struct inet_address to;
	if (inet_parse(port->host_ip, &host.address) < 0)
		return;
	const struct family *family = family_of(&host.address);
	const struct lease_address *own = family == v6 ? &endpoint->ipv6 : &endpoint->ipv4;
	bool is_any = inet_equal(&host.address, &(struct inet_address){ .is_v6 = family == v6 });
	host.prefix = is_any ? 0 : inet_bits(&host.address);
	if (published_is_spliced(endpoint, port))
		put_spliced(change, family, port, &host);
	if (port->through_input || !is_set(own->address) || inet_parse(own->address, &to) < 0)
		return;
	if (port->count > 1 && port->host_port == port->container_port)
		put_range(change, family, port, &host, &to);
	else
		put_each(change, family, port, &host, &to);
}

/* Who comes from another network of the container's, by way of a port of the host, would be answered there directly. */
static void put_aside(const struct change *change, const struct lease_endpoint *published,
	const struct lease_endpoint *other)
{
	const char *const own[] = { published->ipv4.address, published->ipv6.address };
	for (size_t i = 0; i < ARRAY_SIZE(own); i++) {
		struct nft_element element = { 0 };
		struct inet_address address;
		if (!is_set(own[i]) || inet_parse(own[i], &address) < 0)
			continue;
		nft_value_add(&element.key, NFT_TYPE_INTERFACE, other->parent);
		nft_value_add(&element.key, family_of(&address)->type, address.bytes);
		put(change, family_of(&address)->aside, &element);
	}
}

static bool is_bridged(const struct lease_endpoint *endpoint)
{
	return strcmp(endpoint->driver, "bridge") == 0;
}

static void put_container(const struct change *change, const struct lease_endpoint *endpoints, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const struct lease_endpoint *endpoint = &endpoints[i];
		if (!is_bridged(endpoint))
			continue;
		for (char *const *address = endpoint->link_local; address && *address; address++) {
			bool is_v6 = strchr(*address, ':');
			put_subnet_text(change, is_v6 ? SET_SOURCE6 : SET_SOURCE4, endpoint->parent, *address);
		}
		for (size_t j = 0; j < endpoint->port_count; j++)
			put_port(change, &endpoint->ports[j], endpoint);
		for (size_t j = 0; endpoint->port_count > 0 && j < count; j++) {
			if (i != j && is_bridged(&endpoints[j]))
				put_aside(change, endpoint, &endpoints[j]);
		}
	}
}

/* --- transactions --- */

void table_name(const char *exec_root, char out[TABLE_NAME_SIZE])
{
	uint64_t hash = 0xcbf29ce484222325; /* FNV-1a */
	if (strcmp(exec_root, EXEC_ROOT_USUAL) == 0) {
		snprintf(out, TABLE_NAME_SIZE, "tare");
		return;
	}
	for (const char *at = exec_root; *at; at++)
		hash = (hash ^ (uint8_t)*at) * 0x100000001b3;
	snprintf(out, TABLE_NAME_SIZE, "tare-%016" PRIx64, hash);
}

static int refuse(const struct nft_batch *batch, const struct netlink *netlink, int r, struct err **reterr)
{
	_cleanup_(buf_finish) struct buf what = BUF_INIT(FAILURE_MAX);
	if (lacking(r, "nf_tables", reterr))
		return r;
	nft_batch_describe(batch, netlink, r, &what);
	return err_set(reterr, r == -EEXIST ? ERR_CONFLICT : ERR_INTERNAL, -r, "nf_tables: %s",
		what.data ? what.data : strerror(-r));
}

struct finding {
	struct nft_elements *list;
	const struct nft_set *set;
};

static int list_found(const struct nft_element *element, void *user)
{
	const struct finding *finding = user;
	struct nft_element bare = *element;
	bare.comment = NULL; /* it lives as long as this call */
	nft_elements_add(finding->list, NFPROTO_INET, finding->set, &bare);
	return 0;
}

/* The sets that hold addresses to interfaces are not flushed: for a moment nothing would come out of containers. */
static int list_sources(struct netlink *netlink, const char *table, struct nft_elements *list)
{
	int r = 0;
	for (size_t set = SET_SOURCE4; r == 0 && set <= SET_SOURCE6; set++) {
		r = nft_elements_each(netlink, NFPROTO_INET, table, sets[set].name, list_found,
			&(struct finding){ list, &sets[set] });
		r = r == -ENOENT ? 0 : r;
	}
	return r;
}

int table_networks(struct netlink *netlink, const char *table, const struct lease_bridge *bridges, size_t count,
	struct err **reterr)
{
	_cleanup_(nft_elements_finish) struct nft_elements old = { 0 }, new = { 0 };
	_cleanup_(nft_batch_finish) struct nft_batch batch;
	nft_batch_begin(&batch, NFPROTO_INET, table);
	put_frame(&batch);
	for (size_t set = BY_NETWORK_FIRST; set <= BY_NETWORK_LAST; set++) {
		if (set < SET_SOURCE4 || set > SET_SOURCE6)
			nft_put_set_flush(&batch, &sets[set]);
	}
	for (size_t i = 0; i < count; i++)
		put_network(&(struct change){ .comment = bridges[i].network, .list = &new }, &bridges[i]);
	int r = list_sources(netlink, table, &old);
	if (r < 0)
		return err_errno(reterr, r, "cannot read the table %s", table);
	if (nft_put_changed(&batch, &old, &new) < 0)
		return err_oom(reterr);
	r = nft_batch_commit(&batch, netlink);
	return r < 0 ? refuse(&batch, netlink, r, reterr) : 0;
}

int table_network_add(struct netlink *netlink, const char *table, const struct lease_bridge *bridge,
	struct err **reterr)
{
	_cleanup_(nft_batch_finish) struct nft_batch batch;
	nft_batch_begin(&batch, NFPROTO_INET, table);
	put_frame(&batch);
	put_network(&(struct change){ &batch, nft_put_elements, bridge->network, NULL }, bridge);
	int r = nft_batch_commit(&batch, netlink);
	return r < 0 ? refuse(&batch, netlink, r, reterr) : 0;
}

int table_network_remove(struct netlink *netlink, const char *table, const struct lease_bridge *bridge,
	struct err **reterr)
{
	_cleanup_(nft_batch_finish) struct nft_batch batch;
	nft_batch_begin(&batch, NFPROTO_INET, table);
	put_network(&(struct change){ &batch, nft_put_elements, bridge->network, NULL }, bridge);
	put_network(&(struct change){ &batch, nft_put_elements_delete, bridge->network, NULL }, bridge);
	int r = nft_batch_commit(&batch, netlink);
	return r < 0 && r != -ENOENT ? refuse(&batch, netlink, r, reterr) : 0;
}

/* What an endpoint tells of its network; that it is masqueraded too is put right by the engine if it is not so. */
static struct lease_bridge bridge_of(const struct lease_endpoint *endpoint)
{
	return (struct lease_bridge){
		.network = endpoint->network,
		.bridge = endpoint->parent,
		.ipv4 = { .address = endpoint->ipv4.address, .prefix = endpoint->ipv4.prefix },
		.ipv6 = { .address = endpoint->ipv6.address, .prefix = endpoint->ipv6.prefix },
		.internal = endpoint->internal,
		.isolated = endpoint->isolated,
		.masquerade = !endpoint->internal,
	};
}

/* Somebody has flushed it, and no engine has put it back yet. */
static int put_with_frame(struct netlink *netlink, const char *table, const char *owner,
	const struct lease_endpoint *endpoints, size_t count, struct err **reterr)
{
	_cleanup_(nft_batch_finish) struct nft_batch batch;
	nft_batch_begin(&batch, NFPROTO_INET, table);
	put_frame(&batch);
	for (size_t i = 0; i < count; i++) {
		struct lease_bridge bridge = bridge_of(&endpoints[i]);
		if (is_bridged(&endpoints[i]))
			put_network(&(struct change){ &batch, nft_put_elements, bridge.network, NULL }, &bridge);
	}
	put_container(&(struct change){ &batch, nft_put_elements, owner, NULL }, endpoints, count);
	int r = nft_batch_commit(&batch, netlink);
	return r < 0 ? refuse(&batch, netlink, r, reterr) : 0;
}

int table_container_add(struct netlink *netlink, const char *table, const char *owner,
	const struct lease_endpoint *endpoints, size_t count, struct err **reterr)
{
	_cleanup_(nft_batch_finish) struct nft_batch batch;
	nft_batch_begin(&batch, NFPROTO_INET, table);
	put_container(&(struct change){ &batch, nft_put_elements, owner, NULL }, endpoints, count);
	int r = nft_batch_commit(&batch, netlink);
	if (r == -ENOENT)
		return put_with_frame(netlink, table, owner, endpoints, count, reterr);
	return r < 0 ? refuse(&batch, netlink, r, reterr) : 0;
}

int table_container_change(struct netlink *netlink, const char *table, const char *owner,
	const struct lease_endpoint *before, size_t before_count, const struct lease_endpoint *after,
	size_t after_count, struct err **reterr)
{
	_cleanup_(nft_elements_finish) struct nft_elements old = { 0 }, new = { 0 };
	_cleanup_(nft_batch_finish) struct nft_batch batch;
	nft_batch_begin(&batch, NFPROTO_INET, table);
	put_container(&(struct change){ .comment = owner, .list = &old }, before, before_count);
	put_container(&(struct change){ .comment = owner, .list = &new }, after, after_count);
	if (nft_put_changed(&batch, &old, &new) < 0)
		return err_oom(reterr);
	int r = nft_batch_commit(&batch, netlink);
	if (r == -ENOENT)
		return put_with_frame(netlink, table, owner, after, after_count, reterr);
	return r < 0 ? refuse(&batch, netlink, r, reterr) : 0;
}

bool table_container_needs(const struct lease_endpoint *endpoints, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		bool has_more = endpoints[i].link_local && endpoints[i].link_local[0];
		if (is_bridged(&endpoints[i]) && (endpoints[i].port_count > 0 || has_more))
			return true;
	}
	return false;
}

int table_container_remove(struct netlink *netlink, const char *table, const char *owner,
	const struct lease_endpoint *endpoints, size_t count, struct err **reterr)
{
	_cleanup_(nft_batch_finish) struct nft_batch batch;
	nft_batch_begin(&batch, NFPROTO_INET, table);
	/* Put and deleted in one: it works whether they are there or not, and leaves those of others alone. */
	put_container(&(struct change){ &batch, nft_put_elements, owner, NULL }, endpoints, count);
	put_container(&(struct change){ &batch, nft_put_elements_delete, owner, NULL }, endpoints, count);
	int r = nft_batch_commit(&batch, netlink);
	return r < 0 && r != -ENOENT ? refuse(&batch, netlink, r, reterr) : 0;
}

int table_owner_remove(struct netlink *netlink, const char *table, const char *owner, struct err **reterr)
{
	const enum set_id others[] = { SET_SOURCE4, SET_SOURCE6 };
	_cleanup_(nft_batch_finish) struct nft_batch batch;
	nft_batch_begin(&batch, NFPROTO_INET, table);
	int r = 0;
	for (size_t i = BY_CONTAINER_FIRST; i < SET_COUNT + ARRAY_SIZE(others) && r == 0; i++)
		r = nft_put_commented_delete(&batch, netlink, &sets[i < SET_COUNT ? i : others[i - SET_COUNT]], owner);
	if (r < 0)
		return r == -ENOENT ? 0 : err_errno(reterr, r, "cannot read the table %s", table);
	r = nft_batch_commit(&batch, netlink);
	return r < 0 ? refuse(&batch, netlink, r, reterr) : 0;
}

/* --- who has a port --- */

struct search {
	const struct lease_endpoint *endpoints;
	size_t count;
	const char *but_for;
	const struct family *family;
	bool has_host; /* the element's key has an address */
	char *owner;
};

static uint16_t port_at(const struct nft_value *value, size_t at)
{
	uint16_t port;
	memcpy(&port, value->bytes + at, sizeof(port));
	return be16toh(port);
}

/* Ports of one address and those of all are in the way of each other too. */
static bool is_in_the_way(const struct search *search, const struct nft_element *element, const struct lease_port *port)
{
	const size_t host_at = 4, port_at_byte = search->has_host ? host_at + search->family->size : host_at;
	const uint8_t none[16] = { 0 };
	struct inet_address host;
	if (element->key.len < port_at_byte + 2 || inet_parse(port->host_ip, &host) < 0 ||
		family_of(&host) != search->family || element->key.bytes[0] != protocol_of(port->proto))
		return false;
	bool is_one = search->has_host && memcmp(element->key.bytes + host_at, none, search->family->size) != 0;
	if (is_one && memcmp(host.bytes, none, sizeof(none)) != 0 &&
		memcmp(element->key.bytes + host_at, host.bytes, search->family->size) != 0)
		return false;
	const struct nft_value *last = element->last.len > 0 ? &element->last : &element->key;
	return port_at(&element->key, port_at_byte) < port->host_port + port->count &&
	       port_at(last, port_at_byte) >= port->host_port;
}

static int look_for_owner(const struct nft_element *element, void *user)
{
	struct search *search = user;
	if (!element->comment || (search->but_for && strcmp(element->comment, search->but_for) == 0))
		return 0;
	for (size_t i = 0; i < search->count; i++) {
		for (size_t k = 0; k < search->endpoints[i].port_count; k++) {
			if (!is_in_the_way(search, element, &search->endpoints[i].ports[k]))
				continue;
			snprintf(search->owner, TABLE_OWNER_SIZE, "%s", element->comment);
			return 1;
		}
	}
	return 0;
}

int table_port_owner(struct netlink *netlink, const char *table, const struct lease_endpoint *endpoints, size_t count,
	const char *but_for, char owner[TABLE_OWNER_SIZE])
{
	int r = 0;
	for (size_t i = 0; i < ARRAY_SIZE(families); i++) {
		const enum set_id maps[] = { families[i].port, families[i].spliced, families[i].host_port,
			families[i].range, families[i].host_spliced };
		for (size_t k = 0; r == 0 && k < ARRAY_SIZE(maps); k++) {
			struct search search = { endpoints, count, but_for, &families[i], k >= 2, owner };
			r = nft_elements_each(netlink, NFPROTO_INET, table, sets[maps[k]].name, look_for_owner,
				&search);
		}
	}
	return r > 0 ? 0 : r < 0 ? r : -ENOENT;
}
