/* Starting, stopping and what else is asked of a running container. Every function ends in `done`, possibly at once. */
#pragma once

#include "engine/container.h"

/* Unset: the container's own, else Docker's default. */
#define LIFECYCLE_TIMEOUT_UNSET INT64_MIN

/* ERR_NOT_MODIFIED if it runs already. */
void lifecycle_start(struct container *container, engine_done_fn *done, void *user);
/* `signal` 0: the container's own. ERR_NOT_MODIFIED if it does not run. */
void lifecycle_stop(struct container *container, int signal, int64_t timeout_s, engine_done_fn *done, void *user);
void lifecycle_restart(struct container *container, int signal, int64_t timeout_s, engine_done_fn *done, void *user);
/* SIGKILL waits for the end. */
void lifecycle_kill(struct container *container, int signal, engine_done_fn *done, void *user);
void lifecycle_pause(struct container *container, engine_done_fn *done, void *user);
void lifecycle_unpause(struct container *container, engine_done_fn *done, void *user);
/* `exec` NULL: the container's own terminal. */
void lifecycle_resize(struct container *container, const char *exec, int64_t width, int64_t height,
	engine_done_fn *done, void *user);
/* The result is Docker's document of the processes. */
void lifecycle_top(struct container *container, const char *args, engine_done_fn *done, void *user);

/* The signal and patience that `stop` uses for this container. */
int lifecycle_stop_signal(const struct container *container);
int64_t lifecycle_stop_timeout(const struct container *container);

/* ERR_CONFLICT in Docker's words unless it runs and is not paused. */
int lifecycle_need_active(const struct container *container, struct err **reterr);

/* --- from monitor_link.c --- */

/* A run has ended: with AutoRemove, and unless it will be restarted, the container goes away. */
void lifecycle_ended(struct container *container);
/* At start-up, when the machine was started anew: what ran has ended. Restart policies are applied by lifecycle_boot. */
void lifecycle_restore_without_state(struct container *container);

/* At the end of start-up: restart policies after a reboot, AutoRemove containers whose end was not heard of. */
void lifecycle_boot(struct engine *engine);
