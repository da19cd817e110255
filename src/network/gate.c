#include "network/gate.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include <linux/icmpv6.h>
#include <linux/in.h>
#include <linux/in6.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter_bridge.h>
#include <linux/netfilter_ipv4.h>
#include <linux/rtnetlink.h>
#include <linux/udp.h>
#include <netinet/if_ether.h>

#include "sys/conntrack.h"
#include "sys/nflog.h"
#include "sys/nft_change.h"

#define FAILURE_MAX     4096
#define ICMPV6_ND_FIRST 130 /* from here on: who is on the link, not echoes and errors */
#define ARP_SENDER      14  /* its IPv4 address, in an ARP packet of Ethernet */
#define TCP_FLAGS       13  /* their place in its header */
#define TCP_SYN         2
#define TCP_ACK         16
#define HOLD_PRIORITY   (-300)
#define GATE_PRIORITY   NF_IP_PRI_MANGLE /* connections are known, destinations as they were written */

/* --- its sets --- */

enum gate_set {
	HELD, /* the bridge, and who is held there */
	NEAR, /* its own networks */
	DENY, /* by subnet alone */
	DENY_PORT,
	ALLOW,
	ALLOW_PORT,
	NAMED, /* protocol 0, port 0: all of them */
	OPEN,  /* by default */
	AUDITED,
	REFUSED, /* counted */
	NOTED,
	BUDGET, /* of what is new in these two: who is at it */
	SOURCE, /* of the bridge's table: the port, and what may come from it */
	SET_COUNT,
};

struct family {
	uint8_t number;
	uint16_t ether_type;
	enum nft_type type;
	uint32_t source, destination; /* in its header */
	uint32_t size;
	char chain[8], refuse[8];
	struct nft_set sets[SET_COUNT];
};

#define INTERVAL NFT_SET_INTERVAL
#define COUNTED  (NFT_SET_EVAL | NFT_SET_TIMEOUT)
#define PLACE(T)                         \
 {                                       \
  T, T, NFT_TYPE_PROTOCOL, NFT_TYPE_PORT \
 }
#define SETS(N, T)                                                                                    \
 {                                                                                                    \
  [HELD] = { "held" N, 0, { NFT_TYPE_INTERFACE, T } }, [NEAR] = { "near" N, INTERVAL, { T, T } },     \
  [DENY] = { "deny" N, INTERVAL, { T, T } }, [DENY_PORT] = { "deny_port" N, INTERVAL, PLACE(T) },     \
  [ALLOW] = { "allow" N, INTERVAL, { T, T } }, [ALLOW_PORT] = { "allow_port" N, INTERVAL, PLACE(T) }, \
  [NAMED] = { "named" N, NFT_SET_TIMEOUT, PLACE(T) }, [OPEN] = { "open" N, 0, { T } },                \
  [AUDITED] = { "audited" N, 0, { T } },                                                              \
  [REFUSED] = { "refused" N, COUNTED, PLACE(T), .size = GATE_SEEN_MAX, .timeout_ms = GATE_SEEN_MS },  \
  [NOTED] = { "noted" N, COUNTED, PLACE(T), .size = GATE_SEEN_MAX, .timeout_ms = GATE_SEEN_MS },      \
  [BUDGET] = { "budget" N, COUNTED, { T }, .size = GATE_SEEN_MAX, .timeout_ms = GATE_SEEN_MS },       \
  [SOURCE] = { "source" N, INTERVAL, { NFT_TYPE_INTERFACE, T } },                                     \
 }

static const struct family families[] = {
	{ NFPROTO_IPV4, ETH_P_IP, NFT_TYPE_IPV4, offsetof(struct iphdr, saddr), offsetof(struct iphdr, daddr), 4,
		"gate4", "refuse4", SETS("4", NFT_TYPE_IPV4) },
	{ NFPROTO_IPV6, ETH_P_IPV6, NFT_TYPE_IPV6, offsetof(struct ipv6hdr, saddr), offsetof(struct ipv6hdr, daddr), 16,
		"gate6", "refuse6", SETS("6", NFT_TYPE_IPV6) },
};
/* Whatever a held port sends: an interval only because the name of the interface begins so. */
static const struct nft_set held_ports = { "held", INTERVAL, { NFT_TYPE_INTERFACE, NFT_TYPE_ETHERTYPE } };

/* --- its chains --- */

#define SLOT_AFTER_INTERFACE 4

/* The same name in another family: who builds a batch is in one of them at a time. */
static void in_bridges(struct nft_batch *batch)
{
	batch->family = NFPROTO_BRIDGE;
}

static void in_inet(struct nft_batch *batch)
{
	batch->family = NFPROTO_INET;
}

static void end(struct nft_batch *batch, int verdict, const char *to, const char *comment)
{
	nft_verdict(batch, verdict, to);
	nft_rule_end(batch, comment);
}

static void match_ether_type(struct nft_batch *batch, uint16_t type)
{
	const uint16_t in_nets_order = htobe16(type);
	nft_load_meta(batch, NFT_META_PROTOCOL, 0);
	nft_compare(batch, 0, NFT_CMP_EQ, &in_nets_order, sizeof(in_nets_order));
}

static void match_protocol(struct nft_batch *batch, enum nft_cmp_ops op, uint8_t protocol)
{
	nft_load_meta(batch, NFT_META_L4PROTO, 0);
	nft_compare(batch, 0, op, &protocol, sizeof(protocol));
}

