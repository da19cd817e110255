/*
 * A job: a worker at its task, and all that it has begun.
 *
 * Its folder tmp/job-RANDOM is locked (flock) as long as the worker lives, by the worker alone: its children must close
 * the descriptor. So "does the worker live?" is one attempt at the lock, and what a dead one leaves (folder, unfinished
 * rows, lease) is cleared by whoever comes across it, at the latest by store_sweep. Layers that the job made or found are
 * held by a lease of its name until it ends.
 */
#pragma once

#include <stdbool.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "store/store.h"

/* "job-" and 16 hex digits and the NUL. */
#define JOB_ID_SIZE 24

struct job;

/* Borrows the store, which outlives the job. */
int job_begin(struct store *store, struct job **ret, struct err **reterr);
/* Ends it, however far it came: what was committed stays, the rest and the folder go to trash/. -errno: something is left, for
 * the next sweep. */
int job_end(struct job *job);
DEFINE_AUTOFREE(job, struct job *, job_end);

/* Borrowed. */
struct store *job_store(const struct job *job);
const char *job_id(const struct job *job);
/* The job's empty folder, for its files; closed with the job. */
int job_folder(const struct job *job);

/* Whether the worker of the job so named still lives. */
bool job_is_alive(struct store *store, const char *id);
/* Clears what a dead job left. Outside of any transaction. */
int job_discard(struct store *store, const char *id, struct err **reterr);
/* All dead jobs, known by their folders or by their rows. */
int job_discard_dead(struct store *store, struct err **reterr);
