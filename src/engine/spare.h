/*
 * A monitor that nobody has asked for yet. It was spawned with the ID that the next container will get, so that a container which
 * is started right after its creation, as `run` does, does not wait for the birth of its monitor. One is made behind each start, and
 * ends if it is not wanted within a second: an idle engine has none. A birth next to a container's end makes that end 0.35 ms longer
 * where there are two processors, so it waits a little for the ends of short commands.
 *
 * Nothing else knows of it: no row, no lease, only a run folder. If we end, it sees its channel close before anything was said,
 * and ends; after a crash the next engine's sweep takes the folder. If it is killed, that is noticed when it is wanted, and a
 * monitor is spawned as for any container.
 */
#pragma once

#include "engine/container.h"

struct spare;

/* Behind a start, unless there is one: in a few milliseconds, or as soon as spare_make is called. Best effort. */
void spare_make_soon(struct engine *engine);
void spare_make(struct engine *engine);

/* What the next container is to be called: the spare monitor's ID, if there is one. */
void spare_next_id(const struct engine *engine, char id[static CONTAINER_ID_SIZE]);

/* The channel to the monitor of the container `id`, which is the caller's from now on; -1 if there is none for it. */
int spare_take(struct engine *engine, const char *id);

/* If there is one; at the engine's end, and when its time is over. */
void spare_drop(struct engine *engine);
