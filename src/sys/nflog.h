/*
 * Packets that rules of nf_tables give out (nft_log): the beginning of each, to the one socket that has bound its group. They come at
 * once, each by itself (whose address it was may be another's in a moment); the kernel drops what is not fetched.
 */
#pragma once

#include "base/inet.h"
#include "sys/netlink.h"

/* Of a packet: enough for the headers of IPv6 and what follows. */
#define NFLOG_BYTES 64

struct nflog_packet {
	struct inet_address source, destination;
	uint8_t protocol;
	uint16_t port; /* of the destination; 0: the protocol has none, or it is not in what was given */
};

/* A socket that is readable when something was logged. -EBUSY: somebody else has the group; -EOPNOTSUPP and others: no such thing here. */
int nflog_open(struct netlink *netlink, uint16_t group);
typedef void nflog_fn(const struct nflog_packet *packet, const char *prefix, void *user);
/* All that has come; never waits. */
int nflog_read(struct netlink *netlink, nflog_fn *fn, void *user);

/* From the IP header on. -EBADMSG: it is no such packet. */
int nflog_packet_parse(const uint8_t *data, size_t len, struct nflog_packet *ret);
