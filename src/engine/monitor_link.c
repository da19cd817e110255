#include "engine/monitor_link.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/log.h"
#include "engine/connect.h"
#include "engine/events.h"
#include "engine/execs.h"
#include "engine/holder_link.h"
#include "engine/launch.h"
#include "engine/lifecycle.h"
#include "engine/spare.h"
#include "engine/volumes.h"
#include "spec/handover.h"
#include "sys/channel.h"

/* A monitor that died is started again by tared: tries to reach it, with growing pauses. */
#define RECONNECT_FIRST_MS 20
/* A client that does not fetch its answer keeps its monitor. */
#define ENDED_PATIENCE_MS 20
#define RECONNECT_MAX_MS  1000
/* How long requests wait for that before they hear of it. */
#define RECOVERY_PATIENCE_MS 10000
/* A request that crosses with a monitor's end again and again has another problem. */
#define REQUEST_TRIES 3
/* How long a monitor waits that was spawned before anything was asked of it. */
#define ANTICIPATION_MS 5000

static const char not_recovered[] = "the container's monitor is gone, and no other has recovered the container so far";

struct pending {
	struct list link;
	struct monitor_link *owner;
	int64_t id;
	json_t *body;        /* kept for a second try */
	int fd;              /* -1: none; the caller's */
	const void *surplus; /* the caller's */
	size_t surplus_len;
	bool needs_life; /* asked of a running container, it has no sense for one that has ended */
	unsigned tries;
	struct loop_source *timer;
	monitor_answer_fn *on_answer;
	void *user;
};

struct monitor_link {
	struct container *container; /* the link is the container's; NULL once that has been removed */
	struct engine *engine;
	struct channel *channel; /* NULL: not connected */
	struct list pending;     /* in the order they were sent */
	int64_t last_id;
	int64_t hello_id;
	bool finish_sent; /* it may end whenever it likes */
	bool anticipates; /* nothing was answered yet, and launch.json may not be there */
	bool prepares;    /* as soon as the client who waits for the create has its answer */
	bool heard;       /* it has said something: it may have begun what it was asked for */
	bool spawned;     /* by this engine; its EXITED may say why it could not be started */
	int64_t lost_ms;  /* since then requests wait for the recovery of the monitor; 0: they don't */
	int64_t retry_ms;
	struct loop_source *retry;
	struct list removed;     /* in the engine's list of the same name */
	monitor_ended_fn *ended; /* of one whose container has been removed; NULL: nobody waits for it */
	void *ended_user;
};

static void link_settle(struct monitor_link *link);

/* --- requests --- */

static void pending_free(struct pending *pending)
{
	list_remove(&pending->link);
	loop_source_free(pending->timer);
	json_decref(pending->body);
	free(pending);
}

static void pending_answer(struct pending *pending, const struct message *answer, const struct err *err)
{
	monitor_answer_fn *on_answer = pending->on_answer;
	void *user = pending->user;
	pending_free(pending);
	on_answer(user, answer, err);
}

typedef bool pending_is_fn(const struct pending *pending);

/* Those that `which` says; NULL: all. */
static void pending_fail(struct monitor_link *link, pending_is_fn *which, enum err_kind kind, const char *message)
{
	/* Answers may ask anew: only those that are here now. */
	struct list failing = LIST_INIT(failing);
	struct pending *pending, *following;
	list_foreach_safe (pending, following, &link->pending, link) {
		if (which && !which(pending))
			continue;
		list_remove(&pending->link);
		list_append(&failing, &pending->link);
	}
	while (!list_is_empty(&failing)) {
		_autofree_(err) struct err *err = NULL;
		err_set(&err, kind, 0, "%s", message);
		pending_answer(container_of(failing.next, struct pending, link), NULL, err);
	}
}

static void on_deadline(struct loop_source *source, void *data)
{
	struct pending *pending = data;
	_autofree_(err) struct err *err = NULL;
	(void)source;
	log_warn("the monitor of container %s did not answer %s in time",
		pending->owner->container ? pending->owner->container->id : "(removed)",
		json_string_value(json_object_get(pending->body, "op")));
	err_set(&err, ERR_UNAVAILABLE, ETIMEDOUT, "the container's monitor did not answer in time");
	pending_answer(pending, NULL, err);
}

