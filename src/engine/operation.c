#include "engine/operation.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "engine/core.h"
#include "engine/monitor_link.h"
#include "sys/loop.h"

#define TRY_AGAIN_MS 20
/* A step that has taken so much longer is looked at so much less often. */
#define TRY_AGAIN_SHARE 8

static void operation_run(struct operation *operation);

static void operation_free(struct operation *operation)
{
	list_remove(&operation->link);
	json_decref(operation->args.document);
	json_decref(operation->result);
	loop_source_free(operation->pause);
	free(operation->text);
	container_unref(operation->container);
	free(operation);
}

/* The next in the queue; operations on what is gone by now find that out in their first step. */
static void queue_go_on(struct container *container)
{
	while (!list_is_empty(&container->operations)) {
		struct operation *next = container_of(container->operations.next, struct operation, link);
		if (next->running)
			return;
		operation_run(next);
	}
}

static void operation_end(struct operation *operation, const struct err *err)
{
	struct container *container = container_ref(operation->container);
	bool was_queued = operation->verb->queued;
	list_remove(&operation->link);
	if (operation->verb->ended)
		operation->verb->ended(operation, err);
	if (operation->done)
		operation->done(operation->user, err ? NULL : operation->result, err);
	operation_free(operation);
	if (was_queued)
		queue_go_on(container);
	container_unref(container);
}

static void operation_fail(struct operation *operation, const struct err *err)
{
	for (size_t i = operation->at + 1; i-- > 0;) {
		if (operation->verb->steps[i].undo)
			operation->verb->steps[i].undo(operation);
	}
	operation_end(operation, err);
}

static int step_run(struct operation *operation, struct err **reterr)
{
	operation->step_began_ms = clock_monotonic_ms();
	return operation->verb->steps[operation->at].run(operation, reterr);
}

/* Goes on from a step's outcome. */
static void operation_proceed(struct operation *operation, int outcome, struct err **err)
{
	while (outcome == STEP_NEXT) {
		if (++operation->at == operation->verb->step_count)
			outcome = STEP_END;
		else
			outcome = step_run(operation, err);
	}
	if (outcome == STEP_END)
		operation_end(operation, NULL);
	else if (outcome < 0)
		operation_fail(operation, *err);
	else
		operation->waiting = true;
}

static void operation_run(struct operation *operation)
{
	_autofree_(err) struct err *err = NULL;
	operation->running = true;
	int outcome = operation->container->gone
			      ? err_set(&err, ERR_NOT_FOUND, 0, "No such container: %s", operation->container->id)
			      : step_run(operation, &err);
	operation_proceed(operation, outcome, &err);
}

void operation_begin(struct container *container, const struct verb *verb, const struct operation_args *args,
	engine_done_fn *done, void *user)
{
	_autofree_(err) struct err *err = NULL;
	struct operation *operation = calloc(1, sizeof(*operation));
	if (operation && args && args->text)
		operation->text = strdup(args->text);
	if (!operation || (args && args->text && !operation->text)) {
		free(operation);
		if (args)
			json_decref(args->document);
		err_oom(&err);
		if (done)
			done(user, NULL, err);
		return;
	}
	operation->container = container_ref(container);
	operation->verb = verb;
	operation->done = done;
	operation->user = user;
	if (args)
		operation->args = *args;
	bool is_first = list_is_empty(&container->operations);
	list_append(verb->queued ? &container->operations : &container->requests, &operation->link);
	if (!verb->queued || is_first)
		operation_run(operation);
}

static void on_pause_over(struct loop_source *source, void *data)
{
	struct operation *operation = data;
	_autofree_(err) struct err *err = NULL;

	(void)source;
	operation->waiting = false;
	operation_proceed(operation, operation->verb->steps[operation->at].run(operation, &err), &err);
}

int operation_try_again(struct operation *operation, int64_t patience_ms)
{
	struct loop *loop = operation->container->engine->loop;
	int64_t now_ms = clock_monotonic_ms();

	if (now_ms - operation->step_began_ms >= patience_ms)
		return 0;
	if (!operation->pause && loop_add_timer(loop, LOOP_NEVER, on_pause_over, operation, &operation->pause) < 0)
		return 0;
	int64_t pause_ms = (now_ms - operation->step_began_ms) / TRY_AGAIN_SHARE;
	loop_timer_set(operation->pause, now_ms + (pause_ms > TRY_AGAIN_MS ? pause_ms : TRY_AGAIN_MS));
	operation->waiting = true;
	return STEP_WAIT;
}

static void on_answer(void *user, const struct message *answer, const struct err *err)
{
	struct operation *operation = user;
	const struct step *step = &operation->verb->steps[operation->at];
	_autofree_(err) struct err *failure = NULL;
	operation->waiting = false;
	if (err && step->wants_end && operation->container->gone) {
		operation_proceed(operation, STEP_END, &failure);
		return;
	}
	/* What was to end had ended before its monitor was asked. */
	if (err && err->kind == ERR_NOT_MODIFIED && !container_is_running(operation->container))
		err = NULL;
	if (err && operation_try_again(operation, step->insists_ms) == STEP_WAIT)
		return;
	if (err) {
		operation_fail(operation, err);
		return;
	}
	int outcome = step->answered ? step->answered(operation, answer, &failure) : STEP_NEXT;
	operation_proceed(operation, outcome, &failure);
}

void operation_resume(struct operation *operation, const struct err *err)
{
	_autofree_(err) struct err *failure = NULL;
	operation->waiting = false;
	if (err)
		operation_fail(operation, err);
	else
		operation_proceed(operation, STEP_NEXT, &failure);
}

int operation_ask(struct operation *operation, json_t *body, int64_t deadline_ms, struct err **reterr)
{
	int r = monitor_request(operation->container, body, deadline_ms, on_answer, operation, reterr);
	return r < 0 ? r : STEP_WAIT;
}
