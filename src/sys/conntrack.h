/* The kernel's table of connections, as far as it remembers what is gone. */
#pragma once

#include "base/inet.h"
#include "sys/netlink.h"

/*
 * Forgets every connection that `address` began or that was sent on to it, so that whoever gets the address next gets none of
 * them. `netlink` is one of NETLINK_NETFILTER. Returns how many there were, or -errno.
 */
int conntrack_forget(struct netlink *netlink, const struct inet_address *address);

/* Whether there is no connection at all: to look for one's own takes the kernel milliseconds, however few there are. */
bool conntrack_is_empty(struct netlink *netlink);