static void accept_source(struct nft_batch *batch, const struct family *family, uint16_t ether_type, uint32_t offset)
{
	nft_rule_begin(batch, "hold");
	match_ether_type(batch, ether_type);
	nft_load_meta(batch, NFT_META_IIFNAME, 0);
	nft_load_payload(batch, NFT_PAYLOAD_NETWORK_HEADER, offset, family->size, SLOT_AFTER_INTERFACE);
	nft_lookup(batch, 0, family->sets[SOURCE].name, true);
	end(batch, NF_ACCEPT, NULL, NULL);
}

static void hold(struct nft_batch *batch)
{
	const struct nft_chain chain = { "hold", "filter", NF_BR_PRE_ROUTING, (uint32_t)HOLD_PRIORITY, NF_ACCEPT };
	const uint8_t link_local[2] = { 0xfe, 0x80 }, none[16] = { 0 };
	nft_put_chain(batch, &chain);
	nft_put_flush(batch, "hold");
	nft_rule_begin(batch, "hold");
	nft_load_meta(batch, NFT_META_IIFNAME, 0);
	nft_load_meta(batch, NFT_META_PROTOCOL, SLOT_AFTER_INTERFACE);
	nft_lookup(batch, 0, held_ports.name, false);
	end(batch, NF_ACCEPT, NULL, "no policy");
	for (size_t i = 0; i < ARRAY_SIZE(families); i++)
		accept_source(batch, &families[i], families[i].ether_type, families[i].source);
	accept_source(batch, &families[0], ETH_P_ARP, ARP_SENDER);

	const struct {
		const uint8_t *prefix;
		size_t len;
	} without_own[] = { { link_local, sizeof(link_local) }, { none, sizeof(none) } };
	for (size_t i = 0; i < ARRAY_SIZE(without_own); i++) {
		nft_rule_begin(batch, "hold");
		match_ether_type(batch, ETH_P_IPV6);
		match_protocol(batch, NFT_CMP_EQ, IPPROTO_ICMPV6);
		nft_load_payload(batch, NFT_PAYLOAD_NETWORK_HEADER, offsetof(struct ipv6hdr, saddr),
			(uint32_t)without_own[i].len, 0);
		nft_compare(batch, 0, NFT_CMP_EQ, without_own[i].prefix, without_own[i].len);
		end(batch, NF_ACCEPT, NULL, NULL);
	}
	nft_rule_begin(batch, "hold");
	nft_counter(batch);
	end(batch, NF_DROP, NULL, "not the container's own address");
}

/* Both addresses from slot 0 on; returns the slot behind them. */
static uint8_t load_pair(struct nft_batch *batch, const struct family *family)
{
	const uint8_t width = (uint8_t)(family->size / 4);
	nft_load_payload(batch, NFT_PAYLOAD_NETWORK_HEADER, family->source, family->size, 0);
	nft_load_payload(batch, NFT_PAYLOAD_NETWORK_HEADER, family->destination, family->size, width);
	return (uint8_t)(2 * width);
}

static void load_place(struct nft_batch *batch, const struct family *family)
{
	uint8_t slot = load_pair(batch, family);
	nft_load_meta(batch, NFT_META_L4PROTO, slot);
	nft_load_payload(batch, NFT_PAYLOAD_TRANSPORT_HEADER, offsetof(struct udphdr, dest), 2, (uint8_t)(slot + 1));
}

static void match_elsewhere(struct nft_batch *batch)
{
	const uint32_t local = RTN_LOCAL;
	nft_load_fib_daddr_type(batch, 0);
	nft_compare(batch, 0, NFT_CMP_NEQ, &local, sizeof(local));
}

/* The place in slots 0 on; of the protocol that has ports, or of the rest, whose port is 0. */
static void load_counted(struct nft_batch *batch, const struct family *family, bool is_rest)
{
	const uint16_t no_port = 0;
	if (!is_rest) {
		load_place(batch, family);
		return;
	}
	uint8_t slot = load_pair(batch, family);
	nft_load_meta(batch, NFT_META_L4PROTO, slot);
	nft_load_immediate(batch, (uint8_t)(slot + 1), &no_port, sizeof(no_port));
}

/* A look-up that finds an element counts it; one that is not in the set yet takes of the budget. */
static void count_one(struct nft_batch *batch, const struct family *family, enum gate_set counted, bool is_rest,
	bool is_new)
{
	load_counted(batch, family, is_rest);
	nft_lookup(batch, 0, family->sets[counted].name, !is_new);
	if (is_new) {
		nft_load_payload(batch, NFT_PAYLOAD_NETWORK_HEADER, family->source, family->size, 0);
		nft_update_limited(batch, &family->sets[BUDGET], 0, GATE_SEEN_OWN, GATE_SEEN_OWN);
		load_counted(batch, family, is_rest);
		nft_add_counted(batch, &family->sets[counted], 0);
	}
	nft_rule_end(batch, NULL);
}

/* Two rules for each protocol that has ports, and two for the rest: what is known first, or it would be counted again as new.
 * `sources` is a set of them, or none. */
static void count(struct nft_batch *batch, const struct family *family, const char *chain, enum gate_set counted,
	const char *sources)
{
	const uint8_t with_ports[] = { IPPROTO_TCP, IPPROTO_UDP, IPPROTO_SCTP };
	const size_t kinds = ARRAY_SIZE(with_ports) + 1;
	for (size_t rule = 0; rule < 2 * kinds; rule++) {
		size_t i = rule / 2;
		bool is_rest = i == ARRAY_SIZE(with_ports);
		nft_rule_begin(batch, chain);
		for (size_t k = 0; is_rest && k < i; k++)
			match_protocol(batch, NFT_CMP_NEQ, with_ports[k]);
		if (!is_rest)
			match_protocol(batch, NFT_CMP_EQ, with_ports[i]);
		if (sources) {
			load_pair(batch, family);
			nft_lookup(batch, 0, sources, true);
		}
		count_one(batch, family, counted, is_rest, rule % 2);
	}
}

