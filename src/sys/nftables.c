#include "sys/nftables.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include <linux/netfilter/nfnetlink.h>
#include <net/if.h>
#include <sys/socket.h>

/* What a list of elements may hold: its length is a number of 16 bits, and one element is far below the rest. */
#define ELEMENTS_BYTES_MAX 60000
/* nft's own tags in user data: of a rule's comment, and of an element's. */
#define COMMENT_TAG 0

/* The places of nft_batch.rule. */
enum { NEST_EXPRESSIONS, NEST_EXPRESSION, NEST_DATA };

static void begin_in(struct nft_batch *batch, uint16_t type, uint16_t flags, uint8_t family, uint16_t resource)
{
	const struct nfgenmsg header = {
		.nfgen_family = family,
		.version = NFNETLINK_V0,
		.res_id = htobe16(resource),
	};
	netlink_begin(&batch->request, type, flags, &header, sizeof(header));
}

static void begin(struct nft_batch *batch, uint16_t type, uint16_t flags)
{
	batch->list_set = NULL;
	begin_in(batch, (uint16_t)(NFNL_SUBSYS_NFTABLES << 8 | type), flags, batch->family, 0);
}

void nft_batch_begin(struct nft_batch *batch, uint8_t family, const char *table)
{
	*batch = (struct nft_batch){ .request = NETLINK_REQUEST, .family = family, .table = table };
	begin_in(batch, NFNL_MSG_BATCH_BEGIN, 0, AF_UNSPEC, NFNL_SUBSYS_NFTABLES);
}

int nft_batch_commit(struct nft_batch *batch, struct netlink *netlink)
{
	begin_in(batch, NFNL_MSG_BATCH_END, 0, AF_UNSPEC, NFNL_SUBSYS_NFTABLES);
	return netlink_transact_batch(netlink, &batch->request);
}

void nft_batch_finish(struct nft_batch *batch)
{
	netlink_request_finish(&batch->request);
}

/* --- what failed --- */

struct message_name {
	uint16_t type;
	const char *object;
	const char *action;
	uint16_t name; /* attribute with the object's own name; the table's is always the first one */
};

static const struct message_name message_names[] = {
	{ NFT_MSG_NEWTABLE, "table", "new", 0 },
	{ NFT_MSG_DELTABLE, "table", "delete", 0 },
	{ NFT_MSG_NEWCHAIN, "chain", "new", NFTA_CHAIN_NAME },
	{ NFT_MSG_NEWRULE, "chain", "new rule", NFTA_RULE_CHAIN },
	{ NFT_MSG_DELRULE, "chain", "delete rules", NFTA_RULE_CHAIN },
	{ NFT_MSG_NEWSET, "set", "new", NFTA_SET_NAME },
	{ NFT_MSG_NEWSETELEM, "set", "new elements", NFTA_SET_ELEM_LIST_SET },
	{ NFT_MSG_DELSETELEM, "set", "delete elements", NFTA_SET_ELEM_LIST_SET },
};

/* Message number `index` of the request, or NULL. */
static const struct nlmsghdr *message_of(const struct netlink_request *request, unsigned index)
{
	const char *at = request->data.data, *end = at + request->data.len;
	for (; at < end; at += NLMSG_ALIGN(((const struct nlmsghdr *)(const void *)at)->nlmsg_len)) {
		if (index-- == 0)
			return (const void *)at;
	}
	return NULL;
}

static void describe_message(const struct nft_batch *batch, const struct nlmsghdr *message, struct buf *out)
{
	const struct nlattr *table[NFTA_CHAIN_MAX + 1] = { 0 };
	netlink_message_attributes(message, sizeof(struct nfgenmsg), table, NFTA_CHAIN_MAX);
	for (size_t i = 0; i < ARRAY_SIZE(message_names); i++) {
		const struct message_name *name = &message_names[i];
		if ((message->nlmsg_type & 0xff) != name->type)
			continue;
		const char *own = name->name ? netlink_text(table[name->name]) : NULL;
		if (own)
			buf_printf(out, "%s %s of ", name->object, own);
		buf_printf(out, "table %s: %s: ", batch->table, name->action);
		return;
	}
	buf_printf(out, "table %s: ", batch->table);
}

void nft_batch_describe(const struct nft_batch *batch, const struct netlink *netlink, int error, struct buf *out)
{
	const struct nlmsghdr *message = batch->request.error == 0 ? message_of(&batch->request, netlink->failed)
								   : NULL;
	if (message)
		describe_message(batch, message, out);
	else
		buf_printf(out, "table %s: ", batch->table);
	buf_puts(out, strerror(-error));
	if (netlink->complaint[0])
		buf_printf(out, " (%s)", netlink->complaint);
}

/* --- tables and chains --- */

static void put_table(struct nft_batch *batch, uint16_t flags)
{
	begin(batch, NFT_MSG_NEWTABLE, flags);
	netlink_put_text(&batch->request, NFTA_TABLE_NAME, batch->table);
}

void nft_put_table(struct nft_batch *batch)
{
	put_table(batch, NLM_F_CREATE);
}

