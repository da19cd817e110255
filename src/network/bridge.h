/*
 * Bridges of networks, as the helper tare-network makes them. One that is there already and is as it should be is left as it
 * is, so everything may be asked for again: after the engine or the machine was started anew.
 *
 * The order: rules (network/table.h), then the bridge with no address and down, its settings, its addresses, and up last.
 * Whoever dies in the middle leaves a bridge that is down, which the next call completes.
 */
#pragma once

#include "base/err.h"
#include "spec/lease.h"

/* `owner`: which engine's it is, for people who look at interfaces (its alias) and against taking over another's. */
int bridge_make(const struct lease_bridge *bridge, const char *owner, struct err **reterr);
/* One that is not there is removed already; another's is refused. */
int bridge_remove(const char *name, const char *owner, struct err **reterr);