static void look_up(struct nft_batch *batch, const struct family *family, enum gate_set set, int verdict,
	const char *to)
{
	bool has_ports = set == DENY_PORT || set == ALLOW_PORT;
	nft_rule_begin(batch, family->chain);
	if (has_ports)
		load_place(batch, family);
	else
		load_pair(batch, family);
	nft_lookup(batch, 0, family->sets[set].name, true);
	end(batch, verdict, to, NULL);
}

static void look_up_names(struct nft_batch *batch, const struct family *family)
{
	const uint8_t any_protocol = 0;
	const uint16_t any_port = 0;
	nft_rule_begin(batch, family->chain);
	match_elsewhere(batch);
	load_place(batch, family);
	nft_lookup(batch, 0, family->sets[NAMED].name, true);
	end(batch, NF_ACCEPT, NULL, NULL);

	nft_rule_begin(batch, family->chain);
	match_elsewhere(batch);
	uint8_t slot = load_pair(batch, family);
	nft_load_immediate(batch, slot, &any_protocol, sizeof(any_protocol));
	nft_load_immediate(batch, (uint8_t)(slot + 1), &any_port, sizeof(any_port));
	nft_lookup(batch, 0, family->sets[NAMED].name, true);
	end(batch, NF_ACCEPT, NULL, NULL);
}

uint16_t gate_log_group(const char *table)
{
	uint32_t hash = 0x811c9dc5; /* FNV-1a: among the upper half, where few people's own groups are */
	for (; *table; table++)
		hash = (hash ^ (uint8_t)*table) * 0x01000193;
	return (uint16_t)(0x8000 | (hash & 0x7fff));
}

/* For who is told of it as it happens; what is counted is exact without. */
static void log_some(struct nft_batch *batch, const struct family *family, const char *chain, const char *word,
	const char *sources)
{
	nft_rule_begin(batch, chain);
	if (sources) {
		load_pair(batch, family);
		nft_lookup(batch, 0, sources, true);
	}
	nft_limit(batch, GATE_LOGS_PER_S, 2 * GATE_LOGS_PER_S);
	nft_log(batch, gate_log_group(batch->table), NFLOG_BYTES, word);
	nft_rule_end(batch, NULL);
}

static void refuse_chain(struct nft_batch *batch, const struct family *family, bool with_log)
{
	nft_put_chain(batch, &(struct nft_chain){ .name = family->refuse });
	nft_put_flush(batch, family->refuse);
	count(batch, family, family->refuse, REFUSED, NULL);
	if (with_log)
		log_some(batch, family, family->refuse, GATE_LOG_REFUSED, NULL);
	/* ICMP is limited to a few a second by the kernel, and who waits for more of it waits long. */
	nft_rule_begin(batch, family->refuse);
	match_protocol(batch, NFT_CMP_EQ, IPPROTO_TCP);
	nft_counter(batch);
	nft_reject(batch, true);
	nft_rule_end(batch, "the policy does not have it");
	nft_rule_begin(batch, family->refuse);
	nft_counter(batch);
	nft_reject(batch, false);
	nft_rule_end(batch, "the policy does not have it");
}

static void family_chain(struct nft_batch *batch, const struct family *family, bool with_log)
{
	const uint8_t first = ICMPV6_ND_FIRST;
	refuse_chain(batch, family, with_log);
	nft_put_chain(batch, &(struct nft_chain){ .name = family->chain });
	nft_put_flush(batch, family->chain);
	if (family->number == NFPROTO_IPV6) {
		nft_rule_begin(batch, family->chain);
		match_protocol(batch, NFT_CMP_EQ, IPPROTO_ICMPV6);
		nft_load_payload(batch, NFT_PAYLOAD_TRANSPORT_HEADER, offsetof(struct icmp6hdr, icmp6_type), 1, 0);
		nft_compare(batch, 0, NFT_CMP_GTE, &first, sizeof(first));
		end(batch, NF_ACCEPT, NULL, "on the link");
	}
	/* Where br_netfilter has a bridge's own packets pass here. */
	nft_rule_begin(batch, family->chain);
	match_elsewhere(batch);
	load_pair(batch, family);
	nft_lookup(batch, 0, family->sets[NEAR].name, true);
	end(batch, NF_ACCEPT, NULL, "its own network");
	look_up(batch, family, DENY, NFT_GOTO, family->refuse);
	look_up(batch, family, DENY_PORT, NFT_GOTO, family->refuse);
	look_up(batch, family, ALLOW, NF_ACCEPT, NULL);
	look_up(batch, family, ALLOW_PORT, NF_ACCEPT, NULL);
	look_up_names(batch, family);
	look_up(batch, family, OPEN, NF_ACCEPT, NULL);
	count(batch, family, family->chain, NOTED, family->sets[AUDITED].name);
	if (with_log)
		log_some(batch, family, family->chain, GATE_LOG_NOTED, family->sets[AUDITED].name);
	look_up(batch, family, AUDITED, NF_ACCEPT, NULL);
	nft_rule_begin(batch, family->chain);
	end(batch, NFT_GOTO, family->refuse, NULL);
}