void nft_put_new_table(struct nft_batch *batch)
{
	put_table(batch, NLM_F_CREATE | NLM_F_EXCL);
}

void nft_put_table_delete(struct nft_batch *batch)
{
	begin(batch, NFT_MSG_DELTABLE, 0);
	netlink_put_text(&batch->request, NFTA_TABLE_NAME, batch->table);
}

void nft_put_chain(struct nft_batch *batch, const struct nft_chain *chain)
{
	struct netlink_request *request = &batch->request;
	begin(batch, NFT_MSG_NEWCHAIN, NLM_F_CREATE);
	netlink_put_text(request, NFTA_CHAIN_TABLE, batch->table);
	netlink_put_text(request, NFTA_CHAIN_NAME, chain->name);
	if (!chain->type)
		return;
	netlink_put_be32(request, NFTA_CHAIN_POLICY, chain->policy);
	netlink_put_text(request, NFTA_CHAIN_TYPE, chain->type);
	size_t nest = netlink_nest(request, NFTA_CHAIN_HOOK);
	netlink_put_be32(request, NFTA_HOOK_HOOKNUM, chain->hook);
	netlink_put_be32(request, NFTA_HOOK_PRIORITY, (uint32_t)chain->priority);
	netlink_nest_end(request, nest);
}

void nft_put_flush(struct nft_batch *batch, const char *chain)
{
	begin(batch, NFT_MSG_DELRULE, 0);
	netlink_put_text(&batch->request, NFTA_RULE_TABLE, batch->table);
	if (chain)
		netlink_put_text(&batch->request, NFTA_RULE_CHAIN, chain);
}

/* --- values, sets and maps --- */

#define SLOT_SIZE         4
#define IN_SLOTS(len)     (((len) + SLOT_SIZE - 1) / SLOT_SIZE * SLOT_SIZE)
#define NFT_TYPE_BITS     6 /* of each field in the number that names a concatenation */
#define NFT_DATA_IS_VALUE 0 /* any number but 0xffffff00 and above, of a map whose data have no type for nft */

size_t nft_type_size(enum nft_type type)
{
	switch (type) {
	case NFT_TYPE_IPV4:
	case NFT_TYPE_MARK: return 4;
	case NFT_TYPE_IPV6: return 16;
	case NFT_TYPE_PROTOCOL: return 1;
	case NFT_TYPE_ETHERTYPE:
	case NFT_TYPE_PORT: return 2;
	case NFT_TYPE_INTERFACE: return IF_NAMESIZE;
	case NFT_TYPE_NONE: break;
	}
	return 0;
}

void nft_value_add(struct nft_value *value, enum nft_type type, const void *data)
{
	size_t size = nft_type_size(type), len = type == NFT_TYPE_INTERFACE ? strnlen(data, size) : size;
	assert(value->len + IN_SLOTS(size) <= sizeof(value->bytes));
	memcpy(value->bytes + value->len, data, len);
	value->len += IN_SLOTS(size);
}

void nft_value_add_port(struct nft_value *value, uint16_t port)
{
	uint16_t in_nets_order = htobe16(port);
	nft_value_add(value, NFT_TYPE_PORT, &in_nets_order);
}

static size_t field_count(const enum nft_type *fields)
{
	size_t count = 0;
	while (count < NFT_FIELDS_MAX && fields[count] != NFT_TYPE_NONE)
		count++;
	return count;
}

/* Of the whole: a single field has its own length, one among others is padded. */
static size_t fields_size(const enum nft_type *fields)
{
	size_t count = field_count(fields), size = 0;
	for (size_t i = 0; i < count; i++)
		size += IN_SLOTS(nft_type_size(fields[i]));
	return count == 1 ? nft_type_size(fields[0]) : size;
}

static uint32_t fields_type(const enum nft_type *fields)
{
	uint32_t type = 0;
	for (size_t i = 0, count = field_count(fields); i < count; i++)
		type = type << NFT_TYPE_BITS | fields[i];
	return type;
}

static void put_description(struct netlink_request *request, const struct nft_set *set, bool has_fields)
{
	const enum nft_type *fields = set->key;
	if (!has_fields && set->size == 0)
		return;
	size_t description = netlink_nest(request, NFTA_SET_DESC);
	if (set->size > 0)
		netlink_put_be32(request, NFTA_SET_DESC_SIZE, set->size);
	if (!has_fields) {
		netlink_nest_end(request, description);
		return;
	}
	size_t concatenation = netlink_nest(request, NFTA_SET_DESC_CONCAT);
	for (size_t i = 0, count = field_count(fields); i < count; i++) {
		size_t field = netlink_nest(request, NFTA_LIST_ELEM);
		netlink_put_be32(request, NFTA_SET_FIELD_LEN, (uint32_t)nft_type_size(fields[i]));
		netlink_nest_end(request, field);
	}
	netlink_nest_end(request, concatenation);
	netlink_nest_end(request, description);
}

