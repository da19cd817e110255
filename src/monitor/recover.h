/* What an earlier monitor of this container left behind. */
#pragma once

#include "base/err.h"

struct monitor;

/*
 * If the state says that the container runs, its monitor is dead and so is its container, or will be now: everything in its
 * groups is ended, 137 "monitor lost" is recorded, and all goes on as after any exit, restart policy included.
 * Otherwise there is nothing to do, and who was started only for this may end.
 */
int recover(struct monitor *monitor, struct err **reterr);