/* Only of TCP, where who goes on with a connection does not look like who begins one. */
static void cut_chain(struct nft_batch *batch)
{
	const struct nft_chain chain = { "cut", "filter", NF_INET_LOCAL_OUT, (uint32_t)GATE_PRIORITY, NF_ACCEPT };
	const uint32_t is_new = NF_CT_STATE_BIT(IP_CT_NEW), none = 0;
	const uint8_t flags = TCP_SYN | TCP_ACK, first = TCP_SYN;
	nft_put_chain(batch, &chain);
	nft_put_flush(batch, "cut");
	for (size_t i = 0; i < ARRAY_SIZE(families); i++) {
		nft_rule_begin(batch, "cut");
		nft_load_ct(batch, NFT_CT_STATE, 0);
		nft_mask(batch, 0, &is_new, sizeof(is_new));
		nft_compare(batch, 0, NFT_CMP_NEQ, &none, sizeof(none));
		nft_load_meta(batch, NFT_META_NFPROTO, 0);
		nft_compare(batch, 0, NFT_CMP_EQ, &families[i].number, sizeof(families[i].number));
		match_protocol(batch, NFT_CMP_EQ, IPPROTO_TCP);
		nft_load_payload(batch, NFT_PAYLOAD_TRANSPORT_HEADER, TCP_FLAGS, sizeof(flags), 0);
		nft_mask(batch, 0, &flags, sizeof(flags));
		nft_compare(batch, 0, NFT_CMP_NEQ, &first, sizeof(first));
		nft_load_meta(batch, NFT_META_OIFNAME, 0);
		nft_load_payload(batch, NFT_PAYLOAD_NETWORK_HEADER, families[i].destination, families[i].size,
			SLOT_AFTER_INTERFACE);
		nft_lookup(batch, 0, families[i].sets[HELD].name, true);
		nft_counter(batch);
		end(batch, NF_DROP, NULL, "the middle of what was ended");
	}
}

static void gate_chain(struct nft_batch *batch, bool with_log)
{
	const struct nft_chain chain = { "gate", "filter", NF_INET_PRE_ROUTING, (uint32_t)GATE_PRIORITY, NF_ACCEPT };
	const uint32_t known = NF_CT_STATE_BIT(IP_CT_ESTABLISHED) | NF_CT_STATE_BIT(IP_CT_RELATED), none = 0;
	nft_put_chain(batch, &chain);
	for (size_t i = 0; i < ARRAY_SIZE(families); i++)
		family_chain(batch, &families[i], with_log);
	nft_put_flush(batch, "gate");
	nft_rule_begin(batch, "gate");
	nft_load_ct(batch, NFT_CT_STATE, 0);
	nft_mask(batch, 0, &known, sizeof(known));
	nft_compare(batch, 0, NFT_CMP_NEQ, &none, sizeof(none));
	end(batch, NF_ACCEPT, NULL, NULL);
	for (size_t i = 0; i < ARRAY_SIZE(families); i++) {
		nft_rule_begin(batch, "gate");
		nft_load_meta(batch, NFT_META_NFPROTO, 0);
		nft_compare(batch, 0, NFT_CMP_EQ, &families[i].number, sizeof(families[i].number));
		nft_load_meta(batch, NFT_META_IIFNAME, 0);
		nft_load_payload(batch, NFT_PAYLOAD_NETWORK_HEADER, families[i].source, families[i].size,
			SLOT_AFTER_INTERFACE);
		nft_lookup(batch, 0, families[i].sets[HELD].name, true);
		end(batch, NFT_GOTO, families[i].chain, NULL);
	}
}

static void put_frame(struct nft_batch *batch, bool with_log)
{
	in_bridges(batch);
	nft_put_table(batch);
	nft_put_set(batch, &held_ports);
	for (size_t i = 0; i < ARRAY_SIZE(families); i++)
		nft_put_set(batch, &families[i].sets[SOURCE]);
	hold(batch);
	in_inet(batch);
	nft_put_table(batch);
	for (size_t i = 0; i < ARRAY_SIZE(families); i++) {
		for (size_t set = 0; set < SOURCE; set++)
			nft_put_set(batch, &families[i].sets[set]);
	}
	gate_chain(batch, with_log);
	cut_chain(batch);
}

/* --- elements --- */

typedef void put_elements_fn(struct nft_batch *batch, const struct nft_set *set, const struct nft_element *elements,
	size_t count);

/* Puts or deletes, whichever `put` is; or lists. */
struct change {
	struct nft_batch *batch;
	put_elements_fn *put;
	const struct gate *gate;
	struct nft_elements *list;
};

static void put(const struct change *change, const struct nft_set *set, struct nft_element *element)
{
	element->comment = change->gate->owner;
	if (change->list)
		nft_elements_add(change->list, change->batch->family, set, element);
	else
		change->put(change->batch, set, element, 1);
}

static const struct family *family_of(const struct inet_address *address)
{
	return &families[address->is_v6 ? 1 : 0];
}

/* A place of a policy, of one family: what one element is of. */
struct place {
	struct inet_subnet subnet;
	uint8_t protocol; /* 0: all, and all ports */
	uint32_t first_port, last_port;
	bool denies;
};

struct places {
	struct place *items; /* for every rule both families and both of tcp and udp */
	size_t count;
};

#define PLACES_MAX (EGRESS_RULES_MAX * 4)

static void add_places(struct places *places, const struct egress_rule *rule, const struct inet_subnet *subnet)
{
	const uint8_t both[] = { IPPROTO_TCP, IPPROTO_UDP };
	bool is_both = rule->protocol == 0 && egress_has_ports(rule), is_v6 = subnet->address.is_v6;
	for (size_t i = 0; i < (is_both ? ARRAY_SIZE(both) : 1); i++) {
		uint8_t protocol = is_both ? both[i] : rule->protocol;
		places->items[places->count++] = (struct place){
			.subnet = *subnet,
			.protocol = protocol == IPPROTO_ICMP && is_v6 ? IPPROTO_ICMPV6 : protocol,
			.first_port = rule->first_port,
			.last_port = rule->last_port,
			.denies = rule->denies,
		};
	}
}