void nft_put_set(struct nft_batch *batch, const struct nft_set *set)
{
	/* nft takes a name alone for a number in the net's order, unless it is told: tag, length, 32 bits. */
	static const uint8_t host_order[] = { 0, 4, __BYTE_ORDER == __LITTLE_ENDIAN, 0, 0,
		__BYTE_ORDER == __BIG_ENDIAN };
	struct netlink_request *request = &batch->request;
	bool is_map = set->data[0] != NFT_TYPE_NONE;
	bool has_fields = field_count(set->key) > 1 &&
			  (set->flags & NFT_SET_INTERVAL); /* for others it is one long key */
	begin(batch, NFT_MSG_NEWSET, NLM_F_CREATE);
	netlink_put_text(request, NFTA_SET_TABLE, batch->table);
	netlink_put_text(request, NFTA_SET_NAME, set->name);
	netlink_put_be32(request, NFTA_SET_ID, ++batch->set_id);
	netlink_put_be32(request, NFTA_SET_FLAGS,
		set->flags | (is_map ? NFT_SET_MAP : 0) | (has_fields ? NFT_SET_CONCAT : 0));
	netlink_put_be32(request, NFTA_SET_KEY_TYPE, fields_type(set->key));
	netlink_put_be32(request, NFTA_SET_KEY_LEN, (uint32_t)fields_size(set->key));
	if (is_map) {
		netlink_put_be32(request, NFTA_SET_DATA_TYPE, fields_type(set->data));
		netlink_put_be32(request, NFTA_SET_DATA_LEN, (uint32_t)fields_size(set->data));
	}
	put_description(request, set, has_fields);
	if (set->timeout_ms > 0)
		netlink_put_be64(request, NFTA_SET_TIMEOUT, set->timeout_ms);
	if (set->key[0] == NFT_TYPE_INTERFACE && set->key[1] == NFT_TYPE_NONE)
		netlink_put(request, NFTA_SET_USERDATA, host_order, sizeof(host_order));
}

static void put_value(struct netlink_request *request, uint16_t type, const void *data, size_t len)
{
	size_t nest = netlink_nest(request, type);
	netlink_put(request, NFTA_DATA_VALUE, data, len);
	netlink_nest_end(request, nest);
}

static void put_comment(struct netlink_request *request, uint16_t type, const char *comment)
{
	char data[2 + NFT_COMMENT_SIZE] = { COMMENT_TAG };
	size_t len = strnlen(comment, NFT_COMMENT_SIZE - 1);
	memcpy(data + 2, comment, len);
	data[1] = (char)(len + 1);
	netlink_put(request, type, data, 2 + len + 1);
}

/* The key behind an interval that has no fields: nf_tables ends such a one where the next element begins. Whether there is one. */
static bool next_key(const struct nft_value *last, size_t size, struct nft_value *ret)
{
	*ret = *last;
	for (size_t i = size; i-- > 0;) {
		if (++ret->bytes[i] != 0)
			return true;
	}
	return false;
}

static void put_element(struct netlink_request *request, const struct nft_set *set, const struct nft_element *element)
{
	size_t key_size = fields_size(set->key);
	bool is_concatenation = field_count(set->key) > 1, is_interval = set->flags & NFT_SET_INTERVAL;
	const struct nft_value *last = element->last.len > 0 ? &element->last : &element->key;
	size_t nest = netlink_nest(request, NFTA_LIST_ELEM);
	put_value(request, NFTA_SET_ELEM_KEY, element->key.bytes, key_size);
	if (is_concatenation && is_interval)
		put_value(request, NFTA_SET_ELEM_KEY_END, last->bytes, key_size);
	if (element->data.len > 0)
		put_value(request, NFTA_SET_ELEM_DATA, element->data.bytes, fields_size(set->data));
	if (element->timeout_ms > 0)
		netlink_put_be64(request, NFTA_SET_ELEM_TIMEOUT, element->timeout_ms);
	if (element->comment)
		put_comment(request, NFTA_SET_ELEM_USERDATA, element->comment);
	netlink_nest_end(request, nest);

	struct nft_value end;
	if (!is_interval || is_concatenation || !next_key(last, key_size, &end))
		return;
	nest = netlink_nest(request, NFTA_LIST_ELEM);
	put_value(request, NFTA_SET_ELEM_KEY, end.bytes, key_size);
	netlink_put_be32(request, NFTA_SET_ELEM_FLAGS, NFT_SET_ELEM_INTERVAL_END);
	netlink_nest_end(request, nest);
}

/* A list that the next elements go into: the last one, if it is of the same kind and has room. */
static void list_begin(struct nft_batch *batch, uint16_t type, uint16_t flags, const struct nft_set *set)
{
	struct netlink_request *request = &batch->request;
	if (batch->list_set == set && batch->list_type == type && request->data.len - batch->list < ELEMENTS_BYTES_MAX)
		return;
	begin(batch, type, flags);
	netlink_put_text(request, NFTA_SET_ELEM_LIST_TABLE, batch->table);
	netlink_put_text(request, NFTA_SET_ELEM_LIST_SET, set->name);
	batch->list = netlink_nest(request, NFTA_SET_ELEM_LIST_ELEMENTS);
	batch->list_set = set;
	batch->list_type = type;
}

