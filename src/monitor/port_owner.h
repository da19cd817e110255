/*
 * Who has a port that we can't have: another container, by what it put into the table, or another program. And what containers that are no
 * more have left in the table, which must not stop those that come after.
 */
#pragma once

#include "base/err.h"
#include "network/published.h"
#include "spec/launch.h"

struct monitor;
struct netlink;

/* Adds to *reterr, which says that `refused` is allocated already, by whom. */
void port_owner_tell(const struct monitor *monitor, const struct published_socket *refused, struct err **reterr);

/* After -EEXIST: 0 when what stood in the way was a dead container's, and is gone; else refused with the owner's name.
 * `own`: how the table calls us; what it has of ours is a former life's if `is_new`. */
int port_owner_clear(const struct monitor *monitor, struct netlink *netlink, const char *table, const char *own,
	bool is_new, const struct launch_network *network, struct err **reterr);
