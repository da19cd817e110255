/* Workers, each for one job: nothing is to be done when one ends but to tell. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include <sys/types.h>

#include "base/err.h"
#include "holder/programs.h"

struct workers;

typedef void worker_ended_fn(enum holder_kind kind, const char *id, pid_t pid, int status, void *user);

/* Shares `programs`. */
int workers_new(struct programs *programs, worker_ended_fn *on_ended, void *user, struct workers **ret,
	struct err **reterr);
void workers_free(struct workers *workers);
DEFINE_AUTOFREE(workers, struct workers *, workers_free);

/* `kind` is HOLDER_WORKER, HOLDER_TRANSFER or HOLDER_NETWORK. Returns 0 or -errno. */
int workers_start(struct workers *workers, enum holder_kind kind, const char *id, char *const *argv, const int *fds,
	size_t fd_count, pid_t *ret_pid);

/* Whether `pid`, which was reaped with `status`, is one of them. */
bool workers_reaped(struct workers *workers, pid_t pid, int status);
