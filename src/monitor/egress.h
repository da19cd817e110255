/*
 * What the container may reach (spec/egress.h), held in the host's packet filter (network/gate.h) by its monitor: before its legs
 * are made, and until they are gone. What is held is written down in state.json, for who has to clear up.
 */
#pragma once

#include "base/err.h"
#include "spec/egress.h"
#include "spec/launch.h"

#define EGRESS_SHOWN_MAX 1000

struct monitor;
struct dns_told;
struct gate_opened;

struct held {
	struct launch_network network; /* whose words and addresses are in the table; none: nothing is */
	struct egress policy;          /* of those words */
	struct gate_opened *opened;    /* GATE_OPENED_MAX, or NULL */
	size_t opened_count;
};

/* The policy of `network`, for its addresses and, if there are any that still have legs, those of `also`. In place of what is held
 * now, in one transaction; on failure that stays. */
int egress_hold(struct monitor *monitor, const struct launch_network *network, const struct launch_network *also,
	struct err **reterr);
/* Ends the connections that what is held now does not have. */
int egress_cut(struct monitor *monitor, struct err **reterr);
/* The resolver has an answer about a name of the policy: what it leads to is open from now on, or -errno. */
int egress_open(struct monitor *monitor, const struct dns_told *told);
/* Before the first of a run: nothing has been refused. */
void egress_begin(struct monitor *monitor);
/* Somebody took it away. */
int egress_restore(struct monitor *monitor, struct err **reterr);
/* The container is gone. */
void egress_end(struct monitor *monitor);
/* What a monitor that died held. */
void egress_clear_leftovers(struct monitor *monitor);

/* What was refused and noted, an array of objects: one message holds EGRESS_SHOWN_MAX of them. */
int egress_describe(struct monitor *monitor, json_t **ret, bool *ret_is_cut, struct err **reterr);