static void put_elements(struct nft_batch *batch, uint16_t type, uint16_t flags, const struct nft_set *set,
	const struct nft_element *elements, size_t count)
{
	for (size_t i = 0; i < count && batch->request.error == 0; i++) {
		list_begin(batch, type, flags, set);
		put_element(&batch->request, set, &elements[i]);
		netlink_nest_end(&batch->request, batch->list);
	}
}

void nft_put_elements(struct nft_batch *batch, const struct nft_set *set, const struct nft_element *elements,
	size_t count)
{
	put_elements(batch, NFT_MSG_NEWSETELEM, NLM_F_CREATE, set, elements, count);
}

void nft_put_elements_delete(struct nft_batch *batch, const struct nft_set *set, const struct nft_element *elements,
	size_t count)
{
	put_elements(batch, NFT_MSG_DELSETELEM, 0, set, elements, count);
}

void nft_put_set_flush(struct nft_batch *batch, const struct nft_set *set)
{
	begin(batch, NFT_MSG_DELSETELEM, 0);
	netlink_put_text(&batch->request, NFTA_SET_ELEM_LIST_TABLE, batch->table);
	netlink_put_text(&batch->request, NFTA_SET_ELEM_LIST_SET, set->name);
}

/* --- rules --- */

void nft_rule_begin(struct nft_batch *batch, const char *chain)
{
	begin(batch, NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND);
	netlink_put_text(&batch->request, NFTA_RULE_TABLE, batch->table);
	netlink_put_text(&batch->request, NFTA_RULE_CHAIN, chain);
	batch->rule[NEST_EXPRESSIONS] = netlink_nest(&batch->request, NFTA_RULE_EXPRESSIONS);
}

void nft_rule_end(struct nft_batch *batch, const char *comment)
{
	netlink_nest_end(&batch->request, batch->rule[NEST_EXPRESSIONS]);
	if (comment)
		put_comment(&batch->request, NFTA_RULE_USERDATA, comment);
}

static struct netlink_request *expression_begin(struct nft_batch *batch, const char *name)
{
	batch->rule[NEST_EXPRESSION] = netlink_nest(&batch->request, NFTA_LIST_ELEM);
	netlink_put_text(&batch->request, NFTA_EXPR_NAME, name);
	batch->rule[NEST_DATA] = netlink_nest(&batch->request, NFTA_EXPR_DATA);
	return &batch->request;
}

static void expression_end(struct nft_batch *batch)
{
	netlink_nest_end(&batch->request, batch->rule[NEST_DATA]);
	netlink_nest_end(&batch->request, batch->rule[NEST_EXPRESSION]);
}

static void put_slot(struct netlink_request *request, uint16_t type, uint8_t slot)
{
	netlink_put_be32(request, type, NFT_REG32_00 + (uint32_t)slot);
}

void nft_load_meta(struct nft_batch *batch, enum nft_meta_keys key, uint8_t slot)
{
	struct netlink_request *request = expression_begin(batch, "meta");
	put_slot(request, NFTA_META_DREG, slot);
	netlink_put_be32(request, NFTA_META_KEY, key);
	expression_end(batch);
}

void nft_load_ct(struct nft_batch *batch, enum nft_ct_keys key, uint8_t slot)
{
	struct netlink_request *request = expression_begin(batch, "ct");
	put_slot(request, NFTA_CT_DREG, slot);
	netlink_put_be32(request, NFTA_CT_KEY, key);
	expression_end(batch);
}

void nft_load_payload(struct nft_batch *batch, enum nft_payload_bases base, uint32_t offset, uint32_t len, uint8_t slot)
{
	struct netlink_request *request = expression_begin(batch, "payload");
	put_slot(request, NFTA_PAYLOAD_DREG, slot);
	netlink_put_be32(request, NFTA_PAYLOAD_BASE, base);
	netlink_put_be32(request, NFTA_PAYLOAD_OFFSET, offset);
	netlink_put_be32(request, NFTA_PAYLOAD_LEN, len);
	expression_end(batch);
}

void nft_store_payload(struct nft_batch *batch, enum nft_payload_bases base, uint32_t offset, uint32_t len,
	uint32_t checksum_offset, uint8_t slot)
{
	struct netlink_request *request = expression_begin(batch, "payload");
	put_slot(request, NFTA_PAYLOAD_SREG, slot);
	netlink_put_be32(request, NFTA_PAYLOAD_BASE, base);
	netlink_put_be32(request, NFTA_PAYLOAD_OFFSET, offset);
	netlink_put_be32(request, NFTA_PAYLOAD_LEN, len);
	netlink_put_be32(request, NFTA_PAYLOAD_CSUM_TYPE, NFT_PAYLOAD_CSUM_INET);
	netlink_put_be32(request, NFTA_PAYLOAD_CSUM_OFFSET, checksum_offset);
	expression_end(batch);
}

