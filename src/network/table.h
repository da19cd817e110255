/*
 * The one table of nf_tables that an engine has, `inet tare`. It stands by itself: nothing of iptables or of anybody else's
 * tables is touched or needed. What it does is in its chains, which never change; whom it does it to is in its sets and maps,
 * and every change is one transaction of elements:
 *
 *	guard (before all)    what enters from a network's bridge must come from that network's subnets, and nothing from a wire
 *	                      may name 127.0.0.0/8 where it could reach a port published there
 *	publish               destination by protocol, address and port becomes the container's, for packets to the host from
 *	                      outside, from containers, and from the host's own processes, 127.0.0.1 included
 *	after                 to the outside a subnet has the host's address. Clients of a published port keep theirs, but for those
 *	                      whom the container would answer without us: of its own network, or of another one that it is on too;
 *	                      and of the host's 127.0.0.1
 *	forward               to a container comes what it asked for, what was published, and its own network unless that is
 *	                      isolated; nothing goes into or out of an internal one. All else that is forwarded is no business of ours
 *
 * The engine's helper puts the networks' elements (table_networks), each monitor its container's. Both put the chains too if
 * there is no table, so that neither needs the other; what is there already may always be put again.
 */
#pragma once

#include "base/err.h"
#include "spec/lease.h"
#include "sys/nftables.h"

#define TABLE_NAME_SIZE  32
#define TABLE_OWNER_SIZE NFT_COMMENT_SIZE

/* "tare"; with another exec-root than the usual one, one that is its own. */
void table_name(const char *exec_root, char out[TABLE_NAME_SIZE]);

/* Chains as they must be, and exactly these networks: all of them, in one transaction. What containers have put stays. */
int table_networks(struct netlink *netlink, const char *table, const struct lease_bridge *bridges, size_t count,
	struct err **reterr);
/* One more, or again. Before its bridge is up. */
int table_network_add(struct netlink *netlink, const char *table, const struct lease_bridge *bridge,
	struct err **reterr);
/* One less: 0 too if there is none, or no table. */
int table_network_remove(struct netlink *netlink, const char *table, const struct lease_bridge *bridge,
	struct err **reterr);

/* What a container's endpoints publish, and what follows from its having several. `owner` (the container's ID) is shown in
 * listings. -EEXIST: a port is somebody else's. */
int table_container_add(struct netlink *netlink, const char *table, const char *owner,
	const struct lease_endpoint *endpoints, size_t count, struct err **reterr);
/* From one to the other in one transaction: what both have is there all the time. */
int table_container_change(struct netlink *netlink, const char *table, const char *owner,
	const struct lease_endpoint *before, size_t before_count, const struct lease_endpoint *after,
	size_t after_count, struct err **reterr);
/* Whether they need anything in the table beyond their networks. */
bool table_container_needs(const struct lease_endpoint *endpoints, size_t count);
/* Takes the same away, and only the same: 0 too if it is not there. */
int table_container_remove(struct netlink *netlink, const char *table, const char *owner,
	const struct lease_endpoint *endpoints, size_t count, struct err **reterr);
/* The same by what the table itself says, whatever was published: for who doesn't know what a dead one had put. */
int table_owner_remove(struct netlink *netlink, const char *table, const char *owner, struct err **reterr);
/* Whose element, by what it says, stands where one of these ports would have to be put; but for those of `but_for` (or NULL).
 * -ENOENT: nobody's. */
int table_port_owner(struct netlink *netlink, const char *table, const struct lease_endpoint *endpoints, size_t count,
	const char *but_for, char owner[TABLE_OWNER_SIZE]);
