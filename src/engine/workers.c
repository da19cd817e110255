#include "engine/workers.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/list.h"
#include "base/log.h"
#include "engine/container.h"
#include "engine/events.h"
#include "engine/holder_link.h"
#include "store/partial.h"
#include "sys/channel.h"

#define WORKER_ANSWER_MS 30000
#define WORKER_ID_SIZE   33
/* A worker that can't be started, or dies over and over, is not tried again at once. */
#define TRASH_RETRY_MS       10000
#define TRASH_BEGIN_AGAIN_MS 1000
/* How often, and how long apart, the store is looked over after a worker died. */
#define SWEEPS         5
#define SWEEP_PAUSE_MS 300
/* When the store is looked over for downloads that nobody went on with, and how long apart while there are any. */
#define PARTIAL_FIRST_MS ((PARTIAL_KEEP_S + 1) * 1000)
#define PARTIAL_AGAIN_MS 60000
/* What is removed together is deleted by one worker, and not while the next container wants to start. */
#define TRASH_DELAY_MS 500

struct worker {
	struct list link;
	struct workers *workers;
	char id[WORKER_ID_SIZE];
	struct channel *channel;
	struct loop_source *deadline;
	worker_answer_fn *on_answer; /* NULL once it has been called */
	void *user;
	bool empties_trash;
	bool transfers; /* it is a tare-transfer */
};

struct workers {
	struct engine *engine;
	struct list all;
	bool emptying;    /* one is at it */
	bool trash_again; /* more has come meanwhile */
	bool trash_soon;  /* the timer runs for more than a retry */
	struct loop_source *trash_timer;
	struct loop_source *sweep_timer;
	int sweeps_left;
	struct loop_source *partial_timer;
	bool partial_timer_set;
};

static void worker_free(struct worker *worker)
{
	list_remove(&worker->link);
	channel_free(worker->channel);
	loop_source_free(worker->deadline);
	free(worker);
}

static void worker_answer(struct worker *worker, const struct message *answer, const struct err *err)
{
	worker_answer_fn *on_answer = worker->on_answer;
	loop_timer_set(worker->deadline, LOOP_NEVER);
	worker->on_answer = NULL;
	if (on_answer)
		on_answer(worker->user, answer, err);
}

static void worker_fail(struct worker *worker, enum err_kind kind, const char *message)
{
	_autofree_(err) struct err *err = NULL;
	err_set(&err, kind, 0, "%s", message);
	worker_answer(worker, NULL, err);
}

/* What was done to a container; a commit says what came of it too. */
static void take_container_event(struct engine *engine, const char *type, const char *id, const struct message *message)
{
	static const char *const keys[] = { "comment", "imageID", "imageRef" };
	const char *values[ARRAY_SIZE(keys)];
	struct container *container = containers_by_id(engine->containers, id);
	if (!container)
		return;
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		values[i] = message_string(message, keys[i]);
	events_tell_container_about(container, type, keys, values, ARRAY_SIZE(keys));
}

/* What it has done: an event of the image. */
static void take_event(struct worker *worker, const struct message *message)
{
	const char *type = message_string(message, "type");
	const char *container = message_string(message, "container");
	const char *image = message_string(message, "image");
	const char *name = message_string(message, "name");
	if (type && container)
		take_container_event(worker->workers->engine, type, container, message);
	if (!type || !image)
		return;
	struct map *attributes = map_new(free);
	/* Docker names these by what they are of. */
	bool is_of_image = strcmp(type, "load") == 0 || strcmp(type, "import") == 0;
	char *copy = strdup(name && !is_of_image ? name : image);
	if (!attributes || !copy || map_set(attributes, "name", copy) < 0)
		free(copy);
	events_tell(worker->workers->engine, "image", type, image, attributes);
}

static void on_message(struct channel *channel, const char *data, size_t len, int *fds, size_t fd_count, void *user)
{
	struct worker *worker = user;
	struct message message;
	_autofree_(err) struct err *err = NULL;
	(void)channel;
	(void)fds;
	(void)fd_count;
	if (message_parse(data, len, &message, &err) < 0) {
		log_error("a wrong message from a worker: %s", err_message(err));
		return;
	}
	if (strcmp(message.op, "event") == 0) {
		take_event(worker, &message);
	} else if (message.id == WORKER_REQUEST_ID) {
		int r = message_outcome(&message, &err);
		worker_answer(worker, r < 0 ? NULL : &message, r < 0 ? err : NULL);
	}
	message_finish(&message);
}

static void on_sweep_timer(struct loop_source *source, void *data);
static void on_partial_timer(struct loop_source *source, void *data);
static void empty_trash(struct workers *workers);

