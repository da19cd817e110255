/*
 * A verb on a container that takes more than a moment: steps, each with its undo, driven by monitors' answers.
 *
 * Steps run in order. One that must wait says so, and its answer resumes the operation. When one fails, the undos of those
 * before it run backwards, and the caller hears of the error. What must survive a crash is written down by a step before
 * the step with the first side effect (the intent), so a start of the engine can go on or clear up.
 *
 * Operations that change what a container is (start, restart, update, remove) form a queue per container: one runs at a time.
 * Those that only ask its monitor for something (stop, kill, pause, resize, top) don't wait, or a `kill` could not end a
 * `stop` that takes its time. Every waiting step has a deadline, kept by monitor_link.c.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/container.h"
#include "spec/messages.h"

struct operation;

/* What a step returns besides -errno. */
enum { STEP_NEXT = 0, STEP_WAIT = 1, STEP_END = 2 };

struct step {
	int (*run)(struct operation *operation, struct err **reterr);
	/* The answer that STEP_WAIT waited for: STEP_NEXT, STEP_END, or STEP_WAIT for another one. NULL: an answer is all. */
	int (*answered)(struct operation *operation, const struct message *answer, struct err **reterr);
	/* Also called for the step that failed. May be NULL. */
	void (*undo)(struct operation *operation);
	/* An error in place of the answer: the step is run again soon, until it has taken so long; 0: then it has failed. */
	int64_t insists_ms;
	/* It wants the container's end: one that --rm took away before the monitor's answer came has come to it. */
	bool wants_end;
};

struct verb {
	const char *name;
	const struct step *steps;
	size_t step_count;
	bool queued;
	/* The last thing, whatever the outcome (err is NULL on success). May be NULL. */
	void (*ended)(struct operation *operation, const struct err *err);
};

/* Parameters of all verbs; each uses its own. */
struct operation_args {
	int signal; /* stop, kill, restart */
	int64_t timeout_s;
	bool force; /* remove */
	bool remove_volumes;
	bool unattended; /* remove: AutoRemove, nobody asked */
	int64_t width, height;
	const char *text; /* top: ps's options; resize, exec: its ID. Copied. */
	json_t *document; /* exec-create: sent as it is; update: what is wanted; taken */
};

struct operation {
	struct list link; /* in container->operations or ->requests */
	struct container *container;
	const struct verb *verb;
	size_t at;
	struct operation_args args;
	char *text; /* the copy of args.text */
	json_t *result;
	engine_done_fn *done; /* may be NULL */
	void *user;
	bool running;
	bool waiting;
	struct loop_source *pause; /* until the step is run again */
	int64_t step_began_ms;
};

/* Begins at once, or when it is its turn. `done` is called in any case, possibly before this returns. */
void operation_begin(struct container *container, const struct verb *verb, const struct operation_args *args,
	engine_done_fn *done, void *user);

/*
 * For steps that wait for what nobody announces: the step is run again soon. Returns STEP_WAIT; or, when the step has taken
 * longer than `patience_ms`, 0 for the caller to say so.
 */
int operation_try_again(struct operation *operation, int64_t patience_ms);

/* The end of a wait (STEP_WAIT) for something else than the monitor; `err` NULL: the next step, else failure. From the loop. */
void operation_resume(struct operation *operation, const struct err *err);

/* For steps: asks the monitor; returns STEP_WAIT or -errno. `body` is taken. */
int operation_ask(struct operation *operation, json_t *body, int64_t deadline_ms, struct err **reterr);