/* -ENOMEM */
static int list_places(const struct egress *policy, struct places *places)
{
	*places = (struct places){ .items = calloc(PLACES_MAX, sizeof(*places->items)) };
	if (!places->items)
		return -ENOMEM;
	for (size_t i = 0; i < policy->count; i++) {
		const struct egress_rule *rule = &policy->rules[i];
		if (rule->is_all) {
			add_places(places, rule, &(struct inet_subnet){ .address.is_v6 = false });
			add_places(places, rule, &(struct inet_subnet){ .address.is_v6 = true });
		} else if (!rule->name[0]) {
			add_places(places, rule, &rule->subnet);
		}
	}
	return 0;
}

/* Whether what `a` has is in `b` as far as its ports are; of two that are the same, the second is in the first. */
static bool is_within(const struct places *places, const struct place *a, const struct place *b)
{
	bool is_inside = b->subnet.prefix <= a->subnet.prefix && inet_subnet_has(&b->subnet, &a->subnet.address);
	if (a == b || a->denies != b->denies || a->subnet.address.is_v6 != b->subnet.address.is_v6 || !is_inside)
		return false;
	if (b->protocol != 0 && b->protocol != a->protocol)
		return false;
	bool is_same = b->protocol == a->protocol && b->subnet.prefix == a->subnet.prefix;
	return !is_same || b - places->items < a - places->items;
}

/* The first port of `place` from `from` on that no other has; past the last one if there is none. */
static uint32_t next_free(const struct places *places, const struct place *place, uint32_t from)
{
	for (size_t i = 0; i < places->count && from <= place->last_port; i++) {
		const struct place *other = &places->items[i];
		if (!is_within(places, place, other) || from < other->first_port || from > other->last_port)
			continue;
		from = other->last_port + 1;
		i = (size_t)-1; /* another one may go on there */
	}
	return from;
}

/* The last one before another place has it. */
static uint32_t last_free(const struct places *places, const struct place *place, uint32_t from)
{
	uint32_t last = place->last_port;
	for (size_t i = 0; i < places->count; i++) {
		const struct place *other = &places->items[i];
		if (is_within(places, place, other) && other->first_port > from && other->first_port <= last)
			last = other->first_port - 1;
	}
	return last;
}

static void pair(struct nft_element *element, const struct inet_address *source, const struct inet_subnet *to)
{
	const enum nft_type type = family_of(source)->type;
	const struct inet_address first = inet_subnet_base(to), last = inet_subnet_last(to);
	nft_value_add(&element->key, type, source->bytes);
	nft_value_add(&element->last, type, source->bytes);
	nft_value_add(&element->key, type, first.bytes);
	nft_value_add(&element->last, type, last.bytes);
}

static void put_place(const struct change *change, const struct inet_address *source, const struct place *place,
	uint32_t first_port, uint32_t last_port)
{
	const struct family *family = family_of(source);
	enum gate_set set = place->denies ? DENY : ALLOW;
	struct nft_element element = { 0 };
	pair(&element, source, &place->subnet);
	if (place->protocol != 0) {
		set = place->denies ? DENY_PORT : ALLOW_PORT;
		nft_value_add(&element.key, NFT_TYPE_PROTOCOL, &place->protocol);
		nft_value_add(&element.last, NFT_TYPE_PROTOCOL, &place->protocol);
		nft_value_add_port(&element.key, (uint16_t)first_port);
		nft_value_add_port(&element.last, (uint16_t)last_port);
	}
	put(change, &family->sets[set], &element);
}

static void put_places(const struct change *change, const struct places *places, const struct inet_address *source)
{
	for (size_t i = 0; i < places->count; i++) {
		const struct place *place = &places->items[i];
		if (place->subnet.address.is_v6 != source->is_v6)
			continue;
		for (uint32_t from = next_free(places, place, place->first_port); from <= place->last_port;) {
			uint32_t last = last_free(places, place, from);
			put_place(change, source, place, from, last);
			from = next_free(places, place, last + 1);
		}
	}
}

/* The ports of the rule that an address behind its name is open for. */
static void put_opened(const struct change *change, const struct inet_address *source, const struct gate_opened *opened)
{
	const struct egress_rule *rule = &change->gate->policy->rules[opened->rule];
	const struct family *family = family_of(source);
	const uint8_t given[] = { rule->protocol }, both[] = { IPPROTO_TCP, IPPROTO_UDP };
	bool has_ports = egress_has_ports(rule), is_both = has_ports && rule->protocol == 0;
	uint32_t first = has_ports ? rule->first_port : 0, last = has_ports ? rule->last_port : 0;
	int64_t left_ms = opened->until_ms - change->gate->now_ms;
	if (opened->address.is_v6 != source->is_v6)
		return;
	if (left_ms <= 0) /* put and deleted all the same: both or neither */
		left_ms = 1;
	for (size_t i = 0; i < (is_both ? ARRAY_SIZE(both) : ARRAY_SIZE(given)); i++) {
		for (uint32_t port = first; port <= last; port++) {
			struct nft_element element = { .timeout_ms = (uint64_t)left_ms };
			nft_value_add(&element.key, family->type, source->bytes);
			nft_value_add(&element.key, family->type, opened->address.bytes);
			nft_value_add(&element.key, NFT_TYPE_PROTOCOL, is_both ? &both[i] : &given[i]);
			nft_value_add_port(&element.key, (uint16_t)port);
			put(change, &family->sets[NAMED], &element);
		}
	}
}