static int send_body(struct channel *channel, const json_t *body, const void *surplus, size_t surplus_len, int fd)
{
	_cleanup_(buf_finish) struct buf text = BUF_INIT(CHANNEL_MESSAGE_MAX);
	int r = message_pack(body, surplus, surplus_len, &text);
	return r < 0 ? r : channel_send(channel, text.data, text.len, &fd, fd >= 0 ? 1 : 0);
}

static int send_pending(struct pending *pending)
{
	int r = send_body(pending->owner->channel, pending->body, pending->surplus, pending->surplus_len, pending->fd);
	pending->tries += r == 0;
	return r;
}

/* Takes `body`. */
static int pending_new(struct monitor_link *link, json_t *body, int64_t deadline_ms, struct pending **ret)
{
	struct pending *pending = calloc(1, sizeof(*pending));
	if (!pending || !body || json_object_set_new(body, "id", json_integer(++link->last_id)) < 0) {
		json_decref(body);
		free(pending);
		return -ENOMEM;
	}
	pending->owner = link;
	pending->id = link->last_id;
	pending->body = body;
	pending->fd = -1;
	list_append(&link->pending, &pending->link);
	int64_t deadline = deadline_ms == LOOP_NEVER ? LOOP_NEVER : clock_monotonic_ms() + deadline_ms;
	int r = loop_add_timer(link->engine->loop, deadline, on_deadline, pending, &pending->timer);
	if (r < 0) {
		pending_free(pending);
		return r;
	}
	*ret = pending;
	return 0;
}

/* --- what the monitor says --- */

/* A container's state in memory and, at an exit, in the database: what is shown after a reboot, which AutoRemove ones don't see. */
static void take_state(struct container *container, struct runstate *state, bool ended)
{
	_autofree_(err) struct err *err = NULL;
	container_set_state(container, state);
	if (ended && !container->record.host.auto_remove && container_save_marks(container, &err) < 0)
		log_error("cannot write down the exit of container %s: %s", container->id, err_message(err));
}

/* Those of the container, and those of the event over them. */
static struct map *merge_attributes(const struct container *container, const struct run_event *event)
{
	struct map *attributes = container_event_attributes(container);
	struct map_entry *entry;
	if (!attributes || !event->attributes)
		return attributes;
	map_foreach (entry, event->attributes) {
		char *copy = strdup(entry->value);
		if (!copy || map_set(attributes, entry->key, copy) < 0) {
			free(copy);
			break;
		}
	}
	return attributes;
}

static void tell_event(struct container *container, const struct run_event *event)
{
	_autofree_(map) struct map *attributes = merge_attributes(container, event);
	const struct event told = {
		.type = "container",
		.action = event->type,
		.actor = container->id,
		.from = container->record.config.image,
		.attributes = attributes,
		.time_ns = event->time_ns,
		.container = container->id,
		.seq = event->seq,
	};
	volumes_tell_container(container, event->type, event->time_ns);
	bool is_failed_exec = strcmp(event->type, RUN_EVENT_EXEC_FAILED) == 0;
	if (strcmp(event->type, "start") == 0)
		connect_started(container);
	if (!is_failed_exec)
		events_publish(container->engine->events, &told);
	container->acked_seq = event->seq;
	if (strcmp(event->type, "die") == 0)
		connect_tell(container, "disconnect");
	if ((is_failed_exec || strcmp(event->type, "exec_die") == 0) && event->attributes)
		execs_died(container, map_get(event->attributes, "execID"), map_get(event->attributes, "exitCode"));
}

/* Takes in one event and the state that it led to (emptied). */
static void take_event(struct container *container, const struct run_event *event, struct runstate *state)
{
	bool ended = strcmp(event->type, "die") == 0;
	if (strcmp(event->type, "start") == 0)
		container->was_started = true;
	if (state)
		take_state(container, state, ended);
	if (event->seq > container->acked_seq)
		tell_event(container, event);
	if (ended)
		lifecycle_ended(container);
}

