/*
 * The default bridge as settings have it: bip, fixed-cidr, default-gateway, ipv6, icc, ip-masq, mtu, ip; or the host's own of that name
 * (bridge), whose addresses are the network's, and which is neither made nor taken away; or none at all. Its row is brought in line at each start of an
 * engine, but not while containers are on it, whose addresses and links would not follow: then it stays as it is, and the
 * log says so. tare-network does the same to the link (network/bridge.h).
 */
#pragma once

#include "engine/networks.h"

/* Of a row that is not there yet. */
int network_default_fill(const struct engine *engine, struct network_info *info, struct err **reterr);
int network_default_configure(struct engine *engine, struct err **reterr);
