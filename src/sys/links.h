/*
 * Interfaces, addresses and routes, by rtnetlink: messages put into a struct netlink_request, which sends several of them at
 * the price of one. Interfaces made here are of the four kinds that container networks need. What a message says is said
 * whole: a veth comes into being with its peer inside another namespace, at its bridge, and up.
 */
#pragma once

#include <net/if.h>

#include "base/inet.h"
#include "sys/netlink.h"

#define LINK_ALIAS_SIZE 256 /* with the NUL */

struct link_peer {
	const char *name;
	int netns_fd;
	const uint8_t *mac; /* INET_MAC_BYTES, or NULL */
};

enum link_mode { LINK_MODE_DEFAULT = 0 }; /* else the kernel's MACVLAN_MODE_* or IPVLAN_MODE_* + 1 */

struct link_new {
	const char *kind; /* veth, bridge, macvlan, ipvlan, vlan, dummy */
	const char *name; /* where it is made; or in netns_fd */
	int netns_fd;     /* macvlan, ipvlan: born in there; -1 */
	int master;       /* index of its bridge, 0: none */
	int parent;       /* index; macvlan, ipvlan, vlan */
	unsigned mode;    /* see enum link_mode */
	unsigned flags;   /* of ipvlan: IPVLAN_F_* */
	unsigned vlan;    /* vlan's number */
	unsigned mtu;     /* 0: the kernel's choice */
	const uint8_t *mac;
	const struct link_peer *peer; /* veth */
	bool up;
};

/* --- messages --- */

void link_put_new(struct netlink_request *request, const struct link_new *link);
/* A text for people, of the interface of that name. */
void link_put_alias(struct netlink_request *request, const char *name, const char *alias);
void link_put_delete(struct netlink_request *request, int index);
void link_put_up(struct netlink_request *request, int index, bool up);
void link_put_rename(struct netlink_request *request, int index, const char *name);
/* Into another namespace, down, without its addresses. */
void link_put_move(struct netlink_request *request, int index, int netns_fd, const char *name);
/* The same one again counts as a change, too. */
void link_put_mac(struct netlink_request *request, int index, const uint8_t *mac);
void link_put_mtu(struct netlink_request *request, int index, unsigned mtu);
/* What of a TCP stream over IPv4 goes through in one piece, where the usual is 64 kB: what is larger is cut into packets of the MTU
 * before. A bridge takes more than the usual once it has a port. */
void link_put_segment(struct netlink_request *request, int index, unsigned segment);
/* One port of a bridge that talks to no other isolated one. The interface must be at its bridge. */
void link_put_isolated(struct netlink_request *request, int index, bool isolated);
/* One that gets back what it sent, if that is where it has to go: with br_netfilter, a packet to one's own published port. */
void link_put_hairpin(struct netlink_request *request, int index, bool hairpin);
/* What is for this Ethernet address goes to this port of its bridge and to no other, whoever says that it is there. */
void link_put_port_mac(struct netlink_request *request, int index, const uint8_t *mac);
/* Who has an address behind this interface is not known any more; -ENOENT: it was not. */
void link_put_neighbour_delete(struct netlink_request *request, int index, const struct inet_address *address);
/* No link-local address of the kernel's own making; refused by kernels without IPv6. */
void link_put_no_autoconf(struct netlink_request *request, int index);
/* Without duplicate address detection, so that it can be used at once. */
void link_put_address(struct netlink_request *request, int index, const struct inet_subnet *address);
void link_put_address_delete(struct netlink_request *request, int index, const struct inet_subnet *address);
/* `gateway` NULL: a route to what is on the link. `metric` 0: the kernel's choice. */
void link_put_route(struct netlink_request *request, int index, const struct inet_subnet *to,
	const struct inet_address *gateway, unsigned metric);
/* The family's default route, whatever interface it has. */
void link_put_default_delete(struct netlink_request *request, bool is_v6);

/* --- questions --- */

struct link_info {
	int index;
	int master;
	int parent; /* IFLA_LINK: of a veth, its peer */
	unsigned flags;
	unsigned mtu;
	unsigned segment; /* 0: the kernel doesn't say */
	char name[IF_NAMESIZE];
	char kind[16];
	char alias[LINK_ALIAS_SIZE];
};

/* By name; -ENODEV. */
int link_find(struct netlink *netlink, const char *name, struct link_info *ret);
/* One may be told twice, when others came or went meanwhile. */
typedef int link_fn(const struct link_info *link, void *user);
int links_each(struct netlink *netlink, link_fn *fn, void *user);
/* Addresses of all interfaces, as subnets. */
typedef int address_fn(int index, const struct inet_subnet *address, void *user);
int addresses_each(struct netlink *netlink, address_fn *fn, void *user);
/* Destinations of the main table's routes; a default route has prefix 0. `gateway` may be NULL. */
typedef int route_fn(const struct inet_subnet *to, const struct inet_address *gateway, int index, void *user);
int routes_each(struct netlink *netlink, route_fn *fn, void *user);
