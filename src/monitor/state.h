/*
 * state.json and the events it keeps for the engine. Who changes a member of monitor->state says so with one of these, and
 * does so before anybody outside can see the consequence.
 */
#pragma once

#include "base/err.h"

struct monitor;

/* Reads state.json; without one, the state of a container that was never started. */
int state_load(struct monitor *monitor, struct err **reterr);

/* Writes it. A failure is logged and otherwise survived: the next change writes all of it again. */
void state_save(struct monitor *monitor);

/* Adds an event, writes the state with it, and sends it to the engine. Attributes are pairs of strings up to a NULL. */
void state_event(struct monitor *monitor, const char *type, ...) __attribute__((sentinel));

/* Never fails: a status whose string can't be allocated is the old one, and logged. */
void state_set_status(struct monitor *monitor, const char *status);