static void on_event(struct monitor_link *link, const struct message *message)
{
	_autofree_(err) struct err *err = NULL;
	struct run_event event = { 0 };
	struct runstate state;
	int r = json_read(&run_event_table, message->body, &event, &err); /* its members are the message's own */
	if (r < 0) {
		log_error("container %s: a wrong event: %s", link->container->id, err_message(err));
		return;
	}
	r = message_document(message, "state", &runstate_table, &state, &err);
	if (r < 0)
		log_error("container %s: event %s without a state: %s", link->container->id, event.type,
			err_message(err));
	take_event(link->container, &event, r < 0 ? NULL : &state);
	if (r == 0)
		json_finish(&runstate_table, &state);
	if (link->channel) {
		_autojson_ json_t *acked = message_acked(event.seq);
		send_body(link->channel, acked, NULL, 0, -1);
	}
	json_finish(&run_event_table, &event);
}

static bool is_alive(const struct container *container)
{
	return container_is_running(container) || container_is_restarting(container);
}

static bool is_for_the_living(const struct pending *pending)
{
	return pending->needs_life;
}

/* No monitor is there to answer them, and a next one would have them wait for a next start. */
static void fail_if_ended(struct monitor_link *link)
{
	_autofree_(err) struct err *err = NULL;
	if (is_alive(link->container))
		return;
	err_set(&err, ERR_CONFLICT, 0, "container %s is not running", link->container->id);
	pending_fail(link, is_for_the_living, ERR_CONFLICT, err_message(err));
}

/* The monitor has recovered the container: what was kept meanwhile. If it ends before it has all, its end of file sees to the rest. */
static void send_waiting(struct monitor_link *link)
{
	struct pending *pending;
	fail_if_ended(link);
	link->lost_ms = 0;
	list_foreach (pending, &link->pending, link) {
		if (send_pending(pending) < 0)
			return;
	}
}

static void on_hello_answer(struct monitor_link *link, const struct message *message)
{
	_autofree_(err) struct err *err = NULL;
	struct runstate state;
	if (message_document(message, "state", &runstate_table, &state, &err) < 0) {
		log_error("container %s: its monitor's state is wrong: %s", link->container->id, err_message(err));
		return;
	}
	take_state(link->container, &state, false);
	link->retry_ms = 0;
	if (link->lost_ms)
		send_waiting(link);
	size_t index;
	json_t *exec;
	json_array_foreach (json_object_get(message->body, "execs"), index, exec) {
		if (json_is_string(exec))
			execs_found(link->container, json_string_value(exec));
	}
}

static void on_answer(struct monitor_link *link, const struct message *message)
{
	struct pending *pending;
	list_foreach (pending, &link->pending, link) {
		if (pending->id != message->id)
			continue;
		_autofree_(err) struct err *err = NULL;
		int r = message_outcome(message, &err);
		link->anticipates = false;
		pending_answer(pending, r < 0 ? NULL : message, r < 0 ? err : NULL);
		return;
	}
}

static void on_message(struct channel *channel, const char *data, size_t len, int *fds, size_t fd_count, void *user)
{
	struct monitor_link *link = user;
	struct container *container = link->container;
	struct message message;
	_autofree_(err) struct err *err = NULL;
	(void)channel;
	if (message_parse(data, len, &message, &err) < 0) {
		log_error("container %s: a wrong message from its monitor: %s", container ? container->id : "(removed)",
			err_message(err));
		return;
	}
	if (!container) {
		if (message.id != MESSAGE_NO_ID)
			on_answer(link, &message);
		message_finish(&message);
		return;
	}
	message.fds = fds;
	message.fd_count = fd_count;
	container_ref(container);
	link->heard = true;
	if (strcmp(message.op, "event") == 0)
		on_event(link, &message);
	else if (message.id != MESSAGE_NO_ID && message.id == link->hello_id)
		on_hello_answer(link, &message);
	else
		on_answer(link, &message);
	message_finish(&message);
	if (container->link == link)
		link_settle(link);
	container_unref(container);
}

/* --- connecting --- */

static void on_closed(struct channel *channel, void *user);