void nft_load_fib_daddr_type(struct nft_batch *batch, uint8_t slot)
{
	struct netlink_request *request = expression_begin(batch, "fib");
	put_slot(request, NFTA_FIB_DREG, slot);
	netlink_put_be32(request, NFTA_FIB_RESULT, NFT_FIB_RESULT_ADDRTYPE);
	netlink_put_be32(request, NFTA_FIB_FLAGS, NFTA_FIB_F_DADDR);
	expression_end(batch);
}

void nft_load_immediate(struct nft_batch *batch, uint8_t slot, const void *data, size_t len)
{
	struct netlink_request *request = expression_begin(batch, "immediate");
	put_slot(request, NFTA_IMMEDIATE_DREG, slot);
	put_value(request, NFTA_IMMEDIATE_DATA, data, len);
	expression_end(batch);
}

void nft_mask(struct nft_batch *batch, uint8_t slot, const void *mask, size_t len)
{
	static const uint8_t zeros[NFT_VALUE_MAX];
	assert(len <= sizeof(zeros));
	struct netlink_request *request = expression_begin(batch, "bitwise");
	put_slot(request, NFTA_BITWISE_SREG, slot);
	put_slot(request, NFTA_BITWISE_DREG, slot);
	netlink_put_be32(request, NFTA_BITWISE_LEN, (uint32_t)len);
	put_value(request, NFTA_BITWISE_MASK, mask, len);
	put_value(request, NFTA_BITWISE_XOR, zeros, len);
	expression_end(batch);
}

void nft_compare(struct nft_batch *batch, uint8_t slot, enum nft_cmp_ops op, const void *data, size_t len)
{
	struct netlink_request *request = expression_begin(batch, "cmp");
	put_slot(request, NFTA_CMP_SREG, slot);
	netlink_put_be32(request, NFTA_CMP_OP, op);
	put_value(request, NFTA_CMP_DATA, data, len);
	expression_end(batch);
}

void nft_lookup(struct nft_batch *batch, uint8_t slot, const char *set, bool is_in)
{
	struct netlink_request *request = expression_begin(batch, "lookup");
	netlink_put_text(request, NFTA_LOOKUP_SET, set);
	put_slot(request, NFTA_LOOKUP_SREG, slot);
	if (!is_in)
		netlink_put_be32(request, NFTA_LOOKUP_FLAGS, NFT_LOOKUP_F_INV);
	expression_end(batch);
}

void nft_lookup_map(struct nft_batch *batch, uint8_t slot, const char *map, uint8_t to)
{
	struct netlink_request *request = expression_begin(batch, "lookup");
	netlink_put_text(request, NFTA_LOOKUP_SET, map);
	put_slot(request, NFTA_LOOKUP_SREG, slot);
	put_slot(request, NFTA_LOOKUP_DREG, to);
	expression_end(batch);
}

void nft_verdict(struct nft_batch *batch, int verdict, const char *chain)
{
	struct netlink_request *request = expression_begin(batch, "immediate");
	netlink_put_be32(request, NFTA_IMMEDIATE_DREG, NFT_REG_VERDICT);
	size_t data = netlink_nest(request, NFTA_IMMEDIATE_DATA);
	size_t nest = netlink_nest(request, NFTA_DATA_VERDICT);
	netlink_put_be32(request, NFTA_VERDICT_CODE, (uint32_t)verdict);
	if (chain)
		netlink_put_text(request, NFTA_VERDICT_CHAIN, chain);
	netlink_nest_end(request, nest);
	netlink_nest_end(request, data);
	expression_end(batch);
}

void nft_counter(struct nft_batch *batch)
{
	expression_begin(batch, "counter");
	expression_end(batch);
}

static size_t begin_update(struct netlink_request *request, const struct nft_set *set, enum nft_dynset_ops op,
	uint8_t slot, const char *expression)
{
	netlink_put_text(request, NFTA_DYNSET_SET_NAME, set->name);
	netlink_put_be32(request, NFTA_DYNSET_OP, op);
	put_slot(request, NFTA_DYNSET_SREG_KEY, slot);
	if (set->timeout_ms > 0)
		netlink_put_be64(request, NFTA_DYNSET_TIMEOUT, set->timeout_ms);
	size_t nest = netlink_nest(request, NFTA_DYNSET_EXPR);
	netlink_put_text(request, NFTA_EXPR_NAME, expression);
	return nest;
}

void nft_add_counted(struct nft_batch *batch, const struct nft_set *set, uint8_t slot)
{
	struct netlink_request *request = expression_begin(batch, "dynset");
	size_t nest = begin_update(request, set, NFT_DYNSET_OP_ADD, slot, "counter");
	netlink_nest_end(request, netlink_nest(request, NFTA_EXPR_DATA));
	netlink_nest_end(request, nest);
	expression_end(batch);
}

static void put_limit(struct netlink_request *request, uint64_t rate, uint64_t unit_s, uint32_t burst)
{
	netlink_put_be64(request, NFTA_LIMIT_RATE, rate);
	netlink_put_be64(request, NFTA_LIMIT_UNIT, unit_s);
	netlink_put_be32(request, NFTA_LIMIT_BURST, burst);
	netlink_put_be32(request, NFTA_LIMIT_TYPE, NFT_LIMIT_PKTS);
}

