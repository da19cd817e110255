/*
 * The container's networks that others make (network/cni.h). Foreign programs do that, and a child of ours waits for them: the start
 * waits for the child as for any event, and a cancelled one is told so (SIGTERM) and takes back what it did.
 *
 * The container's namespace is made by that child, ahead of the container, and comes with its answer; a descriptor of it is kept,
 * so that it is still there when plugins are to clear it up after the container's end. Nobody waits for that: another child has
 * the lock on the container's folder, which the next start and the removal of the container ask for.
 */
#pragma once

#include <sys/types.h>

#include "base/err.h"
#include "spec/launch.h"

struct monitor;

bool foreign_is_wanted(const struct monitor *monitor);
/* Returns the child's pid; its answer comes on *ret_fd. */
pid_t foreign_begin(struct monitor *monitor, int *ret_fd, struct err **reterr);
void foreign_cancel(pid_t pid);
/* When it has ended: the endpoints have the addresses, and monitor->foreign_fd is the namespace. */
int foreign_outcome(struct monitor *monitor, int fd, struct err **reterr);

/* For a change of a running container: those it has stay as they are, and nothing of theirs can change. */
int foreign_keep(const struct monitor *monitor, struct launch_network *after, struct err **reterr);

/* The container has ended, or could not be started. */
void foreign_end(struct monitor *monitor);
/* What a monitor that died has left. */
void foreign_clear_leftovers(struct monitor *monitor);
/* The plugins look whether all is as they made it; the log says what is not. */
void foreign_check(struct monitor *monitor);
