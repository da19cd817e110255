/*
 * Which subnet a network gets, and which address a container: pure, from what is told to be taken. Nothing is remembered
 * here, so nothing can leak: the caller gathers what is in use from its records each time.
 */
#pragma once

#include <stddef.h>

#include "base/inet.h"

/* Subnets of `size` bits are cut from `base`, in order. */
struct ipam_supply {
	struct inet_subnet base;
	unsigned size;
};

/* Where Docker has them: 172.17.0.0/16 to 172.31.0.0/16, then 192.168.0.0/20 and on. */
#define IPAM_DEFAULT_SUPPLIES 2
extern const struct ipam_supply ipam_default_supplies[IPAM_DEFAULT_SUPPLIES];
/* An IPv6 one of this installation's own: fd00::/8 with 40 bits of `seed` (hexadecimal), /64s cut from it (RFC 4193). */
struct ipam_supply ipam_local_supply(const char *seed);

/* The first that overlaps nothing in `used`; -ENOSPC. */
int ipam_choose_subnet(const struct ipam_supply *supplies, size_t supply_count, const struct inet_subnet *used,
	size_t used_count, struct inet_subnet *ret);

struct ipam_pool {
	struct inet_subnet subnet;
	struct inet_subnet range; /* addresses come from here; the subnet itself if there is none of its own */
};

/* Whether a host may have it: not the subnet's own address, nor an IPv4 network's broadcast (subnets up to /30). */
bool ipam_is_host(const struct inet_subnet *subnet, const struct inet_address *address);
/* The lowest host address of the range that is not among `taken`, which is sorted by this; -ENOSPC. */
int ipam_choose_address(const struct ipam_pool *pool, struct inet_address *taken, size_t taken_count,
	struct inet_address *ret);
