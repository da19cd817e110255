#include "sys/nft_rules.h"

#include <endian.h>
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <linux/if_ether.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_tables_compat.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/xt_conntrack.h>
#include <linux/rtnetlink.h>

#define SLOTS     20 /* of 4 bytes: a verdict's, and the kernel's 16 */
#define DEPTH_MAX 16
#define STEPS_MAX 100000

struct chain {
	struct nft_chain_info info; /* its texts are the chain's own */
	char *table, *name, *type;
};

struct rule {
	uint8_t family;
	char *table, *chain;
	uint8_t *expressions; /* NFTA_RULE_EXPRESSIONS' content */
	size_t len;
};

struct nft_ruleset {
	struct netlink *netlink; /* borrowed: sets are asked for when a rule looks into them */
	struct chain *chains;
	size_t chain_count;
	struct rule *rules;
	size_t rule_count, rule_room;
};

/* --- reading --- */

static int take_chain(const struct nft_chain_info *info, void *user)
{
	struct nft_ruleset *ruleset = user;
	struct chain *grown = reallocarray(ruleset->chains, ruleset->chain_count + 1, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	ruleset->chains = grown;
	struct chain *chain = &grown[ruleset->chain_count++];
	*chain = (struct chain){ .info = *info,
		.table = strdup(info->table),
		.name = strdup(info->name),
		.type = info->type ? strdup(info->type) : NULL };
	if (!chain->table || !chain->name || (info->type && !chain->type))
		return -ENOMEM;
	chain->info.table = chain->table;
	chain->info.name = chain->name;
	chain->info.type = chain->type;
	return 0;
}

static int add_rule(struct nft_ruleset *ruleset, const struct rule *rule)
{
	if (ruleset->rule_count == NFT_RULES_MAX)
		return -E2BIG;
	if (ruleset->rule_count == ruleset->rule_room) {
		size_t room = ruleset->rule_room ? 2 * ruleset->rule_room : 64;
		struct rule *grown = reallocarray(ruleset->rules, room, sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		ruleset->rules = grown;
		ruleset->rule_room = room;
	}
	ruleset->rules[ruleset->rule_count++] = *rule;
	return 0;
}

static int take_rule(const struct nlmsghdr *message, void *user)
{
	const struct nlattr *table[NFTA_RULE_MAX + 1];
	int r = netlink_message_attributes(message, sizeof(struct nfgenmsg), table, NFTA_RULE_MAX);
	if (r < 0)
		return r;
	const char *name = netlink_text(table[NFTA_RULE_TABLE]), *chain = netlink_text(table[NFTA_RULE_CHAIN]);
	const struct nlattr *list = table[NFTA_RULE_EXPRESSIONS];
	if (!name || !chain)
		return -EBADMSG;
	struct rule rule = { .family = ((const struct nfgenmsg *)NLMSG_DATA(message))->nfgen_family,
		.table = strdup(name),
		.chain = strdup(chain),
		.len = list ? netlink_len(list) : 0 };
	rule.expressions = malloc(rule.len + 1);
	if (rule.expressions && list)
		memcpy(rule.expressions, netlink_data(list), rule.len);
	r = rule.table && rule.chain && rule.expressions ? add_rule(user, &rule) : -ENOMEM;
	if (r < 0) {
		free(rule.table);
		free(rule.chain);
		free(rule.expressions);
	}
	return r;
}

static int read_all(struct nft_ruleset *ruleset)
{
	const struct nfgenmsg header = { .nfgen_family = NFPROTO_UNSPEC, .version = NFNETLINK_V0 };
	_cleanup_(netlink_request_finish) struct netlink_request request = NETLINK_REQUEST;
	int r = nft_chains_each(ruleset->netlink, take_chain, ruleset);
	if (r < 0)
		return r;
	netlink_begin(&request, NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETRULE, 0, &header, sizeof(header));
	return netlink_dump(ruleset->netlink, &request, take_rule, ruleset);
}

int nft_ruleset_read(struct netlink *netlink, struct nft_ruleset **ret)
{
	int r = -EINTR;
	for (int i = 0; i < 5 && r == -EINTR; i++) { /* somebody changes them meanwhile */
		_autofree_(nft_ruleset) struct nft_ruleset *ruleset = calloc(1, sizeof(*ruleset));
		if (!ruleset)
			return -ENOMEM;
		ruleset->netlink = netlink;
		r = read_all(ruleset);
		if (r == 0)
			*ret = TAKE(ruleset);
	}
	return r;
}

void nft_ruleset_free(struct nft_ruleset *ruleset)
{
	if (!ruleset)
		return;
	for (size_t i = 0; i < ruleset->chain_count; i++) {
		free(ruleset->chains[i].table);
		free(ruleset->chains[i].name);
		free(ruleset->chains[i].type);
	}
	for (size_t i = 0; i < ruleset->rule_count; i++) {
		free(ruleset->rules[i].table);
		free(ruleset->rules[i].chain);
		free(ruleset->rules[i].expressions);
	}
	free(ruleset->chains);
	free(ruleset->rules);
	free(ruleset);
}

bool nft_ruleset_has_chain(const struct nft_ruleset *ruleset, uint8_t family, const char *table, const char *begin)
{
	for (size_t i = 0; i < ruleset->chain_count; i++) {
		const struct chain *chain = &ruleset->chains[i];
		if (chain->info.family == family && strcmp(chain->table, table) == 0 &&
			strncmp(chain->name, begin, strlen(begin)) == 0)
			return true;
	}
	return false;
}

/* --- a packet's way --- */

enum match { MATCH_NO, MATCH_PERHAPS, MATCH_YES };

struct walk {
	const struct nft_ruleset *ruleset;
	const struct nft_probe *probe;
	const struct rule *rule;
	uint8_t registers[SLOTS * 4];
	bool known[SLOTS];
	bool is_address; /* what was loaded last: it may be in an interval, which sets don't show */
	bool may_accept, may_drop;
	unsigned steps, depth;
};

/* What a rule, or a chain, comes to. */
enum outcome { GO_ON, ACCEPT, DROP, RETURN };

static size_t slot_of(const struct nlattr *attribute)
{
	uint32_t number = be32toh(netlink_u32(attribute, 0));
	if (number >= NFT_REG32_00 && number <= NFT_REG32_15)
		return 4 + number - NFT_REG32_00;
	return number <= NFT_REG_4 ? number * 4 : SLOTS;
}

static void store(struct walk *walk, size_t slot, const void *data, size_t len)
{
	if (slot >= SLOTS || len > (SLOTS - slot) * 4)
		return;
	size_t slots = (len + 3) / 4;
	memset(walk->registers + slot * 4, 0, slots * 4);
	if (data)
		memcpy(walk->registers + slot * 4, data, len);
	for (size_t i = slot; i < slot + slots; i++)
		walk->known[i] = data;
}

static bool is_known(const struct walk *walk, size_t slot, size_t len)
{
	if (slot >= SLOTS || len > (SLOTS - slot) * 4)
		return false;
	for (size_t i = slot; i < slot + (len + 3) / 4; i++) {
		if (!walk->known[i])
			return false;
	}
	return true;
}

static void load_meta(struct walk *walk, const struct nlattr **table)
{
	const struct nft_probe *probe = walk->probe;
	const size_t slot = slot_of(table[NFTA_META_DREG]);
	const uint8_t family = probe->destination.is_v6 ? NFPROTO_IPV6 : NFPROTO_IPV4;
	const uint16_t ethertype = htobe16(probe->destination.is_v6 ? ETH_P_IPV6 : ETH_P_IP);
	const uint32_t none = 0;
	switch (be32toh(netlink_u32(table[NFTA_META_KEY], 0))) {
	case NFT_META_IIFNAME: store(walk, slot, probe->in, sizeof(probe->in)); break;
	case NFT_META_OIFNAME: store(walk, slot, probe->out, sizeof(probe->out)); break;
	case NFT_META_IIF: store(walk, slot, &probe->in_index, sizeof(probe->in_index)); break;
	case NFT_META_OIF: store(walk, slot, &probe->out_index, sizeof(probe->out_index)); break;
	case NFT_META_NFPROTO: store(walk, slot, &family, sizeof(family)); break;
	case NFT_META_L4PROTO: store(walk, slot, &probe->protocol, sizeof(probe->protocol)); break;
	case NFT_META_PROTOCOL: store(walk, slot, &ethertype, sizeof(ethertype)); break;
	case NFT_META_MARK: store(walk, slot, &none, sizeof(none)); break;
	default: store(walk, slot, NULL, 4); break;
	}
}

static void load_ct(struct walk *walk, const struct nlattr **table)
{
	const size_t slot = slot_of(table[NFTA_CT_DREG]);
	const uint32_t state = NF_CT_STATE_BIT(IP_CT_NEW), status = walk->probe->is_published ? IPS_DST_NAT : 0,
		       none = 0;
	switch (be32toh(netlink_u32(table[NFTA_CT_KEY], UINT32_MAX))) {
	case NFT_CT_STATE: store(walk, slot, &state, sizeof(state)); break;
	case NFT_CT_STATUS: store(walk, slot, &status, sizeof(status)); break;
	case NFT_CT_MARK: store(walk, slot, &none, sizeof(none)); break;
	default: store(walk, slot, NULL, 16); break;
	}
}

static const void *network_field(const struct nft_probe *probe, uint32_t offset, uint32_t len)
{
	const uint32_t source = probe->destination.is_v6 ? 8 : 12, size = probe->destination.is_v6 ? 16 : 4;
	const uint32_t protocol = probe->destination.is_v6 ? 6 : 9;
	if (offset == protocol && len == 1)
		return &probe->protocol;
	if (offset >= source && offset + len <= source + size)
		return probe->source.bytes + (offset - source);
	if (offset >= source + size && offset + len <= source + 2 * size)
		return probe->destination.bytes + (offset - source - size);
	return NULL;
}

static void load_payload(struct walk *walk, const struct nlattr **table)
{
	const uint32_t base = be32toh(netlink_u32(table[NFTA_PAYLOAD_BASE], UINT32_MAX)),
		       offset = be32toh(netlink_u32(table[NFTA_PAYLOAD_OFFSET], 0)),
		       len = be32toh(netlink_u32(table[NFTA_PAYLOAD_LEN], 0));
	const uint16_t port = htobe16(walk->probe->port);
	const void *data = NULL;
	if (!table[NFTA_PAYLOAD_DREG] || len > 64)
		return;
	if (base == NFT_PAYLOAD_NETWORK_HEADER && offset < 64)
		data = network_field(walk->probe, offset, len);
	else if (base == NFT_PAYLOAD_TRANSPORT_HEADER && offset == 2 && len == 2)
		data = &port;
	walk->is_address = base == NFT_PAYLOAD_NETWORK_HEADER && len >= 4;
	store(walk, slot_of(table[NFTA_PAYLOAD_DREG]), data, len);
}

/* The bytes of an attribute NFTA_DATA_VALUE in one of NFTA_*_DATA. */
static const void *data_of(const struct nlattr *attribute, size_t *ret_len)
{
	const struct nlattr *data[NFTA_DATA_MAX + 1];
	*ret_len = 0;
	if (!attribute ||
		netlink_attributes(netlink_data(attribute), netlink_len(attribute), data, NFTA_DATA_MAX) < 0 ||
		!data[NFTA_DATA_VALUE])
		return NULL;
	*ret_len = netlink_len(data[NFTA_DATA_VALUE]);
	return netlink_data(data[NFTA_DATA_VALUE]);
}

static void mask(struct walk *walk, const struct nlattr **table)
{
	size_t from = slot_of(table[NFTA_BITWISE_SREG]), to = slot_of(table[NFTA_BITWISE_DREG]), len, xor_len;
	const uint8_t *and = data_of(table[NFTA_BITWISE_MASK], &len), *xor = data_of(table[NFTA_BITWISE_XOR], &xor_len);
	uint8_t result[64];
	if (!and || !xor || xor_len != len || len > sizeof(result) || !is_known(walk, from, len)) {
		store(walk, to, NULL, be32toh(netlink_u32(table[NFTA_BITWISE_LEN], 4)));
		return;
	}
	for (size_t i = 0; i < len; i++)
		result[i] = (uint8_t)((walk->registers[from * 4 + i] & and[i]) ^ xor[i]);
	store(walk, to, result, len);
}

static enum match as_match(bool is_so)
{
	return is_so ? MATCH_YES : MATCH_NO;
}

static enum match compare(const struct walk *walk, const struct nlattr **table)
{
	size_t slot = slot_of(table[NFTA_CMP_SREG]), len;
	const void *data = data_of(table[NFTA_CMP_DATA], &len);
	if (!data || !is_known(walk, slot, len))
		return MATCH_PERHAPS;
	int order = memcmp(walk->registers + slot * 4, data, len);
	switch (be32toh(netlink_u32(table[NFTA_CMP_OP], UINT32_MAX))) {
	case NFT_CMP_EQ: return as_match(order == 0);
	case NFT_CMP_NEQ: return as_match(order != 0);
	case NFT_CMP_LT: return as_match(order < 0);
	case NFT_CMP_LTE: return as_match(order <= 0);
	case NFT_CMP_GT: return as_match(order > 0);
	case NFT_CMP_GTE: return as_match(order >= 0);
	default: return MATCH_PERHAPS;
	}
}

static enum match in_range(const struct walk *walk, const struct nlattr **table)
{
	size_t slot = slot_of(table[NFTA_RANGE_SREG]), from_len, to_len;
	const void *from = data_of(table[NFTA_RANGE_FROM_DATA], &from_len),
		   *to = data_of(table[NFTA_RANGE_TO_DATA], &to_len);
	if (!from || !to || from_len != to_len || !is_known(walk, slot, from_len))
		return MATCH_PERHAPS;
	const uint8_t *value = walk->registers + slot * 4;
	bool is_in = memcmp(value, from, from_len) >= 0 && memcmp(value, to, to_len) <= 0;
	bool is_wanted = be32toh(netlink_u32(table[NFTA_RANGE_OP], 0)) == NFT_RANGE_EQ;
	return as_match(is_in == is_wanted);
}

struct look {
	const struct walk *walk;
	size_t slot;
	bool is_unknown, is_found;
};

static int look_at(const struct nft_element *element, void *user)
{
	struct look *look = user;
	size_t len = element->key.len;
	if (!is_known(look->walk, look->slot, len)) {
		look->is_unknown = true;
		return 0;
	}
	const uint8_t *value = look->walk->registers + look->slot * 4;
	if (element->last.len == len)
		look->is_found |= memcmp(value, element->key.bytes, len) >= 0 &&
				  memcmp(value, element->last.bytes, len) <= 0;
	else
		look->is_found |= memcmp(value, element->key.bytes, len) == 0;
	return 0;
}

static enum match look_up(const struct walk *walk, const struct nlattr **table)
{
	const char *set = netlink_text(table[NFTA_LOOKUP_SET]);
	struct look look = { .walk = walk, .slot = slot_of(table[NFTA_LOOKUP_SREG]) };
	bool is_inverted = be32toh(netlink_u32(table[NFTA_LOOKUP_FLAGS], 0)) & NFT_LOOKUP_F_INV;
	if (!set || nft_elements_each(walk->ruleset->netlink, walk->rule->family, walk->rule->table, set, look_at,
			    &look) < 0)
		return MATCH_PERHAPS;
	if (look.is_unknown || (!look.is_found && walk->is_address))
		return MATCH_PERHAPS;
	/* What a map says of it is not looked at. */
	if (look.is_found && table[NFTA_LOOKUP_DREG])
		return MATCH_PERHAPS;
	return as_match(look.is_found != is_inverted);
}

/* Of iptables': its kind of expression is a name and a struct. */
static enum match match_xt(const struct walk *walk, const struct nlattr **table)
{
	const char *name = netlink_text(table[NFTA_MATCH_NAME]);
	const struct nlattr *info = table[NFTA_MATCH_INFO];
	struct xt_conntrack_mtinfo3 conntrack;
	if (name && strcmp(name, "comment") == 0)
		return MATCH_YES;
	if (!name || strcmp(name, "conntrack") != 0 || !info || netlink_len(info) < sizeof(conntrack))
		return MATCH_PERHAPS;
	memcpy(&conntrack, netlink_data(info), sizeof(conntrack));
	if (conntrack.match_flags != XT_CONNTRACK_STATE)
		return MATCH_PERHAPS;
	uint16_t is = XT_CONNTRACK_STATE_BIT(IP_CT_NEW) | (walk->probe->is_published ? XT_CONNTRACK_STATE_DNAT : 0);
	return as_match(!(conntrack.state_mask & is) == !!(conntrack.invert_flags & XT_CONNTRACK_STATE));
}

/* --- verdicts --- */

static enum outcome walk_chain(struct walk *walk, uint8_t family, const char *table, const char *chain);

static enum outcome jump(struct walk *walk, const char *chain)
{
	const struct rule *rule = walk->rule;
	if (!chain || walk->depth >= DEPTH_MAX)
		return GO_ON;
	walk->depth++;
	enum outcome outcome = walk_chain(walk, rule->family, rule->table, chain);
	walk->depth--;
	walk->rule = rule;
	return outcome;
}

static enum outcome verdict(struct walk *walk, const struct nlattr *attribute)
{
	const struct nlattr *data[NFTA_DATA_MAX + 1], *table[NFTA_VERDICT_MAX + 1];
	if (!attribute ||
		netlink_attributes(netlink_data(attribute), netlink_len(attribute), data, NFTA_DATA_MAX) < 0 ||
		!data[NFTA_DATA_VERDICT] ||
		netlink_attributes(netlink_data(data[NFTA_DATA_VERDICT]), netlink_len(data[NFTA_DATA_VERDICT]), table,
			NFTA_VERDICT_MAX) < 0)
		return GO_ON;
	int code = (int)be32toh(netlink_u32(table[NFTA_VERDICT_CODE], htobe32((uint32_t)NFT_CONTINUE)));
	const char *chain = netlink_text(table[NFTA_VERDICT_CHAIN]);
	enum outcome outcome;
	switch (code) {
	case NF_ACCEPT: return ACCEPT;
	case NF_DROP: return DROP;
	case NFT_RETURN: return RETURN;
	case NFT_JUMP: outcome = jump(walk, chain); return outcome == RETURN ? GO_ON : outcome;
	case NFT_GOTO: outcome = jump(walk, chain); return outcome == GO_ON ? RETURN : outcome;
	default: return code == NFT_CONTINUE ? GO_ON : ACCEPT; /* a queue: somebody looks at it */
	}
}

static enum outcome target_xt(struct walk *walk, const struct nlattr **table)
{
	static const char *const harmless[] = { "LOG", "NFLOG", "MARK", "CONNMARK", "TCPMSS", "CT", "NOTRACK", "TOS",
		"DSCP" };
	const char *name = netlink_text(table[NFTA_TARGET_NAME]);
	if (name && strcmp(name, "REJECT") == 0)
		return DROP;
	for (size_t i = 0; name && i < ARRAY_SIZE(harmless); i++) {
		if (strcmp(name, harmless[i]) == 0)
			return GO_ON;
	}
	walk->may_drop = true;
	return GO_ON;
}

static bool is_one_of(const char *name, const char *const *list)
{
	for (; *list; list++) {
		if (strcmp(name, *list) == 0)
			return true;
	}
	return false;
}

/* One expression: whether the rule goes on, and with what. */
static enum match step(struct walk *walk, const char *name, const struct nlattr *data, enum outcome *ret)
{
	static const char *const idle[] = { "counter", "log", "notrack", "objref", "last", "nat", "masq", NULL };
	const struct nlattr *table[32] = { 0 };
	size_t len;
	if (data && netlink_attributes(netlink_data(data), netlink_len(data), table, ARRAY_SIZE(table) - 1) < 0)
		return MATCH_PERHAPS;
	if (strcmp(name, "meta") == 0 && table[NFTA_META_DREG]) {
		walk->is_address = false;
		load_meta(walk, table);
	} else if (strcmp(name, "ct") == 0 && table[NFTA_CT_DREG]) {
		walk->is_address = false;
		load_ct(walk, table);
	} else if (strcmp(name, "payload") == 0) {
		load_payload(walk, table);
	} else if (strcmp(name, "bitwise") == 0) {
		mask(walk, table);
	} else if (strcmp(name, "cmp") == 0) {
		return compare(walk, table);
	} else if (strcmp(name, "range") == 0) {
		return in_range(walk, table);
	} else if (strcmp(name, "lookup") == 0) {
		return look_up(walk, table);
	} else if (strcmp(name, "match") == 0) {
		return match_xt(walk, table);
	} else if (strcmp(name, "target") == 0) {
		*ret = target_xt(walk, table);
	} else if (strcmp(name, "reject") == 0) {
		*ret = DROP;
	} else if (strcmp(name, "immediate") == 0) {
		const void *value = data_of(table[NFTA_IMMEDIATE_DATA], &len);
		if (value)
			store(walk, slot_of(table[NFTA_IMMEDIATE_DREG]), value, len);
		else
			*ret = verdict(walk, table[NFTA_IMMEDIATE_DATA]);
	} else if (!is_one_of(name, idle)) {
		return MATCH_PERHAPS;
	}
	return MATCH_YES;
}

/* What may be so is kept in mind, and the walk goes on as if it were not. */
static enum outcome perhaps(struct walk *walk, enum outcome outcome)
{
	walk->may_accept |= outcome == ACCEPT;
	walk->may_drop |= outcome == DROP;
	return GO_ON;
}

static enum outcome walk_rule(struct walk *walk, const struct rule *rule)
{
	enum match so_far = MATCH_YES;
	enum outcome outcome = GO_ON;
	const uint8_t *at = rule->expressions, *end = at + rule->len;
	walk->rule = rule;
	memset(walk->known, 0, sizeof(walk->known));
	while ((size_t)(end - at) >= NLA_HDRLEN && outcome == GO_ON) {
		struct nlattr head;
		const struct nlattr *table[NFTA_EXPR_MAX + 1];
		memcpy(&head, at, sizeof(head));
		if (head.nla_len < NLA_HDRLEN || head.nla_len > end - at ||
			netlink_attributes(at + NLA_HDRLEN, head.nla_len - NLA_HDRLEN, table, NFTA_EXPR_MAX) < 0)
			break;
		const char *name = netlink_text(table[NFTA_EXPR_NAME]);
		enum match match = name ? step(walk, name, table[NFTA_EXPR_DATA], &outcome) : MATCH_PERHAPS;
		if (match == MATCH_NO)
			return GO_ON;
		so_far = match < so_far ? match : so_far;
		size_t bytes = NLA_ALIGN(head.nla_len);
		at = bytes < (size_t)(end - at) ? at + bytes : end;
	}
	return so_far == MATCH_YES ? outcome : perhaps(walk, outcome);
}

static enum outcome walk_chain(struct walk *walk, uint8_t family, const char *table, const char *chain)
{
	for (size_t i = 0; i < walk->ruleset->rule_count && walk->steps < STEPS_MAX; i++) {
		const struct rule *rule = &walk->ruleset->rules[i];
		if (rule->family != family || strcmp(rule->table, table) != 0 || strcmp(rule->chain, chain) != 0)
			continue;
		walk->steps++;
		enum outcome outcome = walk_rule(walk, rule);
		if (outcome != GO_ON)
			return outcome;
	}
	return GO_ON;
}

static void try_chain(const struct nft_ruleset *ruleset, const struct nft_chain_info *chain,
	const struct nft_probe *probe, nft_verdict_fn *fn, void *user)
{
	struct walk walk = { .ruleset = ruleset, .probe = probe };
	struct nft_verdict_of result = { .chain = chain };
	enum outcome outcome = walk_chain(&walk, chain->family, chain->table, chain->name);
	result.by_policy = outcome == GO_ON || outcome == RETURN;
	bool is_dropped = outcome == DROP || (result.by_policy && chain->policy == NF_DROP);
	bool is_unclear = is_dropped ? walk.may_accept : walk.may_drop;
	result.fate = is_unclear ? NFT_FATE_UNCLEAR : is_dropped ? NFT_FATE_DROPPED : NFT_FATE_ACCEPTED;
	fn(&result, user);
}

void nft_ruleset_try(const struct nft_ruleset *ruleset, uint32_t hook, const struct nft_probe *probe,
	const char *but_for, nft_verdict_fn *fn, void *user)
{
	const uint8_t own = probe->destination.is_v6 ? NFPROTO_IPV6 : NFPROTO_IPV4;
	for (size_t i = 0; i < ruleset->chain_count; i++) {
		const struct nft_chain_info *chain = &ruleset->chains[i].info;
		if (!chain->type || strcmp(chain->type, "filter") != 0 || chain->hook != hook)
			continue;
		if (chain->family == NFPROTO_INET ? strcmp(chain->table, but_for) == 0 : chain->family != own)
			continue;
		try_chain(ruleset, chain, probe, fn, user);
	}
}
