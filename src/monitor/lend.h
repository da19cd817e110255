/*
 * What a monitor lends to a worker that copies, exports or commits its running container: descriptors, which the engine
 * passes on. However the worker ends, and whatever becomes of the engine on the way, closing them is giving them back.
 */
#pragma once

#include "base/err.h"

struct monitor;

/* The root, to be closed by the caller, and the lock on it, which stays the monitor's: a copy of its descriptor holds it
 * too, so the next start waits for the worker (runtime/rootfs.h). */
#define LEND_ROOT_FDS 2
int lend_root(struct monitor *monitor, int ret_fds[static LEND_ROOT_FDS], struct err **reterr);

/* Pauses the container as long as the descriptor, the caller's, is open somewhere. ERR_CONFLICT if that is so already. */
int lend_pause(struct monitor *monitor, int *ret_fd, struct err **reterr);
/* The run has ended: nothing is to be continued. */
void lend_end(struct monitor *monitor);
