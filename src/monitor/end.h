/* The end of a run, however it comes about. */
#pragma once

#include <stdbool.h>

#include <sys/types.h>

#include "base/err.h"

struct monitor;

/* Children have ended: init, execs, and orphans of the container that came to us. */
void end_reap(struct monitor *monitor);

/* Hears of the kernel killing for lack of memory. Best effort. */
void end_watch_oom(struct monitor *monitor);

/*
 * What init's end waits for is the end of its mount namespace (RCU, and all that is to be unmounted). Of a container that is thrown
 * away and has nothing of the host's mounted, nobody else does: we hold that namespace from its beginning, and let go, with the lock on
 * the root, when its clients have been answered. A superblock of the host's or a volume is never held beyond the end.
 */
void end_keep_mounts(struct monitor *monitor, pid_t pid);
void end_drop_mounts(struct monitor *monitor);

/* The container, if there is one, is destroyed; its groups, locks and descriptors are given back. */
void end_release(struct monitor *monitor);

/* Groups that an earlier monitor left behind are ended. ERR_UNAVAILABLE if something in them does not die. */
int end_clear_leftovers(struct monitor *monitor, struct err **reterr);

/* The container is gone already, and this is what to say of it: state, event, clients, restart policy. */
void end_record(struct monitor *monitor, int exit_code);

/* Both of the container's output streams have ended. */
void end_output_ended(struct monitor *monitor);

/* The restart policy's timer, if it runs, is stopped. True if it ran. */
bool end_cancel_restart_timer(struct monitor *monitor);
/* An earlier monitor's timer, whose rest is not known: it restarts now. */
void end_resume_restart(struct monitor *monitor);
/* As the first, and the container is then as after its last exit. */
void end_give_up_restart(struct monitor *monitor);
