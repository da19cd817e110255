/*
 * What an interface sends, and how fast, by rtnetlink: a token bucket (tbf) for what goes out of it, and what comes in by it sent
 * through another interface (ifb) first, so that the same can be done to that. A kernel without tbf, u32 or mirred says -ENOENT.
 */
#pragma once

#include "sys/netlink.h"

/* Instead of whatever is there. */
void shaping_put_rate(struct netlink_request *request, int index, uint64_t bytes_per_s);
/* What it sends is sent as it comes: -ENOENT if it was. */
void shaping_put_no_rate(struct netlink_request *request, int index);
/* All that arrives goes to the other interface, which lets it go on from where it was. Not twice. */
void shaping_put_detour(struct netlink_request *request, int index, int to);
void shaping_put_no_detour(struct netlink_request *request, int index);
