/*
 * nf_tables by nfnetlink: a batch of messages about one table, which the kernel takes whole or not at all. Tables, chains,
 * sets and maps with their elements, and rules put together from typed expressions. Nothing is named here that the kernel
 * does not know; what `nft list` shows for it is what was meant.
 *
 *	_cleanup_(nft_batch_finish) struct nft_batch batch;
 *	nft_batch_begin(&batch, NFPROTO_INET, "mine");
 *	nft_put_table(&batch);
 *	nft_put_chain(&batch, &(struct nft_chain){ "input", "filter", NF_INET_LOCAL_IN, 0 });
 *	nft_rule_begin(&batch, "input");
 *	nft_load_meta(&batch, NFT_META_MARK, 0);
 *	nft_compare(&batch, 0, NFT_CMP_EQ, &mark, sizeof(mark));
 *	nft_verdict(&batch, NF_DROP, NULL);
 *	nft_rule_end(&batch, NULL);
 *	r = nft_batch_commit(&batch, &netlink);
 *
 * A batch carries its own error (memory, ceiling) to the commit, so that building needs no checks in between. What exists
 * already may be put again: tables, chains and sets as they are; elements with the same data; rules are another matter, they
 * are added once more unless their chain is flushed in the same batch.
 */
#pragma once

#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>

#include "sys/netlink.h"

struct nft_batch {
	struct netlink_request request;
	const char *table; /* borrowed */
	uint8_t family;    /* NFPROTO_INET, ... */
	uint32_t set_id;
	/* The list of elements that was put last, if more of them may follow in that message. */
	const struct nft_set *list_set;
	uint16_t list_type;
	size_t list;    /* its open nest */
	size_t rule[4]; /* open nests: of the rule, its expressions, the expression, its data */
};

/* Borrows `table`. */
void nft_batch_begin(struct nft_batch *batch, uint8_t family, const char *table);
/* Sends it, once. The first error, else 0. */
int nft_batch_commit(struct nft_batch *batch, struct netlink *netlink);
/* After a commit that failed: "set ports4 of table mine: new elements: Device or resource busy", with the kernel's own words if it
 * had any. What the batch itself could not hold is said as such. */
void nft_batch_describe(const struct nft_batch *batch, const struct netlink *netlink, int error, struct buf *out);
void nft_batch_finish(struct nft_batch *batch);

/* --- tables and chains --- */

struct nft_chain {
	const char *name;
	const char *type; /* filter, nat, route; NULL: no hook, reached by jumps */
	uint32_t hook;    /* NF_INET_* */
	int32_t priority;
	uint32_t policy; /* of a chain with a hook; NF_DROP (0) or NF_ACCEPT */
};

void nft_put_table(struct nft_batch *batch);
/* -EEXIST if it is there. */
void nft_put_new_table(struct nft_batch *batch);
/* With all in it; there must be one. */
void nft_put_table_delete(struct nft_batch *batch);
void nft_put_chain(struct nft_batch *batch, const struct nft_chain *chain);
/* Its rules; NULL: the rules of all the table's chains. */
void nft_put_flush(struct nft_batch *batch, const char *chain);

/* --- values, sets and maps --- */

/* The numbers are those by which nft knows how to show a value. */
enum nft_type {
	NFT_TYPE_NONE = 0,
	NFT_TYPE_IPV4 = 7,
	NFT_TYPE_IPV6 = 8,
	NFT_TYPE_ETHERTYPE = 10, /* ETH_P_*, in the net's order */
	NFT_TYPE_PROTOCOL = 12,  /* IPPROTO_* */
	NFT_TYPE_PORT = 13,      /* in the net's order */
	NFT_TYPE_MARK = 19,
	NFT_TYPE_INTERFACE = 41, /* a name */
};

#define NFT_FIELDS_MAX 4
#define NFT_VALUE_MAX  64

