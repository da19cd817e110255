/*
 * The rules of all tables of nf_tables, read once, and what they would do to a packet that is only imagined: for telling a person
 * which of them drops it. Nothing is changed. What can't be known (a rate that is limited, a match of iptables' that is not
 * understood) is told as such.
 */
#pragma once

#include <net/if.h>

#include "base/inet.h"
#include "sys/nftables.h"

#define NFT_RULES_MAX 65536

struct nft_ruleset;

/* -EPERM for who may not read it; -errno. */
int nft_ruleset_read(struct netlink *netlink, struct nft_ruleset **ret);
void nft_ruleset_free(struct nft_ruleset *ruleset);
DEFINE_AUTOFREE(nft_ruleset, struct nft_ruleset *, nft_ruleset_free);

/* The first packet of a connection. */
struct nft_probe {
	char in[IF_NAMESIZE], out[IF_NAMESIZE];
	int in_index, out_index;
	struct inet_address source, destination;
	uint8_t protocol; /* IPPROTO_TCP, IPPROTO_UDP */
	uint16_t port;
	bool is_published; /* its destination was changed by our table */
};

enum nft_fate {
	NFT_FATE_ACCEPTED,
	NFT_FATE_UNCLEAR, /* it may be dropped */
	NFT_FATE_DROPPED,
};

struct nft_verdict_of {
	const struct nft_chain_info *chain; /* a base chain; borrowed from the ruleset */
	enum nft_fate fate;
	bool by_policy;
};
typedef void nft_verdict_fn(const struct nft_verdict_of *verdict, void *user);
/* What each chain of type filter at `hook` says of it, but for those of the table `but_for` of family inet. */
void nft_ruleset_try(const struct nft_ruleset *ruleset, uint32_t hook, const struct nft_probe *probe,
	const char *but_for, nft_verdict_fn *fn, void *user);
/* Whether that table has a chain whose name begins so. */
bool nft_ruleset_has_chain(const struct nft_ruleset *ruleset, uint8_t family, const char *table, const char *begin);