static void put_near(const struct change *change, const struct lease_endpoint *endpoint,
	const struct inet_address *source)
{
	const struct lease_address *own = source->is_v6 ? &endpoint->ipv6 : &endpoint->ipv4;
	const struct inet_subnet near = { .address = *source, .prefix = (unsigned)own->prefix };
	struct nft_element element = { 0 };
	pair(&element, source, &near);
	put(change, &family_of(source)->sets[NEAR], &element);
}

static void put_held(const struct change *change, const struct lease_endpoint *endpoint,
	const struct inet_address *source)
{
	const struct family *family = family_of(source);
	enum egress_default otherwise = change->gate->policy->otherwise;
	struct nft_element held = { 0 }, own = { 0 };
	nft_value_add(&held.key, NFT_TYPE_INTERFACE, endpoint->parent);
	nft_value_add(&held.key, family->type, source->bytes);
	put(change, &family->sets[HELD], &held);
	put_near(change, endpoint, source);
	nft_value_add(&own.key, family->type, source->bytes);
	if (otherwise != EGRESS_DENY)
		put(change, &family->sets[otherwise == EGRESS_AUDIT ? AUDITED : OPEN], &own);
}

/* The end of the container's pair, whatever the digits behind the name's beginning are. */
static void name_interfaces(const struct lease_endpoint *endpoint, struct nft_element *element)
{
	char last[LEASE_INTERFACE_SIZE];
	memset(last, 0xff, sizeof(last));
	memcpy(last, endpoint->host_interface, strlen(endpoint->host_interface));
	nft_value_add(&element->key, NFT_TYPE_INTERFACE, endpoint->host_interface);
	nft_value_add(&element->last, NFT_TYPE_INTERFACE, last);
}

static void put_source(const struct change *change, const struct lease_endpoint *endpoint,
	const struct inet_address *source)
{
	const struct family *family = family_of(source);
	struct nft_element element = { 0 };
	name_interfaces(endpoint, &element);
	nft_value_add(&element.key, family->type, source->bytes);
	nft_value_add(&element.last, family->type, source->bytes);
	put(change, &family->sets[SOURCE], &element);
}

static void put_port(const struct change *change, const struct lease_endpoint *endpoint)
{
	const uint16_t first = 0, last = UINT16_MAX;
	struct nft_element element = { 0 };
	name_interfaces(endpoint, &element);
	nft_value_add(&element.key, NFT_TYPE_ETHERTYPE, &first);
	nft_value_add(&element.last, NFT_TYPE_ETHERTYPE, &last);
	put(change, &held_ports, &element);
}

typedef void source_fn(const struct lease_endpoint *endpoint, const struct inet_address *source, void *user);

static bool is_held(const struct lease_endpoint *endpoint)
{
	return strcmp(endpoint->driver, "bridge") == 0;
}

/* Every address that it has. */
static void each_source(const struct gate *gate, source_fn *fn, void *user)
{
	for (size_t i = 0; i < gate->endpoint_count; i++) {
		const struct lease_endpoint *endpoint = &gate->endpoints[i];
		const char *const own[] = { endpoint->ipv4.address, endpoint->ipv6.address };
		struct inet_subnet more;
		struct inet_address address;
		for (size_t k = 0; is_held(endpoint) && k < ARRAY_SIZE(own); k++) {
			if (own[k] && inet_parse(own[k], &address) == 0)
				fn(endpoint, &address, user);
		}
		for (char *const *text = endpoint->link_local; is_held(endpoint) && text && *text; text++) {
			if (inet_parse_subnet(*text, &more) == 0)
				fn(endpoint, &more.address, user);
		}
	}
}

struct putting {
	struct change change;
	const struct places *places;
};

static void put_bridge_source(const struct lease_endpoint *endpoint, const struct inet_address *source, void *user)
{
	put_source(user, endpoint, source);
}

static void put_inet_source(const struct lease_endpoint *endpoint, const struct inet_address *source, void *user)
{
	const struct putting *putting = user;
	const struct gate *gate = putting->change.gate;
	put_held(&putting->change, endpoint, source);
	put_places(&putting->change, putting->places, source);
	for (size_t i = 0; i < gate->opened_count; i++)
		put_opened(&putting->change, source, &gate->opened[i]);
}

static bool holds(const struct gate *gate)
{
	return gate && egress_is_set(gate->policy);
}

/* -ENOMEM */
static int list_gate(struct nft_batch *batch, const struct gate *gate, struct nft_elements *list)
{
	struct places places = { 0 };
	struct putting putting = { { .batch = batch, .gate = gate, .list = list }, &places };
	if (!holds(gate))
		return 0;
	int r = list_places(gate->policy, &places);
	if (r < 0)
		return r;
	in_bridges(batch);
	each_source(gate, put_bridge_source, &putting.change);
	for (size_t i = 0; i < gate->endpoint_count; i++) {
		if (is_held(&gate->endpoints[i]))
			put_port(&putting.change, &gate->endpoints[i]);
	}
	in_inet(batch);
	each_source(gate, put_inet_source, &putting);
	free(places.items);
	return 0;
}

/* --- transactions --- */

static int refuse(const struct nft_batch *batch, const struct netlink *netlink, int r, struct err **reterr)
{
	_cleanup_(buf_finish) struct buf what = BUF_INIT(FAILURE_MAX);
	nft_batch_describe(batch, netlink, r, &what);
	return err_set(reterr, ERR_INTERNAL, -r, "the egress policy can't be held: nf_tables: %s",
		what.data ? what.data : strerror(-r));
}

enum frame { FRAME_IS_THERE, FRAME_WITHOUT_LOG, FRAME };