/* A concatenation as the kernel has it in its registers: each field begins a new one of 4 bytes. Start with one that is zero. */
struct nft_value {
	uint8_t bytes[NFT_VALUE_MAX];
	size_t len;
};

/* How many bytes a value of the type has. */
size_t nft_type_size(enum nft_type type);
/* Appends `nft_type_size` bytes from `data`; a name is read up to its NUL. */
void nft_value_add(struct nft_value *value, enum nft_type type, const void *data);
/* A port in the machine's order. */
void nft_value_add_port(struct nft_value *value, uint16_t port);

#define NFT_SET_NAME_SIZE 16

struct nft_set {
	char name[NFT_SET_NAME_SIZE]; /* no pointer: see codec/json.h */
	uint32_t flags; /* NFT_SET_INTERVAL, NFT_SET_TIMEOUT, ... Concatenation and map follow from the fields */
	enum nft_type key[NFT_FIELDS_MAX];
	enum nft_type data[NFT_FIELDS_MAX]; /* none: a set, else a map */
	uint32_t size;                      /* of one that rules put elements into (NFT_SET_EVAL): at most so many */
	uint64_t timeout_ms;                /* and each of them for so long */
};

/* Longest comment of an element or rule, with its NUL. */
#define NFT_COMMENT_SIZE 128

struct nft_element {
	struct nft_value key;
	struct nft_value last; /* of an interval, and in it; len 0: only `key` */
	struct nft_value data; /* of a map */
	uint64_t timeout_ms;   /* 0: none; the set must have NFT_SET_TIMEOUT */
	uint64_t packets;      /* told of one that has a counter */
	const char *comment;   /* NULL: none. Borrowed */
};

void nft_put_set(struct nft_batch *batch, const struct nft_set *set);
/* Any number, in as many messages as they need. One that is there with other data is -EEXIST. */
void nft_put_elements(struct nft_batch *batch, const struct nft_set *set, const struct nft_element *elements,
	size_t count);
/* They must be there, -ENOENT; put into the same batch before, they are deleted whether they were or not, unless others
 * with the same key but other data are there. */
void nft_put_elements_delete(struct nft_batch *batch, const struct nft_set *set, const struct nft_element *elements,
	size_t count);
/* All elements; there need be none. */
void nft_put_set_flush(struct nft_batch *batch, const struct nft_set *set);

/* --- rules --- */

/* Slots 0 to 15 are the kernel's registers of 4 bytes; a field that is longer takes the following ones too. */
#define NFT_SLOT_NONE UINT8_MAX

void nft_rule_begin(struct nft_batch *batch, const char *chain);
/* `comment` may be NULL. */
void nft_rule_end(struct nft_batch *batch, const char *comment);

void nft_load_meta(struct nft_batch *batch, enum nft_meta_keys key, uint8_t slot);
void nft_load_ct(struct nft_batch *batch, enum nft_ct_keys key, uint8_t slot);
void nft_load_payload(struct nft_batch *batch, enum nft_payload_bases base, uint32_t offset, uint32_t len,
	uint8_t slot);
/* Writes into the packet, and mends the sum at `checksum_offset` of the same header. */
void nft_store_payload(struct nft_batch *batch, enum nft_payload_bases base, uint32_t offset, uint32_t len,
	uint32_t checksum_offset, uint8_t slot);
/* RTN_* of the destination. */
void nft_load_fib_daddr_type(struct nft_batch *batch, uint8_t slot);
void nft_load_immediate(struct nft_batch *batch, uint8_t slot, const void *data, size_t len);
/* Keeps the bits of `mask`. */
void nft_mask(struct nft_batch *batch, uint8_t slot, const void *mask, size_t len);
/* Goes on with the rule if it holds. */
void nft_compare(struct nft_batch *batch, uint8_t slot, enum nft_cmp_ops op, const void *data, size_t len);
void nft_lookup(struct nft_batch *batch, uint8_t slot, const char *set, bool is_in);
/* The map's data comes into `to`. */
void nft_lookup_map(struct nft_batch *batch, uint8_t slot, const char *map, uint8_t to);

