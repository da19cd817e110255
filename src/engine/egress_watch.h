/*
 * What egress policies refuse, or note, as events of the containers: egress-denied and egress-noted, with address, protocol and port;
 * of each at most one a minute. They are a sample (network/gate.h); what is counted is exact.
 */
#pragma once

#include "engine/core.h"

struct egress_watch;

/* A kernel without nflog, or somebody else who has the group: there are no such events, and no error. */
int egress_watch_new(struct engine *engine, struct egress_watch **ret, struct err **reterr);
void egress_watch_free(struct egress_watch *watch);