/* -ENOENT, and no error's text: the chains are not there, or the kernel has no log. */
static int commit(struct netlink *netlink, const struct gate *before, const struct gate *after, enum frame frame,
	struct err **reterr)
{
	_cleanup_(nft_elements_finish) struct nft_elements old = { 0 }, new = { 0 };
	_cleanup_(nft_batch_finish) struct nft_batch batch;
	nft_batch_begin(&batch, NFPROTO_INET, (after ?: before)->table);
	if (frame != FRAME_IS_THERE)
		put_frame(&batch, frame == FRAME);
	int r = list_gate(&batch, before, &old);
	if (r == 0)
		r = list_gate(&batch, after, &new);
	if (r == 0)
		r = nft_put_changed(&batch, &old, &new);
	if (r < 0)
		return err_oom(reterr);
	r = nft_batch_commit(&batch, netlink);
	if (r == -ENOENT && frame != FRAME_WITHOUT_LOG)
		return r;
	return r < 0 ? refuse(&batch, netlink, r, reterr) : 0;
}

static int commit_with_frame(struct netlink *netlink, const struct gate *before, const struct gate *after,
	struct err **reterr)
{
	int r = commit(netlink, before, after, FRAME, reterr);
	return r == -ENOENT ? commit(netlink, before, after, FRAME_WITHOUT_LOG, reterr) : r;
}

int gate_change(struct netlink *netlink, const struct gate *before, const struct gate *after, struct err **reterr)
{
	bool holds_after = holds(after);
	if (!holds(before) && !holds_after)
		return 0;
	int r = commit(netlink, before, after, FRAME_IS_THERE, reterr);
	if (r != -ENOENT)
		return r;
	return holds_after ? commit_with_frame(netlink, before, after, reterr) : 0;
}

/* What is still there is left alone (sys/nft_change.h): who is allowed is not refused for a moment. */
int gate_restore(struct netlink *netlink, const struct gate *gate, struct err **reterr)
{
	return holds(gate) ? commit_with_frame(netlink, NULL, gate, reterr) : 0;
}

/* --- connections of before --- */

struct cutting {
	const struct gate *gate;
	struct netlink *netlink;
	int r;
};

static bool is_opened(const struct gate *gate, const struct conntrack_place *place)
{
	for (size_t i = 0; i < gate->opened_count; i++) {
		if (inet_equal(&gate->opened[i].address, &place->address) &&
			egress_rule_serves(&gate->policy->rules[gate->opened[i].rule], place->protocol, place->port))
			return true;
	}
	return false;
}

static bool denies(const struct egress *policy, const struct conntrack_place *place)
{
	struct egress only = { .otherwise = EGRESS_ALLOW, .rules = policy->rules, .count = policy->count };
	return !egress_lets(&only, &place->address, place->protocol, place->port);
}

static bool is_to_end(const struct conntrack_place *place, void *user)
{
	const struct gate *gate = user;
	bool is_let = egress_lets(gate->policy, &place->address, place->protocol, place->port);
	return !is_let && (denies(gate->policy, place) || !is_opened(gate, place));
}

static void cut_source(const struct lease_endpoint *endpoint, const struct inet_address *source, void *user)
{
	struct cutting *cutting = user;
	(void)endpoint;
	int r = conntrack_forget_some(cutting->netlink, source, is_to_end, (void *)cutting->gate);
	if (cutting->r == 0 && r < 0)
		cutting->r = r;
}

int gate_cut(struct netlink *netlink, const struct gate *gate, struct err **reterr)
{
	struct cutting cutting = { gate, netlink, 0 };
	if (holds(gate) && !conntrack_is_empty(netlink))
		each_source(gate, cut_source, &cutting);
	return cutting.r < 0
		       ? err_errno(reterr, cutting.r, "connections that the egress policy does not have can't be ended")
		       : 0;
}

struct opening {
	struct change change;
	const size_t *which;
	size_t count;
};

static void put_opening(const struct lease_endpoint *endpoint, const struct inet_address *source, void *user)
{
	const struct opening *opening = user;
	(void)endpoint;
	for (size_t i = 0; i < opening->count; i++)
		put_opened(&opening->change, source, &opening->change.gate->opened[opening->which[i]]);
}

static int change_opened(struct netlink *netlink, const struct gate *gate, const size_t *which, size_t count,
	bool opens, struct err **reterr)
{
	_cleanup_(nft_batch_finish) struct nft_batch batch;
	put_elements_fn *const again[] = { nft_put_elements, nft_put_elements_delete, nft_put_elements };
	nft_batch_begin(&batch, NFPROTO_INET, gate->table);
	/* Only what is put anew has its time anew. */
	for (size_t i = 0; i < (opens ? 3 : 2); i++)
		each_source(gate, put_opening, &(struct opening){ { &batch, again[i], gate, NULL }, which, count });
	int r = nft_batch_commit(&batch, netlink);
	if (r == -ENOENT)
		return gate_restore(netlink, gate, reterr);
	return r < 0 ? refuse(&batch, netlink, r, reterr) : 0;
}

int gate_open(struct netlink *netlink, const struct gate *gate, const size_t *which, size_t count, struct err **reterr)
{
	return change_opened(netlink, gate, which, count, true, reterr);
}

int gate_close(struct netlink *netlink, const struct gate *gate, const size_t *which, size_t count, struct err **reterr)
{
	return change_opened(netlink, gate, which, count, false, reterr);
}

bool gate_may_open(const struct inet_address *address)
{
	static const char *const never[] = { "0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/3", "::/96",
		"::ffff:0:0/96", "fe80::/10", "ff00::/8" };
	for (size_t i = 0; i < ARRAY_SIZE(never); i++) {
		struct inet_subnet subnet;
		if (inet_parse_subnet(never[i], &subnet) < 0 || inet_subnet_has(&subnet, address))
			return false;
	}
	return true;
}