void nft_update_limited(struct nft_batch *batch, const struct nft_set *set, uint8_t slot, uint64_t per_hour,
	uint32_t burst)
{
	struct netlink_request *request = expression_begin(batch, "dynset");
	size_t nest = begin_update(request, set, NFT_DYNSET_OP_UPDATE, slot, "limit");
	size_t data = netlink_nest(request, NFTA_EXPR_DATA);
	put_limit(request, per_hour, 3600, burst);
	netlink_nest_end(request, data);
	netlink_nest_end(request, nest);
	expression_end(batch);
}

void nft_limit(struct nft_batch *batch, uint64_t per_s, uint32_t burst)
{
	struct netlink_request *request = expression_begin(batch, "limit");
	put_limit(request, per_s, 1, burst);
	expression_end(batch);
}

void nft_log(struct nft_batch *batch, uint16_t group, uint32_t bytes, const char *prefix)
{
	struct netlink_request *request = expression_begin(batch, "log");
	netlink_put_be16(request, NFTA_LOG_GROUP, group);
	netlink_put_be32(request, NFTA_LOG_SNAPLEN, bytes);
	netlink_put_text(request, NFTA_LOG_PREFIX, prefix);
	expression_end(batch);
}

void nft_reject(struct nft_batch *batch, bool by_reset)
{
	struct netlink_request *request = expression_begin(batch, "reject");
	netlink_put_be32(request, NFTA_REJECT_TYPE, by_reset ? NFT_REJECT_TCP_RST : NFT_REJECT_ICMPX_UNREACH);
	if (!by_reset)
		netlink_put_u8(request, NFTA_REJECT_ICMP_CODE, NFT_REJECT_ICMPX_ADMIN_PROHIBITED);
	expression_end(batch);
}

void nft_nat(struct nft_batch *batch, enum nft_nat_types type, uint8_t family, uint8_t address, uint8_t port)
{
	struct netlink_request *request = expression_begin(batch, "nat");
	netlink_put_be32(request, NFTA_NAT_TYPE, type);
	netlink_put_be32(request, NFTA_NAT_FAMILY, family);
	put_slot(request, NFTA_NAT_REG_ADDR_MIN, address);
	if (port != NFT_SLOT_NONE)
		put_slot(request, NFTA_NAT_REG_PROTO_MIN, port);
	expression_end(batch);
}

void nft_masquerade(struct nft_batch *batch)
{
	expression_begin(batch, "masq");
	expression_end(batch);
}

void nft_notrack(struct nft_batch *batch)
{
	expression_begin(batch, "notrack");
	expression_end(batch);
}

/* --- questions --- */

static void ask(struct netlink_request *request, uint8_t family, uint16_t type)
{
	const struct nfgenmsg header = { .nfgen_family = family, .version = NFNETLINK_V0 };
	netlink_begin(request, (uint16_t)(NFNL_SUBSYS_NFTABLES << 8 | type), 0, &header, sizeof(header));
}

static uint8_t family_of(const struct nlmsghdr *message)
{
	return ((const struct nfgenmsg *)NLMSG_DATA(message))->nfgen_family;
}

struct asked {
	nft_chain_fn *chain;
	nft_element_fn *element;
	void *user;
};

static int take_chain(const struct nlmsghdr *message, void *user)
{
	const struct asked *asked = user;
	const struct nlattr *table[NFTA_CHAIN_MAX + 1], *hook[NFTA_HOOK_MAX + 1];
	int r = netlink_message_attributes(message, sizeof(struct nfgenmsg), table, NFTA_CHAIN_MAX);
	if (r < 0)
		return r;
	struct nft_chain_info chain = {
		.family = family_of(message),
		.table = netlink_text(table[NFTA_CHAIN_TABLE]),
		.name = netlink_text(table[NFTA_CHAIN_NAME]),
		.type = netlink_text(table[NFTA_CHAIN_TYPE]),
		.policy = be32toh(netlink_u32(table[NFTA_CHAIN_POLICY], htobe32(NF_ACCEPT))),
	};
	if (!chain.table || !chain.name)
		return -EBADMSG;
	if (!table[NFTA_CHAIN_HOOK])
		chain.type = NULL;
	if (chain.type) {
		r = netlink_attributes(netlink_data(table[NFTA_CHAIN_HOOK]), netlink_len(table[NFTA_CHAIN_HOOK]), hook,
			NFTA_HOOK_MAX);
		if (r < 0)
			return r;
		chain.hook = be32toh(netlink_u32(hook[NFTA_HOOK_HOOKNUM], 0));
		chain.priority = (int32_t)be32toh(netlink_u32(hook[NFTA_HOOK_PRIORITY], 0));
	}
	return asked->chain(&chain, asked->user);
}

