/*
 * Interfaces of this engine's making, bridges and parents, that belong to no network: left by a helper that was killed, or by
 * an engine that was killed before it asked for the removal. They are looked for when the engine starts and whenever the helper
 * failed; then they are removed, and the table is put whole.
 */
#pragma once

#include "engine/core.h"

/* The first one comes with the loop's first round. */
int network_sweep_new(struct engine *engine, struct network_sweep **ret, struct err **reterr);
/* After a failure of the helper: in a moment, and while it fails again later each time, for some seconds. */
void network_sweep_soon(struct network_sweep *sweep);
void network_sweep_free(struct network_sweep *sweep);