static int remove_from(struct netlink *netlink, struct nft_batch *batch, const char *owner, const struct nft_set *set)
{
	int r = nft_put_commented_delete(batch, netlink, set, owner);
	return r == -ENOENT ? 0 : r;
}

int gate_owner_remove(struct netlink *netlink, const char *table, const char *owner, struct err **reterr)
{
	_cleanup_(nft_batch_finish) struct nft_batch batch;
	nft_batch_begin(&batch, NFPROTO_INET, table);
	int r = 0;
	for (size_t i = 0; i < ARRAY_SIZE(families) && r == 0; i++) {
		for (size_t set = 0; set < REFUSED && r == 0; set++)
			r = remove_from(netlink, &batch, owner, &families[i].sets[set]);
	}
	in_bridges(&batch);
	for (size_t i = 0; i < ARRAY_SIZE(families) && r == 0; i++)
		r = remove_from(netlink, &batch, owner, &families[i].sets[SOURCE]);
	if (r == 0)
		r = remove_from(netlink, &batch, owner, &held_ports);
	if (r < 0)
		return err_errno(reterr, r, "cannot read the table %s", table);
	r = nft_batch_commit(&batch, netlink);
	return r < 0 && r != -ENOENT ? refuse(&batch, netlink, r, reterr) : 0;
}

/* --- what was seen --- */

struct looking {
	const struct gate *gate;
	const struct family *family;
	const struct nft_set *set;
	const uint8_t *key; /* of an element, while it is asked whose it is */
	bool is_own;
	bool refused;
	gate_seen_fn *fn;
	void *user;
	struct nft_batch *forget;
};

static void compare_source(const struct lease_endpoint *endpoint, const struct inet_address *source, void *user)
{
	struct looking *looking = user;
	(void)endpoint;
	looking->is_own |= family_of(source) == looking->family &&
			   memcmp(source->bytes, looking->key, looking->family->size) == 0;
}

static int take_seen(const struct nft_element *element, void *user)
{
	struct looking *looking = user;
	const struct family *family = looking->family;
	struct gate_seen seen = { .address.is_v6 = family->number == NFPROTO_IPV6,
		.refused = looking->refused,
		.packets = element->packets };
	if (element->key.len != 2 * family->size + 8)
		return -EBADMSG;
	looking->key = element->key.bytes;
	looking->is_own = false;
	each_source(looking->gate, compare_source, looking);
	if (!looking->is_own)
		return 0;
	if (looking->forget) {
		nft_put_elements_delete(looking->forget, looking->set, element, 1);
		return 0;
	}
	const uint8_t *place = element->key.bytes + family->size;
	memcpy(seen.address.bytes, place, family->size);
	seen.protocol = place[family->size];
	seen.port = (uint16_t)(place[family->size + 4] << 8 | place[family->size + 5]);
	return looking->fn(&seen, looking->user);
}

static int look(struct netlink *netlink, struct looking *looking)
{
	const enum gate_set both[] = { REFUSED, NOTED };
	for (size_t i = 0; i < ARRAY_SIZE(families) * ARRAY_SIZE(both); i++) {
		looking->family = &families[i / ARRAY_SIZE(both)];
		looking->refused = both[i % ARRAY_SIZE(both)] == REFUSED;
		looking->set = &looking->family->sets[both[i % ARRAY_SIZE(both)]];
		int r = nft_elements_each(netlink, NFPROTO_INET, looking->gate->table, looking->set->name, take_seen,
			looking);
		if (r != 0 && r != -ENOENT)
			return r;
	}
	return 0;
}

int gate_seen_each(struct netlink *netlink, const struct gate *gate, gate_seen_fn *fn, void *user)
{
	return look(netlink, &(struct looking){ .gate = gate, .fn = fn, .user = user });
}

static void budget_of(const struct inet_address *source, struct nft_element *ret)
{
	*ret = (struct nft_element){ 0 };
	nft_value_add(&ret->key, family_of(source)->type, source->bytes);
}

struct asking {
	struct netlink *netlink;
	const char *table;
	bool has_some;
};

static void ask_budget(const struct lease_endpoint *endpoint, const struct inet_address *source, void *user)
{
	struct asking *asking = user;
	struct nft_element element;
	(void)endpoint;
	budget_of(source, &element);
	int r = nft_has_element(asking->netlink, NFPROTO_INET, asking->table, &family_of(source)->sets[BUDGET],
		&element);
	asking->has_some |= r != -ENOENT;
}

/* Deleted whether it is there or not. */
static void forget_budget(const struct lease_endpoint *endpoint, const struct inet_address *source, void *user)
{
	const struct family *family = family_of(source);
	struct nft_element element;
	(void)endpoint;
	budget_of(source, &element);
	nft_put_elements(user, &family->sets[BUDGET], &element, 1);
	nft_put_elements_delete(user, &family->sets[BUDGET], &element, 1);
}

/* What has taken nothing of its budget, the last hour, has nothing counted; and the sets have all containers' addresses. */
int gate_seen_forget(struct netlink *netlink, const struct gate *gate)
{
	struct asking asking = { .netlink = netlink, .table = gate->table };
	each_source(gate, ask_budget, &asking);
	if (!asking.has_some)
		return 0;
	_cleanup_(nft_batch_finish) struct nft_batch batch;
	nft_batch_begin(&batch, NFPROTO_INET, gate->table);
	int r = look(netlink, &(struct looking){ .gate = gate, .forget = &batch });
	each_source(gate, forget_budget, &batch);
	if (r == 0)
		r = nft_batch_commit(&batch, netlink);
	return r == -ENOENT ? 0 : r;
}