int nft_chains_each(struct netlink *netlink, nft_chain_fn *fn, void *user)
{
	_cleanup_(netlink_request_finish) struct netlink_request request = NETLINK_REQUEST;
	struct asked asked = { .chain = fn, .user = user };
	ask(&request, NFPROTO_UNSPEC, NFT_MSG_GETCHAIN);
	return netlink_dump(netlink, &request, take_chain, &asked);
}

static int take_value(const struct nlattr *attribute, struct nft_value *ret)
{
	const struct nlattr *data[NFTA_DATA_MAX + 1];
	*ret = (struct nft_value){ 0 };
	if (!attribute)
		return 0;
	int r = netlink_attributes(netlink_data(attribute), netlink_len(attribute), data, NFTA_DATA_MAX);
	if (r < 0 || !data[NFTA_DATA_VALUE])
		return r;
	size_t len = netlink_len(data[NFTA_DATA_VALUE]);
	if (len > sizeof(ret->bytes))
		return -EBADMSG;
	memcpy(ret->bytes, netlink_data(data[NFTA_DATA_VALUE]), len);
	ret->len = len;
	return 0;
}

/* Borrows from the message: NULL if there is none. */
static const char *take_comment(const struct nlattr *attribute)
{
	const char *data = attribute ? netlink_data(attribute) : NULL;
	size_t len = attribute ? netlink_len(attribute) : 0;
	if (len < 3 || data[0] != COMMENT_TAG || (size_t)(uint8_t)data[1] > len - 2 || data[1] == 0)
		return NULL;
	return data[2 + (uint8_t)data[1] - 1] == '\0' ? data + 2 : NULL;
}

static uint64_t take_packets(const struct nlattr *expression)
{
	const struct nlattr *table[NFTA_EXPR_MAX + 1], *counter[NFTA_COUNTER_MAX + 1];
	uint64_t packets = 0;
	if (!expression ||
		netlink_attributes(netlink_data(expression), netlink_len(expression), table, NFTA_EXPR_MAX) < 0 ||
		!table[NFTA_EXPR_DATA] ||
		netlink_attributes(netlink_data(table[NFTA_EXPR_DATA]), netlink_len(table[NFTA_EXPR_DATA]), counter,
			NFTA_COUNTER_MAX) < 0)
		return 0;
	if (counter[NFTA_COUNTER_PACKETS] && netlink_len(counter[NFTA_COUNTER_PACKETS]) == sizeof(packets))
		memcpy(&packets, netlink_data(counter[NFTA_COUNTER_PACKETS]), sizeof(packets));
	return be64toh(packets);
}

static int take_element(const struct asked *asked, const struct nlattr *attribute)
{
	const struct nlattr *table[NFTA_SET_ELEM_MAX + 1];
	struct nft_element element = { .comment = NULL };
	int r = netlink_attributes(netlink_data(attribute), netlink_len(attribute), table, NFTA_SET_ELEM_MAX);
	if (r < 0 || (be32toh(netlink_u32(table[NFTA_SET_ELEM_FLAGS], 0)) & NFT_SET_ELEM_INTERVAL_END))
		return r;
	r = take_value(table[NFTA_SET_ELEM_KEY], &element.key);
	if (r == 0)
		r = take_value(table[NFTA_SET_ELEM_KEY_END], &element.last);
	if (r == 0)
		r = take_value(table[NFTA_SET_ELEM_DATA], &element.data);
	if (r < 0)
		return r;
	if (table[NFTA_SET_ELEM_TIMEOUT] && netlink_len(table[NFTA_SET_ELEM_TIMEOUT]) == sizeof(uint64_t)) {
		memcpy(&element.timeout_ms, netlink_data(table[NFTA_SET_ELEM_TIMEOUT]), sizeof(uint64_t));
		element.timeout_ms = be64toh(element.timeout_ms);
	}
	element.packets = take_packets(table[NFTA_SET_ELEM_EXPR]);
	element.comment = take_comment(table[NFTA_SET_ELEM_USERDATA]);
	return asked->element(&element, asked->user);
}

static int take_elements(const struct nlmsghdr *message, void *user)
{
	const struct nlattr *table[NFTA_SET_ELEM_LIST_MAX + 1];
	int r = netlink_message_attributes(message, sizeof(struct nfgenmsg), table, NFTA_SET_ELEM_LIST_MAX);
	const struct nlattr *list = r == 0 ? table[NFTA_SET_ELEM_LIST_ELEMENTS] : NULL;
	if (!list)
		return r;
	const char *at = netlink_data(list), *end = at + netlink_len(list);
	while (r == 0 && (size_t)(end - at) >= NLA_HDRLEN) {
		const struct nlattr *attribute = (const void *)at;
		if (attribute->nla_len < NLA_HDRLEN || attribute->nla_len > end - at)
			return -EBADMSG;
		r = take_element(user, attribute);
		size_t step = NLA_ALIGN(attribute->nla_len);
		at = step < (size_t)(end - at) ? at + step : end;
	}
	return r;
}

