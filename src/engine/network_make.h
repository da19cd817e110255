/*
 * The helper tare-network at work: bridges are made before the first start on them in this engine's life, and removed with
 * their networks. What is there already it leaves as it is, so an engine that was killed only asks again.
 */
#pragma once

#include "codec/json.h"
#include "engine/networks.h"
#include "engine/workers.h"
#include "spec/lease.h"

/* 0: its bridge is there. 1: it is being made, and `done` is called once, from the loop. `err` is borrowed. */
typedef void network_made_fn(void *user, const struct err *err);
int network_make(struct network *network, network_made_fn *done, void *user, struct err **reterr);

/* Whose bridges are: their alias. */
#define NETWORK_OWNER_SIZE LEASE_OWNER_SIZE
void network_owner(const struct engine *engine, char owner[static NETWORK_OWNER_SIZE]);

/* The table whole, with the rules of all networks, and without the bridges whose names are in `strays` (or NULL; it is taken);
 * `done` is called once, from the loop, unless this fails. */
int network_put_rules(struct engine *engine, json_t *strays, worker_answer_fn *done, void *user, struct err **reterr);

/* Nobody waits for it; after a failure network_sweep.h sees to it. */
void network_unmake(const struct network *network);

/* The network goes: who waits for it hears that it is not there. */
void network_forget(struct network *network);
