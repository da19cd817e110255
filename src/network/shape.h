/*
 * Limits of a container's bandwidth, at the host's end of its pairs, where they are out of its reach: what it receives waits in a bucket of
 * that interface; what it sends goes by an interface of its own kind (ifb), named after the pair, which has a bucket too. Each of its
 * networks has the limit to itself.
 *
 * A pair goes with its namespace, and its buckets with it; the ifb stays until its maker removes it: it is remembered by name, so
 * that what a later start makes for the same endpoint is not taken for it.
 */
#pragma once

#include "base/err.h"
#include "spec/launch.h"

/* Of the bits in a second. */
#define SHAPE_BITS_MIN 8000
#define SHAPE_BITS_MAX 1000000000000

struct shape {
	char **detours; /* names of the ifbs that are there */
};

/* The legs are there and may have limits already: they have these from now on. */
int shape_apply(struct shape *shape, const struct launch_network *network, struct err **reterr);
/* By a child, in its own time. */
void shape_end(struct shape *shape);
/* Those of a monitor that died: all that bear the endpoints' names. */
void shape_clear(const struct launch_network *network);
/* Whether anything is limited. */
bool shape_is_wanted(const struct launch_network *network);
