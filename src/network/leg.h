/*
 * A container's legs: what is made of the endpoints in its launch.json, by its monitor, which needs no engine for it.
 *
 * On a bridge a leg is a veth pair: one message makes it with its far end inside the container's network namespace; then
 * the near end is put up (with no address of its own, and kept from other containers if the network asks for that), and inside the
 * container's addresses and routes are set with messages of their own. A macvlan or ipvlan is born inside right away.
 *
 * Nobody removes legs when a container ends: they go with its namespace. What a monitor's death leaves in the middle goes
 * the same way.
 */
#pragma once

#include "base/err.h"
#include "spec/lease.h"

/* Those of driver cni are others' work (network/cni.h). */

/* All of them, in order; then the default routes. On failure some may be there: the namespace is to be given up. */
int legs_make(const struct lease_endpoint *endpoints, size_t count, int netns_fd, struct err **reterr);

/*
 * In a namespace that lives: those that only `before` has are removed, those that only `after` has are made, and the default
 * routes follow `after`. If one can't be made, what was made here is removed, and those of `before` are as they were.
 */
int legs_change(const struct lease_endpoint *before, size_t before_count, const struct lease_endpoint *after,
	size_t after_count, int netns_fd, struct err **reterr);

/* The endpoint of that ID, or NULL. */
const struct lease_endpoint *legs_find(const struct lease_endpoint *endpoints, size_t count, const char *endpoint_id);