void nft_verdict(struct nft_batch *batch, int verdict, const char *chain);
void nft_counter(struct nft_batch *batch);
/* The key in the slot comes into a set with NFT_SET_EVAL, unless it is there, and a counter of its own counts. If the set is full, the
 * rule ends. */
void nft_add_counted(struct nft_batch *batch, const struct nft_set *set, uint8_t slot);
/* The same with a limit of its own in place of the counter: the rule goes on for so many packets an hour with this key. */
void nft_update_limited(struct nft_batch *batch, const struct nft_set *set, uint8_t slot, uint64_t per_hour,
	uint32_t burst);
/* The rule goes on for so many packets a second. */
void nft_limit(struct nft_batch *batch, uint64_t per_s, uint32_t burst);
/* To whoever listens to that group (sys/nflog.h): the beginning of the packet, and `prefix`. */
void nft_log(struct nft_batch *batch, uint16_t group, uint32_t bytes, const char *prefix);
/* The packet is dropped, and who sent it is told: by a reset of TCP, or by ICMP's word for "not allowed". */
void nft_reject(struct nft_batch *batch, bool by_reset);
/* To the address in one slot and, unless it is NFT_SLOT_NONE, the port in the other. */
void nft_nat(struct nft_batch *batch, enum nft_nat_types type, uint8_t family, uint8_t address, uint8_t port);
void nft_masquerade(struct nft_batch *batch);
/* No connection is made of the packet: in chains before NF_IP_PRI_CONNTRACK. */
void nft_notrack(struct nft_batch *batch);

/* --- questions --- */

struct nft_chain_info {
	uint8_t family;
	const char *table;
	const char *name;
	const char *type; /* NULL: no hook, and the next three mean nothing */
	uint32_t hook;
	int32_t priority;
	uint32_t policy;
};

/* Non-zero from a callback is what is returned. What they are given lives as long as the call. */
typedef int nft_chain_fn(const struct nft_chain_info *chain, void *user);
/* Of all tables of all families. */
int nft_chains_each(struct netlink *netlink, nft_chain_fn *fn, void *user);

typedef int nft_element_fn(const struct nft_element *element, void *user);
/* -ENOENT: no such table or set. The ends of intervals that are no concatenations come as elements of their own, left out
 * here: `last` is only told for concatenations. */
int nft_elements_each(struct netlink *netlink, uint8_t family, const char *table, const char *set, nft_element_fn *fn,
	void *user);
/* One of them, by its key: 0, or -ENOENT: no such table, set or element. */
int nft_has_element(struct netlink *netlink, uint8_t family, const char *table, const struct nft_set *set,
	const struct nft_element *element);
/* Deletes, with the batch, all of a set's elements that have this comment now. */
int nft_put_commented_delete(struct nft_batch *batch, struct netlink *netlink, const struct nft_set *set,
	const char *comment);

/* -ENOENT or 0. */
int nft_table_exists(struct netlink *netlink, uint8_t family, const char *table);
/* The number of transactions that changed anything. */
int nft_generation(struct netlink *netlink, uint32_t *ret);

/* --- changes by anybody --- */

/* A socket that tells of every change; only for nft_watch_read. */
int nft_watch_open(struct netlink *netlink);

struct nft_change {
	bool missed;         /* the kernel had to leave some out: anything may have changed */
	uint16_t type;       /* NFT_MSG_*; NFT_MSG_NEWGEN ends a transaction and says whose it was */
	uint8_t family;      /* of the table */
	const char *table;   /* NULL for NEWGEN */
	const char *process; /* NEWGEN: its name, or NULL */
};
typedef void nft_change_fn(const struct nft_change *change, void *user);
/* All that has arrived; never waits. */
int nft_watch_read(struct netlink *netlink, nft_change_fn *fn, void *user);
