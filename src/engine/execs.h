/*
 * Which container an exec's ID belongs to. The execs themselves are their monitors'; here is only the way to them, learnt
 * from create and, after a start of the engine, from the monitors' hello. Of one that has ended the exit code is kept, so
 * that a client can still ask when its container, and the monitor with it, has ended too.
 */
#pragma once

#include "engine/container.h"
#include "spec/exec_config.h"

/* Ended ones kept for each container, the newest. */
#define EXECS_ENDED_MAX 64

struct execs;

struct execs *execs_new(void);
void execs_free(struct execs *execs);

/* The container must run. Takes the contents of `config`. The result is {"Id": ...}. */
void execs_create(struct container *container, struct exec_config *config, engine_done_fn *done, void *user);
/* The container whose exec it is; ERR_NOT_FOUND "No such exec instance: X". Borrows. */
int execs_find(struct engine *engine, const char *id, struct container **ret, struct err **reterr);
/* The result is Docker's document. */
void execs_inspect(struct engine *engine, const char *id, engine_done_fn *done, void *user);
/* IDs of those that have not ended; NULL-terminated heap, or NULL if there are none. */
int execs_of(const struct execs *execs, const char *container_id, char ***ret);

/* --- from monitor_link.c and remove.c --- */

void execs_found(struct container *container, const char *id);
void execs_died(struct container *container, const char *id, const char *exit_code);
/* The container's monitor is gone, and its execs with it. */
void execs_lost(struct container *container);
void execs_forget(struct execs *execs, const char *container_id);
