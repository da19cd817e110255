/*
 * An egress policy (spec/egress.h) in the host's packet filter, where the container can't change it. It is held in two tables of
 * the same name, which one transaction changes: what the monitors put are elements, the chains are the same for all. There are
 * none before the first container with a policy, so nobody else pays for them.
 *
 *	bridge	hold	What comes out of a held container's port of a bridge must have the container's own addresses, in ARP too, so
 *			that the other table knows it by its address. From a link-local address there is nothing but ICMPv6.
 *	inet	gate	Before destinations are changed: what a held container begins is looked up by what it wrote on the packet, be
 *			it for elsewhere, for another network or for the host. What belongs to a connection passes. In this order:
 *			denied places, allowed places, what names led to (never the host itself), then the default.
 *
 * Containers on the same network speak without passing here: that they are on it is what allows it (--internal, icc=false
 * and networks of their own are what keeps them apart). Neither do questions to 127.0.0.11, which its resolver asks for it.
 *
 * What the host itself sends to a held container as the middle of a connection that nobody knows is dropped ("cut"), or a connection
 * that was ended (gate_cut) would begin anew the other way round.
 *
 * What was refused, or only noted, is counted by the kernel by address, protocol and port, in sets of their own; what is new there
 * takes of a budget that each container's address has, so that one can't fill them for all. Who is refused is
 * told at once.
 *
 * Elements of one container are disjoint: nf_tables takes no others in an interval set, and finds an element by its first
 * key. A place within another is left out, and of overlapping ranges of ports one has what the other has not.
 */
#pragma once

#include "base/err.h"
#include "spec/egress.h"
#include "spec/lease.h"
#include "sys/nftables.h"

/* Refused addresses, of all containers together, and how long each is remembered. One address of a container's has at most twice
 * GATE_SEEN_OWN of them, however hard it tries: so many at once, and so many more an hour. */
#define GATE_SEEN_MAX   16384
#define GATE_SEEN_MS    (60 * 60 * 1000)
#define GATE_SEEN_OWN   512
#define GATE_OPENED_MAX 256 /* addresses behind names, of one container */

/* How long: as the answer says, within these; and a little more, since who heard it late counts from then. */
#define GATE_OPENED_LEAST_MS 30000
#define GATE_OPENED_MOST_MS  (60 * 60 * 1000)
#define GATE_OPENED_GRACE_MS 15000

/* Of what is refused or noted, so many packets a second go to a group of nflog, with these words. */
#define GATE_LOGS_PER_S  20
#define GATE_LOG_REFUSED "denied"
#define GATE_LOG_NOTED   "noted"
uint16_t gate_log_group(const char *table);

/* An address that a name of the policy led to. */
struct gate_opened {
	struct inet_address address;
	size_t rule; /* of the policy's: whose ports it is open for */
	int64_t until_ms;
};

/* Whom it is about; all borrowed. Endpoints that are no bridge's are passed over: no policy can hold them. */
struct gate {
	const char *table;
	const char *owner; /* shown in listings */
	const struct egress *policy;
	const struct lease_endpoint *endpoints;
	size_t endpoint_count;
	const struct gate_opened *opened;
	size_t opened_count;
	int64_t now_ms;
};

/* One for the other in one transaction, with the chains if they are not there. Either may be NULL, or have a policy that is
 * not set. */
int gate_change(struct netlink *netlink, const struct gate *before, const struct gate *after, struct err **reterr);
/* Chains and elements, after somebody took away some of them. */
int gate_restore(struct netlink *netlink, const struct gate *gate, struct err **reterr);
/*
 * Ends what its addresses have begun and the policy does not let go, after it took another's place: the kernel forgets the
 * connection, and the next packet of it is a first one. What names led to goes on, though its time is over, like any connection.
 */
int gate_cut(struct netlink *netlink, const struct gate *gate, struct err **reterr);
/* Those of one that is dead, by what the tables themselves say. */
int gate_owner_remove(struct netlink *netlink, const char *table, const char *owner, struct err **reterr);
/* Those of gate->opened: open from now until their time; or closed. */
int gate_open(struct netlink *netlink, const struct gate *gate, const size_t *which, size_t count, struct err **reterr);
int gate_close(struct netlink *netlink, const struct gate *gate, const size_t *which, size_t count,
	struct err **reterr);
/* What a name must not lead to: the link, the loopback, a group. Whether it is the host's own is looked at with each packet. */
bool gate_may_open(const struct inet_address *address);

struct gate_seen {
	struct inet_address address;
	uint8_t protocol;
	uint16_t port; /* 0: has none */
	bool refused;  /* else noted */
	uint64_t packets;
};
/* Non-zero from it is what is returned. */
typedef int gate_seen_fn(const struct gate_seen *seen, void *user);
/* What its addresses tried in vain (or in a policy that only notes: tried), the last hour. */
int gate_seen_each(struct netlink *netlink, const struct gate *gate, gate_seen_fn *fn, void *user);
/* Nothing of it yet: whoever had the addresses before is not the same. */
int gate_seen_forget(struct netlink *netlink, const struct gate *gate);