static void on_trash_timer(struct loop_source *source, void *data)
{
	(void)source;
	empty_trash(data);
}

static void trash_done(struct workers *workers)
{
	workers->emptying = false;
	if (!workers->trash_again && !store_has_trash(workers->engine->store))
		return;
	/* Something has come meanwhile, or what is still there was left by a failure. */
	int64_t pause_ms = workers->trash_again ? TRASH_DELAY_MS : TRASH_RETRY_MS;
	workers->trash_soon = workers->trash_again;
	loop_timer_set(workers->trash_timer, clock_monotonic_ms() + pause_ms);
}

static void watch_partials(struct workers *workers, int64_t pause_ms)
{
	if (workers->partial_timer_set || !partials_exist(workers->engine->store))
		return;
	workers->partial_timer_set = true;
	loop_timer_set(workers->partial_timer, clock_monotonic_ms() + pause_ms);
}

static void on_closed(struct channel *channel, void *user)
{
	struct worker *worker = user;
	struct workers *workers = worker->workers;
	bool empties_trash = worker->empties_trash, transfers = worker->transfers;
	(void)channel;
	/* A tared of before there were transfers drops what it does not know. */
	worker_fail(worker, ERR_INTERNAL,
		worker->transfers ? "tare-transfer ended before it had taken the request; after an upgrade, restart "
				    "tared (its containers go on)"
				  : "the worker ended before it had taken the request");
	worker_free(worker);
	if (empties_trash)
		trash_done(workers);
	if (transfers)
		watch_partials(workers, PARTIAL_FIRST_MS);
}

static void on_deadline(struct loop_source *source, void *data)
{
	(void)source;
	worker_fail(data, ERR_UNAVAILABLE, "the worker did not answer in time");
}

static int worker_new(struct workers *workers, enum holder_kind kind, struct worker **ret, struct err **reterr)
{
	struct engine *engine = workers->engine;
	char *const argv[] = { (char *)"--exec-root", engine->exec_root, (char *)"--data-root", engine->data_root,
		NULL };
	struct worker *worker = calloc(1, sizeof(*worker));
	int fd;
	if (!worker)
		return err_oom(reterr);
	worker->workers = workers;
	worker->transfers = kind == HOLDER_TRANSFER;
	list_append(&workers->all, &worker->link);
	io_random_hex(worker->id, (WORKER_ID_SIZE - 1) / 2);
	int r = holder_link_spawn(engine->holder, kind, worker->id, argv, &fd, reterr);
	if (r == 0) {
		r = channel_new(engine->loop, fd, on_message, on_closed, worker, &worker->channel);
		if (r == 0)
			r = loop_add_timer(engine->loop, clock_monotonic_ms() + WORKER_ANSWER_MS, on_deadline, worker,
				&worker->deadline);
		if (r < 0)
			err_errno(reterr, r, "cannot talk to a new worker");
	}
	if (r < 0) {
		worker_free(worker);
		return r;
	}
	*ret = worker;
	return 0;
}

/* Takes `body`. */
static int worker_send(struct worker *worker, json_t *body, const void *surplus, size_t surplus_len, const int *fds,
	size_t fd_count, struct err **reterr)
{
	_autojson_ json_t *owned = body;
	_cleanup_(buf_finish) struct buf text = BUF_INIT(WORKER_MESSAGE_MAX);
	int r = message_pack(owned, surplus, surplus_len, &text);
	if (r == 0)
		r = channel_send_long(worker->channel, text.data, text.len, fds, fd_count);
	return r < 0 ? err_errno(reterr, r, "cannot talk to a new worker") : 0;
}

int workers_new(struct engine *engine, struct workers **ret, struct err **reterr)
{
	struct workers *workers = calloc(1, sizeof(*workers));
	if (!workers)
		return err_oom(reterr);
	workers->engine = engine;
	list_init(&workers->all);
	int r = loop_add_timer(engine->loop, LOOP_NEVER, on_trash_timer, workers, &workers->trash_timer);
	if (r == 0)
		r = loop_add_timer(engine->loop, LOOP_NEVER, on_sweep_timer, workers, &workers->sweep_timer);
	if (r == 0)
		r = loop_add_timer(engine->loop, LOOP_NEVER, on_partial_timer, workers, &workers->partial_timer);
	if (r < 0) {
		workers_free(workers);
		return err_errno(reterr, r, "cannot watch workers");
	}
	watch_partials(workers, PARTIAL_FIRST_MS);
	*ret = workers;
	return 0;
}

void workers_free(struct workers *workers)
{
	if (!workers)
		return;
	struct worker *worker, *next;
	list_foreach_safe (worker, next, &workers->all, link)
		worker_free(worker);
	loop_source_free(workers->trash_timer);
	loop_source_free(workers->sweep_timer);
	loop_source_free(workers->partial_timer);
	free(workers);
}

