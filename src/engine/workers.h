/*
 * Jobs of workers: those that are handed a client (what names a registry goes to tare-transfer), and the emptying of trash/. A
 * worker reports what it has done as an event and ends. When one ends otherwise, the store is swept of what it left.
 */
#pragma once

#include <stdint.h>

#include "engine/core.h"
#include "spec/handover.h"
#include "spec/holder.h"
#include "spec/messages.h"

struct workers;

int workers_new(struct engine *engine, struct workers **ret, struct err **reterr);
void workers_free(struct workers *workers);

/* As monitor_handover: success means that the worker is responsible for the client. Heard once, from the loop. */
typedef void worker_answer_fn(void *user, const struct message *answer, const struct err *err);
struct workers_loan {
	const int *fds; /* what the job needs besides the client: copies go along */
	size_t count;   /* at most WORKERS_LOAN_MAX */
};
#define WORKERS_LOAN_MAX 2
int workers_handover(struct workers *workers, const struct handover *handover, int fd, const void *surplus,
	size_t surplus_len, const struct workers_loan *loan, worker_answer_fn *on_answer, void *user,
	struct err **reterr);

/* A job for a worker of its own: sends `body`, which is taken and has WORKER_REQUEST_ID, and hears its answer as above. */
#define WORKER_REQUEST_ID 1
int workers_ask(struct workers *workers, enum holder_kind kind, json_t *body, int64_t deadline_ms,
	worker_answer_fn *on_answer, void *user, struct err **reterr);

/* Something was moved into trash/: a worker deletes it soon. */
void workers_empty_trash(struct workers *workers);

/* From tared. */
void workers_child_ended(struct workers *workers, const char *id, int pid, int status);
