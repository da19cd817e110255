/*
 * The watch over the table of nf_tables: whoever flushes the rules of this machine (a firewall's reload does) takes ours away too. The
 * kernel tells of every change; one that deleted something of our table and was not made by a program of ours is answered at once: the
 * helper puts chains and networks back in one transaction, then each monitor its container's elements. At the engine's start the same
 * is done if anything runs, for what happened while there was none.
 *
 * Connections go on meanwhile: the kernel knows where it sent them.
 */
#pragma once

#include "engine/core.h"

struct rules_watch;

/* Without nf_tables there is nothing to watch, and no error. */
int rules_watch_new(struct engine *engine, struct rules_watch **ret, struct err **reterr);
void rules_watch_free(struct rules_watch *watch);