int workers_handover(struct workers *workers, const struct handover *handover, int fd, const void *surplus,
	size_t surplus_len, const struct workers_loan *loan, worker_answer_fn *on_answer, void *user,
	struct err **reterr)
{
	struct worker *worker;
	int fds[1 + WORKERS_LOAN_MAX] = { fd };
	size_t count = loan ? loan->count : 0;
	int r = worker_new(workers, handover->registry ? HOLDER_TRANSFER : HOLDER_WORKER, &worker, reterr);
	if (r < 0)
		return r;
	for (size_t i = 0; i < count; i++)
		fds[1 + i] = loan->fds[i];
	r = worker_send(worker, handover_message(WORKER_REQUEST_ID, handover), surplus, surplus_len, fds, 1 + count,
		reterr);
	if (r < 0) {
		worker_free(worker);
		return r;
	}
	worker->on_answer = on_answer;
	worker->user = user;
	return 0;
}

int workers_ask(struct workers *workers, enum holder_kind kind, json_t *body, int64_t deadline_ms,
	worker_answer_fn *on_answer, void *user, struct err **reterr)
{
	_autojson_ json_t *owned = body;
	struct worker *worker;
	int r = worker_new(workers, kind, &worker, reterr);
	if (r < 0)
		return r;
	r = worker_send(worker, TAKE(owned), NULL, 0, NULL, 0, reterr);
	if (r < 0) {
		worker_free(worker);
		return r;
	}
	worker->on_answer = on_answer;
	worker->user = user;
	loop_timer_set(worker->deadline, clock_monotonic_ms() + deadline_ms);
	return 0;
}

void workers_empty_trash(struct workers *workers)
{
	if (workers->emptying) {
		workers->trash_again = true;
		return;
	}
	if (!workers->trash_soon)
		loop_timer_set(workers->trash_timer, clock_monotonic_ms() + TRASH_DELAY_MS);
	workers->trash_soon = true;
}

static void empty_trash(struct workers *workers)
{
	struct worker *worker;
	_autofree_(err) struct err *err = NULL;
	workers->trash_again = workers->trash_soon = false;
	if (!store_has_trash(workers->engine->store))
		return;
	int r = worker_new(workers, HOLDER_WORKER, &worker, &err);
	if (r == 0) {
		json_t *body = message_new("job", WORKER_REQUEST_ID);
		message_add(body, "kind", json_string("remove"));
		r = worker_send(worker, body, NULL, 0, NULL, 0, &err);
		if (r < 0)
			worker_free(worker);
	}
	if (r < 0) {
		log_error("cannot empty the trash: %s", err_message(err));
		loop_timer_set(workers->trash_timer, clock_monotonic_ms() + TRASH_BEGIN_AGAIN_MS);
		return;
	}
	worker->empties_trash = true;
	workers->emptying = true;
}

/*
 * A killed worker's children end with it, but not at the same instant, and until then they hold the lock that tells of a job
 * in progress. So one look is not enough.
 */
static void sweep(struct workers *workers)
{
	_autofree_(err) struct err *err = NULL;
	bool trash = false;
	if (store_sweep(workers->engine->store, &trash, &err) < 0)
		log_error("cannot clear what a worker left: %s", err_message(err));
	if (trash)
		workers_empty_trash(workers);
	if (--workers->sweeps_left > 0)
		loop_timer_set(workers->sweep_timer, clock_monotonic_ms() + SWEEP_PAUSE_MS);
}

static void on_sweep_timer(struct loop_source *source, void *data)
{
	(void)source;
	sweep(data);
}

static void on_partial_timer(struct loop_source *source, void *data)
{
	struct workers *workers = data;
	(void)source;
	workers->partial_timer_set = false;
	workers->sweeps_left = 1;
	sweep(workers);
	watch_partials(workers, PARTIAL_AGAIN_MS);
}

/* Of a worker that ended badly the job's traces are cleared, and of one that could not be started the client is told. */
void workers_child_ended(struct workers *workers, const char *id, int pid, int status)
{
	struct worker *worker, *next;
	list_foreach_safe (worker, next, &workers->all, link) {
		if (pid != 0 || strcmp(worker->id, id) != 0)
			continue;
		_autofree_(err) struct err *err = NULL;
		err_errno(&err, status, "cannot start a worker");
		worker_fail(worker, ERR_INTERNAL, err_message(err));
	}
	if (pid == 0 || status == 0)
		return;
	log_warn("a worker ended with status %d", status);
	workers->sweeps_left = SWEEPS;
	sweep(workers);
}