static int connect_fd(struct monitor_link *link, int fd)
{
	int r = channel_new(link->engine->loop, fd, on_message, on_closed, link, &link->channel);
	if (r < 0)
		return r;
	link->finish_sent = link->anticipates = link->prepares = link->heard = false;
	link->hello_id = ++link->last_id;
	_autojson_ json_t *hello = message_hello(link->hello_id, link->container->acked_seq);
	r = send_body(link->channel, hello, NULL, 0, -1);
	for (struct list *at = link->pending.next; r == 0 && !link->lost_ms && at != &link->pending; at = at->next)
		r = send_pending(container_of(at, struct pending, link));
	if (r < 0) {
		channel_free(link->channel);
		link->channel = NULL;
	}
	return r;
}

static int run_folder(const struct engine *engine, const char *id)
{
	int fd = openat(engine->exec_containers_fd, id, O_PATH | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	return fd < 0 ? -errno : fd;
}

/* To a monitor that listens already; -errno if none does. */
static int reconnect(struct monitor_link *link)
{
	_autoclose_ int folder = run_folder(link->engine, link->container->id);
	int fd;
	if (folder < 0)
		return folder;
	int r = channel_connect(folder, "monitor.sock", &fd);
	return r < 0 ? r : connect_fd(link, fd);
}

static int spawn_without_launch(struct monitor_link *link, struct err **reterr)
{
	int fd;
	int r = holder_link_spawn_monitor(link->engine, link->container->id, &fd, reterr);
	if (r < 0)
		return r;
	link->spawned = true;
	r = connect_fd(link, fd);
	return r < 0 ? err_errno(reterr, r, "cannot talk to the container's monitor") : 0;
}

static int spawn(struct monitor_link *link, struct err **reterr)
{
	int r = launch_write(link->container, reterr);
	return r < 0 ? r : spawn_without_launch(link, reterr);
}

static void on_retry(struct loop_source *source, void *data);

static struct monitor_link *link_new(struct container *container, struct err **reterr)
{
	struct monitor_link *link = calloc(1, sizeof(*link));
	if (!link) {
		err_oom(reterr);
		return NULL;
	}
	link->container = container;
	link->engine = container->engine;
	list_init(&link->pending);
	list_init(&link->removed);
	int r = loop_add_timer(link->engine->loop, LOOP_NEVER, on_retry, link, &link->retry);
	if (r < 0) {
		free(link);
		err_errno(reterr, r, "cannot watch the container's monitor");
		return NULL;
	}
	container->link = link;
	return link;
}

static void link_free(struct monitor_link *link)
{
	if (link->container && link->container->link == link)
		link->container->link = NULL;
	pending_fail(link, NULL, ERR_UNAVAILABLE, "the container's monitor is gone");
	channel_free(link->channel);
	loop_source_free(link->retry);
	list_remove(&link->removed);
	free(link);
}

static void retry_later(struct monitor_link *link)
{
	link->retry_ms = link->retry_ms == 0 ? RECONNECT_FIRST_MS : link->retry_ms * 2;
	if (link->retry_ms > RECONNECT_MAX_MS)
		link->retry_ms = RECONNECT_MAX_MS;
	loop_timer_set(link->retry, clock_monotonic_ms() + link->retry_ms);
}

/* state.json when no monitor answers: the state, and events that nobody told yet. */
static int read_state_file(struct container *container)
{
	_autoclose_ int folder = run_folder(container->engine, container->id);
	if (folder < 0)
		return folder;
	_cleanup_(buf_finish) struct buf text = BUF_INIT(RUNSTATE_MAX);
	_autofree_(err) struct err *err = NULL;
	struct runstate state;
	int r = io_read_file(folder, "state.json", &text);
	if (r < 0)
		return r;
	r = runstate_parse(text.data ? text.data : "", text.len, &state, &err);
	if (r < 0) {
		log_error("container %s: its state file is damaged: %s", container->id, err_message(err));
		return r;
	}
	struct run_event *events = TAKE(state.events);
	size_t count = state.event_count;
	state.event_count = 0;
	bool was_told = count == 0 || events[count - 1].seq <= container->acked_seq;
	take_state(container, &state, !was_told);
	for (size_t i = 0; i < count; i++) {
		if (events[i].seq > container->acked_seq)
			take_event(container, &events[i], NULL);
		json_finish(&run_event_table, &events[i]);
	}
	free(events);
	return 0;
}

/* Requests are kept from now on, until a monitor has recovered the container. */
static void await_recovery(struct monitor_link *link)
{
	if (!link->lost_ms)
		link->lost_ms = clock_monotonic_ms();
	retry_later(link);
}

static bool has_no_patience(const struct monitor_link *link)
{
	return link->lost_ms && clock_monotonic_ms() - link->lost_ms > RECOVERY_PATIENCE_MS;
}

/* All else may be asked twice: the container it was asked of has ended, and a client that was not taken over has heard nothing. */
static bool can_not_be_repeated(const struct pending *pending)
{
	const char *op = json_string_value(json_object_get(pending->body, "op"));
	return pending->tries >= REQUEST_TRIES ||
	       (pending->tries > 0 && (strcmp(op, "signal") == 0 || strcmp(op, "start") == 0));
}

/* The container does not live, and no monitor is there: another one is asked. */
static void ask_another(struct monitor_link *link)
{
	struct container *container = link->container;
	_autofree_(err) struct err *err = NULL;
	fail_if_ended(link);
	link->lost_ms = 0;
	if (container->link != link || spawn(link, &err) == 0)
		return;
	pending_fail(link, NULL, err ? err->kind : ERR_INTERNAL, err_message(err));
	if (container->link == link)
		link_free(link);
}

/* The monitor ended as it was told, or died; or a newer engine took it over (then we are on the way out). */
static void link_lost(struct monitor_link *link)
{
	struct container *container = container_ref(link->container);
	bool is_replaced = link->finish_sent || (link->anticipates && !link->heard);
	bool was_alive = is_alive(container);
	read_state_file(container); /* recovery may be over already */
	if (container->link != link)
		goto out;
	struct pending *first = list_is_empty(&link->pending) ? NULL
							      : container_of(link->pending.next, struct pending, link);
	if (was_alive || is_alive(container)) {
		log_warn("container %s has lost its monitor", container->id);
		await_recovery(link);
		execs_lost(container);
		pending_fail(link, can_not_be_repeated, ERR_UNAVAILABLE,
			"the container's monitor ended before it answered; what was asked for may have been done");
	} else if (first && is_replaced && first->tries < REQUEST_TRIES) {
		ask_another(link);
	} else {
		pending_fail(link, NULL, ERR_INTERNAL, "the container's monitor ended unexpectedly");
		if (container->link == link && !link->channel)
			link_free(link);
	}
out:
	container_unref(container);
}

static void tell_ended(struct monitor_link *link)
{
	monitor_ended_fn *ended = TAKE(link->ended);
	if (ended)
		ended(link->ended_user);
}

static void on_closed(struct channel *channel, void *user)
{
	struct monitor_link *link = user;
	channel_free(channel);
	link->channel = NULL;
	if (link->container) {
		link_lost(link);
		return;
	}
	tell_ended(link);
	link_free(link);
}

/* What a start needs is written, and read by the monitor, while the client is on its way to ask for it. */
static void prepare(struct monitor_link *link)
{
	_autofree_(err) struct err *err = NULL;
	link->prepares = false;
	loop_timer_set(link->retry, clock_monotonic_ms() + ANTICIPATION_MS);
	if (launch_refresh(link->container, &err) < 0)
		return; /* who asks for something hears of it */
	_autojson_ json_t *body = message_new("prepare", MESSAGE_NO_ID);
	send_body(link->channel, body, NULL, 0, -1);
}

static void try_to_reconnect(struct monitor_link *link)
{
	struct container *container = container_ref(link->container);
	if (reconnect(link) < 0) {
		read_state_file(container);
		if (container->link == link && is_alive(container)) {
			retry_later(link);
			if (has_no_patience(link))
				pending_fail(link, NULL, ERR_UNAVAILABLE, not_recovered);
		} else if (container->link == link && list_is_empty(&link->pending)) {
			link_free(link);
		} else if (container->link == link) {
			ask_another(link);
		}
	}
	container_unref(container);
}

static void on_retry(struct loop_source *source, void *data)
{
	struct monitor_link *link = data;
	(void)source;
	if (!link->container) {
		tell_ended(link);
	} else if (!link->channel) {
		try_to_reconnect(link);
	} else if (link->prepares) {
		prepare(link);
	} else {
		link->anticipates = false;
		link_settle(link);
	}
}

/* Nothing runs, nothing is asked: it may end. Clients that it still has keep it until they are gone. */
static void link_settle(struct monitor_link *link)
{
	if (!link->channel || link->finish_sent || link->anticipates || !list_is_empty(&link->pending) ||
		is_alive(link->container))
		return;
	_autojson_ json_t *finish = message_new("finish", MESSAGE_NO_ID);
	if (send_body(link->channel, finish, NULL, 0, -1) == 0)
		link->finish_sent = true;
}

/* --- for the rest of the engine --- */

/* Sends the newest pending request of the container's link, making link and monitor if need be. */
static int link_send(struct monitor_link *link, struct pending *pending, struct err **reterr)
{
	int r = 0;
	if (link->lost_ms || (!link->channel && is_alive(link->container))) {
		if (has_no_patience(link))
			return err_set(reterr, ERR_UNAVAILABLE, 0, "%s", not_recovered);
		if (!link->lost_ms)
			await_recovery(link);
		return 0;
	}
	if (link->channel) {
		if (link->anticipates)
			r = launch_refresh(link->container, reterr);
		if (r < 0)
			return r;
		/* It may have ended already: then the end of file sends this again. */
		r = send_pending(pending);
		if (r == -EPIPE) {
			link->finish_sent |= link->anticipates;
			r = 0;
		}
		if (r == -EFBIG || r == -EMSGSIZE)
			return err_set(reterr, ERR_TOO_LARGE, -r, "the request is larger than %d bytes",
				CHANNEL_MESSAGE_MAX);
		return r < 0 ? err_errno(reterr, r, "cannot talk to the container's monitor") : 0;
	}
	return spawn(link, reterr);
}

static int request(struct container *container, json_t *body, int64_t deadline_ms, const struct pending *what,
	struct err **reterr)
{
	struct pending *pending;
	struct monitor_link *link = container->link ? container->link : link_new(container, reterr);
	if (!link) {
		json_decref(body);
		return -ENOMEM;
	}
	if (pending_new(link, body, deadline_ms, &pending) < 0)
		return err_oom(reterr);
	pending->fd = what->fd;
	pending->surplus = what->surplus;
	pending->surplus_len = what->surplus_len;
	pending->needs_life = what->needs_life;
	pending->on_answer = what->on_answer;
	pending->user = what->user;
	int r = link_send(link, pending, reterr);
	if (r < 0) {
		pending_free(pending);
		if (!link->channel && list_is_empty(&link->pending) && !is_alive(container))
			link_free(link);
	}
	return r;
}

int monitor_request(struct container *container, json_t *body, int64_t deadline_ms, monitor_answer_fn *on_answer_fn,
	void *user, struct err **reterr)
{
	const struct pending what = { .fd = -1, .on_answer = on_answer_fn, .user = user };
	return request(container, body, deadline_ms, &what, reterr);
}

int monitor_handover(struct container *container, const struct handover *handover, int fd, const void *surplus,
	size_t surplus_len, monitor_answer_fn *on_answer_fn, void *user, struct err **reterr)
{
	enum handover_kind kind = handover_kind(handover);
	const struct pending what = {
		.fd = fd,
		.surplus = surplus,
		.surplus_len = surplus_len,
		.needs_life = (kind == HANDOVER_ATTACH || kind == HANDOVER_EXEC_START) && is_alive(container),
		.on_answer = on_answer_fn,
		.user = user,
	};
	return request(container, handover_message(0, handover), MONITOR_ANSWER_MS, &what, reterr);
}

/* A client that is on its way to a monitor may hear from that one: whether it was taken over, its answer tells, or its end. */
static bool is_no_handover(const struct pending *pending)
{
	return pending->fd < 0;
}

static int spawn_ahead(struct monitor_link *link, struct err **reterr)
{
	_autoclose_ int folder = launch_run_folder(link->engine, link->container->id, reterr);
	return folder < 0 ? folder : spawn_without_launch(link, reterr);
}

void monitor_link_anticipate(struct container *container)
{
	_autofree_(err) struct err *err = NULL;
	_autoclose_ int spare = spare_take(container->engine, container->id);
	if (container->link || (spare < 0 && !container->record.host.auto_remove))
		return;
	struct monitor_link *link = link_new(container, &err);
	if (!link)
		return;
	int r = spare < 0 ? spawn_ahead(link, &err) : connect_fd(link, TAKE_FD(spare));
	if (r < 0) {
		log_debug("no monitor is there ahead for container %s: %s", container->id, err_message(err));
		link_free(link);
		return;
	}
	link->anticipates = link->prepares = true;
	loop_timer_set(link->retry, clock_monotonic_ms());
}

bool monitor_link_removed(struct container *container, monitor_ended_fn *ended, void *user)
{
	struct monitor_link *link = container->link;
	if (!link) {
		monitor_link_orphan(container->engine, container->id);
		return false;
	}
	container->link = NULL;
	link->container = NULL;
	loop_timer_set(link->retry, LOOP_NEVER);
	_autojson_ json_t *removed = message_new("removed", MESSAGE_NO_ID);
	/* One that can't be told so is told through its socket: its last clients must not wait for ever. */
	if (!link->channel || send_body(link->channel, removed, NULL, 0, -1) < 0)
		monitor_link_orphan(container->engine, container->id);
	pending_fail(link, link->channel ? is_no_handover : NULL, ERR_NOT_FOUND, "the container has been removed");
	if (!link->channel) {
		link_free(link);
		return false;
	}
	list_append(&link->engine->removed, &link->removed);
	if (!ended)
		return false;
	link->ended = ended;
	link->ended_user = user;
	loop_timer_set(link->retry, clock_monotonic_ms() + ENDED_PATIENCE_MS);
	return true;
}

void monitor_links_end(struct engine *engine)
{
	struct monitor_link *link, *next;
	list_foreach_safe (link, next, &engine->removed, removed) {
		tell_ended(link);
		link_free(link);
	}
}

int monitor_link_tell(int fd, json_t *body)
{
	_autojson_ json_t *owned = body;
	_cleanup_(buf_finish) struct buf text = BUF_INIT(CHANNEL_MESSAGE_MAX);
	int r = message_pack(owned, NULL, 0, &text);
	return r < 0 ? r : message_send(fd, text.data, text.len, NULL, 0);
}

void monitor_link_orphan(struct engine *engine, const char *id)
{
	_autoclose_ int folder = run_folder(engine, id), fd = -1;
	if (folder < 0 || channel_connect(folder, "monitor.sock", &fd) < 0)
		return;
	int r = monitor_link_tell(fd, message_hello(MESSAGE_NO_ID, INT64_MAX));
	if (r == 0)
		r = monitor_link_tell(fd, message_new("removed", MESSAGE_NO_ID));
	if (r < 0)
		log_warn("cannot tell the monitor of container %s that it is removed: %s", id, strerror(-r));
}

void monitor_link_refresh(struct container *container)
{
	read_state_file(container);
}

void monitor_link_restore(struct container *container)
{
	_autofree_(err) struct err *err = NULL;
	container_ref(container);
	int r = read_state_file(container);
	if (r == -ENOENT) /* a reboot, or it was never started */
		lifecycle_restore_without_state(container);
	if (!container->gone && !container->link) {
		struct monitor_link *link = link_new(container, &err);
		r = link ? reconnect(link) : -ENOMEM;
		if (r < 0 && link && is_alive(container))
			await_recovery(link);
		else if (r < 0 && link)
			link_free(link);
	}
	container_unref(container);
}

void monitor_link_drain(struct monitor_link *link)
{
	if (link->channel)
		channel_drain(link->channel);
}

bool monitor_link_is_up(const struct container *container)
{
	return container->link && container->link->channel;
}

void monitor_link_forget(struct container *container)
{
	struct monitor_link *link = container->link;
	if (!link)
		return;
	container->link = NULL;
	link->container = NULL;
	link_free(link);
}

void monitor_link_child_ended(struct engine *engine, const char *id, int pid, int status)
{
	struct container *container = containers_by_id(engine->containers, id);
	if (!container || !container->link || pid != 0)
		return;
	/* It was never there: what waits for it learns why. The end of file says the rest. */
	_autofree_(err) struct err *err = NULL;
	err_errno(&err, status, "cannot start the container's monitor");
	log_error("container %s: %s", id, err_message(err));
	pending_fail(container->link, NULL, ERR_INTERNAL, err_message(err));
}
