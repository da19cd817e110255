/*
 * What macvlan and ipvlan stand on, where the host has no such interface: a part of one by a VLAN's number ("eth0.10"), or a dummy
 * for a network that leads nowhere. Made and removed as bridges are (network/bridge.h): again at any time, and only if it is ours.
 */
#pragma once

#include "base/err.h"
#include "spec/lease.h"

int parent_make(const struct lease_bridge *parent, const char *owner, struct err **reterr);
/* Of whatever kind; one that does not say it is this owner's is left alone. */
int parent_remove(const char *name, const char *owner, struct err **reterr);

/* "eth0.10": where its interface's name ends, and 10; -EINVAL. */
int parent_parse_vlan(const char *name, size_t *ret_len, unsigned *ret_number);
