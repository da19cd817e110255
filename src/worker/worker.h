/*
 * What the programs that do one job and then end have in common: tare-worker (works on the store and on containers' files)
 * and tare-transfer (talks to registries, and so carries the libraries for that). Descriptor 3 is the channel to the engine,
 * which sends one message:
 *
 *   handover   a client with its socket: `ack`, and from then on the client is ours to answer
 *   job        (kind remove) trash/ is to be emptied
 *
 * What was done is told as `event {type, image, name}`, or with `container` in place of `image`; if the engine is gone by then, so be it: the store says the same.
 * A job that failed was answered to its client, and the worker still ends 0; any other end, and one that says that something is
 * left, makes the engine sweep the store.
 */
#pragma once

#include "spec/handover.h"
#include "worker/task.h"

typedef int worker_job_fn(struct task *task, const struct handover *handover, struct err **reterr);

struct worker_job {
	enum handover_kind kind;
	worker_job_fn *run;
	/* With it the answer is a stream whatever happens, as Docker's to a load: only what this check of the parameters
	 * finds, before anything is begun, is told by an HTTP status. */
	int (*check)(const struct handover *handover, struct err **reterr);
	bool without_store; /* it needs nothing of it: no job in the store is begun, and `task->job` is NULL */
};

/* What was done to a container. `image` NULL: nothing was made of it. */
void worker_tell_container(const char *type, const char *container, const char *image, const char *reference,
	const char *comment);

/* `jobs` are all that the program does; each program names its own, so that it links no more than they need. */
int worker_main(int argc, char **argv, const struct worker_job *jobs, size_t job_count);
