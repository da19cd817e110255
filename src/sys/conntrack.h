/* The kernel's table of connections, as far as it remembers what is gone. */
#pragma once

#include "base/inet.h"
#include "sys/netlink.h"

/*
 * Forgets every connection that `address` began or that was sent on to it, so that whoever gets the address next gets none of
 * them. `netlink` is one of NETLINK_NETFILTER. Returns how many there were, or -errno.
 */
int conntrack_forget(struct netlink *netlink, const struct inet_address *address);

/* Where one goes: as who began it wrote it. */
struct conntrack_place {
	struct inet_address address;
	uint8_t protocol;
	uint16_t port; /* 0: has none */
};
typedef bool conntrack_fn(const struct conntrack_place *place, void *user);
/* The same with those that `address` began and that `fn` picks. */
int conntrack_forget_some(struct netlink *netlink, const struct inet_address *address, conntrack_fn *fn, void *user);

/* Whether there is no connection at all: to look for one's own takes the kernel milliseconds, however few there are. */
bool conntrack_is_empty(struct netlink *netlink);