int nft_elements_each(struct netlink *netlink, uint8_t family, const char *table, const char *set, nft_element_fn *fn,
	void *user)
{
	_cleanup_(netlink_request_finish) struct netlink_request request = NETLINK_REQUEST;
	struct asked asked = { .element = fn, .user = user };
	ask(&request, family, NFT_MSG_GETSETELEM);
	netlink_put_text(&request, NFTA_SET_ELEM_LIST_TABLE, table);
	netlink_put_text(&request, NFTA_SET_ELEM_LIST_SET, set);
	return netlink_dump(netlink, &request, take_elements, &asked);
}

static int take_nothing(const struct nlmsghdr *message, void *user)
{
	(void)message, (void)user;
	return 0;
}

int nft_has_element(struct netlink *netlink, uint8_t family, const char *table, const struct nft_set *set,
	const struct nft_element *element)
{
	_cleanup_(netlink_request_finish) struct netlink_request request = NETLINK_REQUEST;
	ask(&request, family, NFT_MSG_GETSETELEM);
	netlink_put_text(&request, NFTA_SET_ELEM_LIST_TABLE, table);
	netlink_put_text(&request, NFTA_SET_ELEM_LIST_SET, set->name);
	size_t list = netlink_nest(&request, NFTA_SET_ELEM_LIST_ELEMENTS);
	put_element(&request, set, element);
	netlink_nest_end(&request, list);
	return netlink_get(netlink, &request, take_nothing, NULL);
}

struct commented {
	struct nft_batch *batch;
	const struct nft_set *set;
	const char *comment;
};

static int put_delete_if_commented(const struct nft_element *element, void *user)
{
	const struct commented *commented = user;
	if (element->comment && strcmp(element->comment, commented->comment) == 0)
		nft_put_elements_delete(commented->batch, commented->set, element, 1);
	return 0;
}

int nft_put_commented_delete(struct nft_batch *batch, struct netlink *netlink, const struct nft_set *set,
	const char *comment)
{
	struct commented commented = { batch, set, comment };
	return nft_elements_each(netlink, batch->family, batch->table, set->name, put_delete_if_commented, &commented);
}

int nft_table_exists(struct netlink *netlink, uint8_t family, const char *table)
{
	_cleanup_(netlink_request_finish) struct netlink_request request = NETLINK_REQUEST;
	ask(&request, family, NFT_MSG_GETTABLE);
	netlink_put_text(&request, NFTA_TABLE_NAME, table);
	return netlink_get(netlink, &request, take_nothing, NULL);
}

static int take_generation(const struct nlmsghdr *message, void *user)
{
	const struct nlattr *table[NFTA_GEN_MAX + 1];
	int r = netlink_message_attributes(message, sizeof(struct nfgenmsg), table, NFTA_GEN_MAX);
	if (r == 0)
		*(uint32_t *)user = be32toh(netlink_u32(table[NFTA_GEN_ID], 0));
	return r;
}

int nft_generation(struct netlink *netlink, uint32_t *ret)
{
	_cleanup_(netlink_request_finish) struct netlink_request request = NETLINK_REQUEST;
	ask(&request, NFPROTO_UNSPEC, NFT_MSG_GETGEN);
	return netlink_get(netlink, &request, take_generation, ret);
}

/* --- changes by anybody --- */

int nft_watch_open(struct netlink *netlink)
{
	/* Bound, not only a member: the kernel takes a socket without an address for the one that made the change. */
	const struct sockaddr_nl address = { .nl_family = AF_NETLINK, .nl_groups = 1U << (NFNLGRP_NFTABLES - 1) };
	int r = netlink_open(netlink, NETLINK_NETFILTER);
	if (r == 0 && bind(netlink->fd, (const struct sockaddr *)&address, sizeof(address)) < 0) {
		r = -errno;
		netlink_close(netlink);
	}
	return r;
}

struct watched {
	nft_change_fn *fn;
	void *user;
};

static int take_change(const struct nlmsghdr *message, void *user)
{
	const struct watched *watched = user;
	const struct nlattr *table[NFTA_GEN_MAX + 1];
	if (message->nlmsg_type >> 8 != NFNL_SUBSYS_NFTABLES ||
		netlink_message_attributes(message, sizeof(struct nfgenmsg), table, NFTA_GEN_MAX) < 0)
		return 0;
	struct nft_change change = { .type = message->nlmsg_type & 0xff, .family = family_of(message) };
	if (change.type == NFT_MSG_NEWGEN)
		change.process = netlink_text(table[NFTA_GEN_PROC_NAME]);
	else /* its name is the first attribute of each kind of message */
		change.table = netlink_text(table[NFTA_TABLE_NAME]);
	watched->fn(&change, watched->user);
	return 0;
}

int nft_watch_read(struct netlink *netlink, nft_change_fn *fn, void *user)
{
	struct watched watched = { .fn = fn, .user = user };
	for (;;) {
		int r = netlink_read(netlink, take_change, &watched);
		if (r == -ENOBUFS)
			fn(&(struct nft_change){ .missed = true }, user);
		else if (r < 0)
			return r == -EAGAIN ? 0 : r;
	}
}
