#include "monitor/control.h"

#include <errno.h>
#include <malloc.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <sys/mman.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/list.h"
#include "base/log.h"
#include "base/strv.h"
#include "monitor/attach.h"
#include "monitor/client.h"
#include "monitor/end.h"
#include "monitor/lend.h"
#include "monitor/logs.h"
#include "monitor/monitor.h"
#include "monitor/network.h"
#include "monitor/run.h"
#include "monitor/stats.h"
#include "monitor/stop.h"
#include "monitor/top.h"
#include "monitor/wait.h"
#include "spec/handover.h"
#include "sys/cgroup.h"
#include "sys/channel.h"

#define CONNECTIONS_MAX 16
#define ACCEPT_PAUSE_MS 100

/* Of the stack: what a system call's frame may need stays, what is below it goes. */
#define STACK_PAGE    4096
#define STACK_KEPT    STACK_PAGE
#define STACK_TRIMMED (16 * STACK_PAGE)

static const char socket_file[] = "monitor.sock";

struct connection {
	struct list link;
	struct control *control;
	struct channel *channel;
	uint64_t number;
};

struct control {
	struct monitor *monitor;
	int listen_fd;
	struct loop_source *listen_source;
	struct loop_source *accept_timer; /* when it could not accept: the next try */
	struct list connections;
	unsigned count;
	uint64_t last_number;
	struct connection *engine; /* NULL: none */
	bool greeted;              /* an engine has said hello */
};

/* One message from the engine. An op that does not answer at once keeps a copy of `request`. */
struct call {
	struct monitor *monitor;
	const struct message *message;
	struct control_request request;
	int *fds;
	size_t fd_count;
};

/* --- sending --- */

static int send_body_fds(struct connection *connection, json_t *body, const int *fds, size_t fd_count)
{
	_autojson_ json_t *owned = body;
	_cleanup_(buf_finish) struct buf text = BUF_INIT(CHANNEL_MESSAGE_MAX);
	int ret = message_pack(owned, NULL, 0, &text);
	if (ret == 0)
		ret = channel_send(connection->channel, text.data, text.len, fds, fd_count);
	return ret;
}

static int send_body(struct connection *connection, json_t *body)
{
	return send_body_fds(connection, body, NULL, 0);
}

static struct connection *connection_find(struct control *control, uint64_t number)
{
	struct connection *connection;
	list_foreach (connection, &control->connections, link)
		if (connection->number == number)
			return connection;
	return NULL;
}

void control_answer(struct control *control, const struct control_request *request, json_t *body)
{
	struct connection *connection = connection_find(control, request->connection);
	if (!connection || request->id == MESSAGE_NO_ID) {
		json_decref(body);
		return;
	}
	int ret = send_body(connection, body);
	if (ret == -EFBIG || ret == -EMSGSIZE) {
		_autofree_(err) struct err *err = NULL;
		err_set(&err, ERR_TOO_LARGE, 0, "the answer is larger than a message may be");
		ret = send_body(connection, message_error(request->id, err));
	}
	if (ret < 0 && ret != -EPIPE)
		log_error("cannot answer the engine: %s", strerrordesc_np(-ret));
}

/* Borrows the descriptors. What is not received is closed, and so given back. */
static void answer_lending(struct call *call, const int *fds, size_t fd_count)
{
	struct connection *connection = connection_find(call->monitor->control, call->request.connection);
	int ret = send_body_fds(connection, message_done(call->request.id), fds, fd_count);

	if (ret < 0 && ret != -EPIPE)
		log_error("cannot answer the engine: %s", strerrordesc_np(-ret));
}

void control_done(struct control *control, const struct control_request *request)
{
	control_answer(control, request, message_done(request->id));
}

void control_error(struct control *control, const struct control_request *request, const struct err *err)
{
	control_answer(control, request, message_error(request->id, err));
}

/* What goes out with hello and events: the events themselves are messages of their own. */
static struct runstate state_without_events(const struct monitor *monitor)
{
	struct runstate state = monitor->state;
	state.events = NULL;
	state.event_count = 0;
	return state;
}

void control_send_event(struct control *control, const struct run_event *event)
{
	if (!control || !control->engine)
		return;
	struct runstate state = state_without_events(control->monitor);
	int ret = send_body(control->engine, message_event(event, &state));
	if (ret < 0 && ret != -EPIPE)
		log_error("cannot tell the engine of event %s: %s", event->type, strerrordesc_np(-ret));
}

/* --- the ops; each returns 0 when it is done and is to be answered so, ANSWERED when it saw to that itself, or -errno --- */

#define ANSWERED 1

static int op_hello(struct call *call, struct err **reterr)
{
	struct monitor *monitor = call->monitor;
	_autofree_(strv) char **execs = exec_table_ids(&monitor->execs);
	if (!execs)
		return err_oom(reterr);
	runstate_acknowledge(&monitor->state, message_int(call->message, "acked", 0));

	struct runstate state = state_without_events(monitor);
	control_answer(monitor->control, &call->request, message_hello_answer(call->request.id, &state, execs));
	for (size_t i = 0; i < monitor->state.event_count; i++)
		control_send_event(monitor->control, &monitor->state.events[i]);
	return ANSWERED;
}

/* Deep calls are over: their pages are below what is in use now. Nothing there is ever read before it is written. */
static void trim_stack(void)
{
	uintptr_t used = (uintptr_t)__builtin_frame_address(0) & ~(uintptr_t)(STACK_PAGE - 1);

	madvise((void *)(used - STACK_KEPT - STACK_TRIMMED), STACK_TRIMMED, MADV_DONTNEED);
}

static int op_acked(struct call *call, struct err **reterr)
{
	(void)reterr;
	/* Not worth a write: the next change takes it along, and the engine's next hello says it again. */
	runstate_acknowledge(&call->monitor->state, message_int(call->message, "seq", 0));
	/* Behind an event comes a quiet moment: what it took goes back to the system, since there is one of us for each container. */
	malloc_trim(0);
	trim_stack();
	return ANSWERED;
}

static int handover_dispatch(struct monitor *monitor, const struct client *client, struct err **reterr)
{
	static int (*const serve[HANDOVER_KIND_COUNT + 1])(struct monitor *, const struct client *, struct err **) = {
		[HANDOVER_ATTACH] = attach_handover,
		[HANDOVER_WAIT] = wait_handover,
		[HANDOVER_LOGS] = logs_handover,
		[HANDOVER_EXEC_START] = exec_handover,
		[HANDOVER_STATS] = stats_handover,
	};
	enum handover_kind kind = handover_kind(client->handover);

	if (serve[kind])
		return serve[kind](monitor, client, reterr);
	return err_set(reterr, ERR_UNSUPPORTED, 0, "a monitor does not serve %s", client->handover->kind);
}

static int op_handover(struct call *call, struct err **reterr)
{
	struct handover handover;
	int ret = handover_read(call->message, &handover, reterr);
	if (ret < 0)
		return ret;
	struct client client = {
		.handover = &handover,
		.request = call->request,
		.surplus = call->message->surplus,
		.surplus_len = call->message->surplus_len,
		.fd = call->fd_count == 1 ? &call->fds[0] : NULL,
	};
	if (client.fd)
		ret = handover_dispatch(call->monitor, &client, reterr);
	else
		ret = err_set(reterr, ERR_INVALID, 0, "a hand-over comes with one descriptor, not %zu", call->fd_count);
	handover_finish(&handover);
	return ret < 0 ? ret : ANSWERED;
}

static int op_start(struct call *call, struct err **reterr)
{
	int ret = run_start(call->monitor, &call->request, reterr);
	return ret < 0 ? ret : ANSWERED;
}

static int op_signal(struct call *call, struct err **reterr)
{
	int signo = (int)message_int(call->message, "signal", 0);
	int ret = stop_signal(call->monitor, signo, &call->request, reterr);
	return ret < 0 ? ret : ANSWERED;
}

static int op_stop(struct call *call, struct err **reterr)
{
	int ret = stop_begin(call->monitor, (int)message_int(call->message, "signal", 0),
		message_int(call->message, "timeout_s", STOP_TIMEOUT_UNSET), &call->request, reterr);
	return ret < 0 ? ret : ANSWERED;
}

static int op_pause(struct call *call, struct err **reterr)
{
	return run_pause(call->monitor, reterr);
}

static int op_unpause(struct call *call, struct err **reterr)
{
	return run_unpause(call->monitor, reterr);
}

static int op_resize(struct call *call, struct err **reterr)
{
	const char *exec = message_string(call->message, "exec");
	int64_t width = message_int(call->message, "width", 0);
	int64_t height = message_int(call->message, "height", 0);

	if (width < 0 || width > UINT16_MAX || height < 0 || height > UINT16_MAX)
		return err_set(reterr, ERR_INVALID, 0, "a terminal can't be %lld by %lld", (long long)width,
			(long long)height);
	if (exec)
		return exec_resize(call->monitor, exec, (uint16_t)width, (uint16_t)height, reterr);
	return run_resize(call->monitor, (uint16_t)width, (uint16_t)height, reterr);
}

static int op_exec_create(struct call *call, struct err **reterr)
{
	const char *id = message_string(call->message, "exec");
	struct exec_config config;
	if (!id)
		return err_set(reterr, ERR_INVALID, 0, "exec-create without an exec's ID");
	int ret = message_document(call->message, "config", &exec_config_table, &config, reterr);
	return ret < 0 ? ret : exec_create(call->monitor, id, &config, reterr);
}

static int op_exec_inspect(struct call *call, struct err **reterr)
{
	json_t *state = NULL;
	int ret = exec_inspect(call->monitor, message_string(call->message, "exec"), &state, reterr);
	if (ret < 0)
		return ret;
	json_t *body = message_done(call->request.id);
	message_add(body, "exec_state", state);
	control_answer(call->monitor->control, &call->request, body);
	return ANSWERED;
}

static int op_top(struct call *call, struct err **reterr)
{
	json_t *titles = NULL, *processes = NULL;
	int ret = top_list(call->monitor, message_string(call->message, "args"), &titles, &processes, reterr);
	if (ret < 0)
		return ret;
	json_t *body = message_done(call->request.id);
	message_add(body, "titles", titles);
	message_add(body, "processes", processes);
	control_answer(call->monitor->control, &call->request, body);
	return ANSWERED;
}

static int op_lend_root(struct call *call, struct err **reterr)
{
	int fds[LEND_ROOT_FDS];
	int ret = lend_root(call->monitor, fds, reterr);
	if (ret < 0)
		return ret;
	answer_lending(call, fds, LEND_ROOT_FDS);
	fd_close(&fds[0]);
	return ANSWERED;
}

static int op_lend_pause(struct call *call, struct err **reterr)
{
	_autoclose_ int fd = -1;
	int ret = lend_pause(call->monitor, &fd, reterr);
	if (ret < 0)
		return ret;
	answer_lending(call, &fd, 1);
	return ANSWERED;
}

static int update_policy(struct call *call, struct err **reterr)
{
	struct launch_restart_policy policy;
	int ret = message_document(call->message, "restart_policy", &launch_restart_policy_table, &policy, reterr);
	if (ret < 0)
		return ret;
	if (restart_policy_parse(policy.name, policy.max_retry, &call->monitor->restart.policy) < 0)
		ret = err_set(reterr, ERR_INVALID, 0, "invalid restart policy: unknown policy '%s'", policy.name);
	json_finish(&launch_restart_policy_table, &policy);
	return ret;
}

/* Without a running container there is nothing to do: the next start reads launch.json anew. */
static int update_resources(struct call *call, struct err **reterr)
{
	struct oci_resources resources;
	if (!json_object_get(call->message->body, "resources"))
		return 0;
	int ret = message_document(call->message, "resources", &oci_resources_table, &resources, reterr);
	if (ret < 0)
		return ret;
	if (call->monitor->container)
		ret = container_resources_set(call->monitor->container, &resources, reterr);
	json_finish(&oci_resources_table, &resources);
	return ret;
}

/* Says that it knew of limits: an older monitor knows none. */
static int op_update(struct call *call, struct err **reterr)
{
	int ret = update_resources(call, reterr);
	if (ret == 0)
		ret = update_policy(call, reterr);
	if (ret < 0)
		return ret;
	json_t *body = message_done(call->request.id);
	message_add(body, "resources", json_true());
	control_answer(call->monitor->control, &call->request, body);
	return ANSWERED;
}

static int op_egress(struct call *call, struct err **reterr)
{
	json_t *seen;
	bool is_cut;
	int ret = egress_describe(call->monitor, &seen, &is_cut, reterr);
	if (ret < 0)
		return ret;
	json_t *body = message_done(call->request.id);
	message_add(body, "seen", seen);
	message_add(body, "truncated", json_boolean(is_cut));
	control_answer(call->monitor->control, &call->request, body);
	return ANSWERED;
}

static int op_network(struct call *call, struct err **reterr)
{
	return network_change(call->monitor, reterr);
}

static int op_network_restore(struct call *call, struct err **reterr)
{
	return network_restore(call->monitor, reterr);
}

static int op_finish(struct call *call, struct err **reterr)
{
	(void)reterr;
	struct monitor *monitor = call->monitor;
	control_done(monitor->control, &call->request);
	if (monitor->phase == PHASE_IDLE && !monitor->start)
		end_drop_mounts(monitor);
	monitor->finishing = true;
	monitor_quit_if_done(monitor);
	return ANSWERED;
}

static int op_removed(struct call *call, struct err **reterr)
{
	call->monitor->removed = true;
	wait_answer_removed(call->monitor);
	stats_end_all(call->monitor);
	return op_finish(call, reterr);
}

/* What a start has to read and to make, for one that is likely to come. What is wrong with it, the start says. */
static int op_prepare(struct call *call, struct err **reterr)
{
	struct monitor *monitor = call->monitor;

	(void)reterr;
	monitor_need_launch(monitor, NULL);
	if (!monitor->cgroup_host && cgroup_host_new(&monitor->cgroup_host) < 0)
		monitor->cgroup_host = NULL;
	network_make_ahead(monitor);
	return ANSWERED;
}

static const struct {
	const char *name;
	int (*run)(struct call *call, struct err **reterr);
	bool keeps_finish; /* no new work: a monitor that is to end may still end */
} ops[] = {
	{ "hello", op_hello, true },
	{ "acked", op_acked, true },
	{ "prepare", op_prepare, true },
	{ "handover", op_handover, false },
	{ "start", op_start, false },
	{ "signal", op_signal, true },
	{ "stop", op_stop, true },
	{ "pause", op_pause, true },
	{ "unpause", op_unpause, true },
	{ "resize", op_resize, true },
	{ "exec-create", op_exec_create, false },
	{ "exec-inspect", op_exec_inspect, true },
	{ "egress", op_egress, true },
	{ "top", op_top, true },
	{ "lend-root", op_lend_root, true },
	{ "lend-pause", op_lend_pause, true },
	{ "update", op_update, true },
	{ "network", op_network, true },
	{ "network-restore", op_network_restore, true },
	{ "finish", op_finish, true },
	{ "removed", op_removed, true },
};

/* --- receiving --- */

static void connection_close(struct connection *connection)
{
	if (connection->control->engine == connection)
		connection->control->engine = NULL;
	connection->control->count--;
	list_remove(&connection->link);
	channel_free(connection->channel);
	free(connection);
}

/* The engine that says hello replaces the one before, whose connection is closed. */
static void make_engine(struct connection *connection)
{
	struct control *control = connection->control;
	struct connection *before = control->engine;

	control->greeted = true;
	if (before == connection)
		return;
	control->engine = connection;
	if (before)
		connection_close(before);
}

static void run_op(struct connection *connection, const struct message *message, int *fds, size_t fd_count)
{
	struct control *control = connection->control;
	struct call call = {
		.monitor = control->monitor,
		.message = message,
		.request = { connection->number, message->id },
		.fds = fds,
		.fd_count = fd_count,
	};
	_autofree_(err) struct err *err = NULL;

	if (strcmp(message->op, "hello") == 0)
		make_engine(connection);
	if (control->engine != connection) {
		err_set(&err, ERR_CONFLICT, 0, "another engine is served by this monitor");
		control_error(control, &call.request, err);
		return;
	}
	for (size_t i = 0; i < ARRAY_SIZE(ops); i++) {
		if (strcmp(ops[i].name, message->op) != 0)
			continue;
		if (!ops[i].keeps_finish)
			control->monitor->finishing = false;
		int ret = ops[i].run(&call, &err);
		if (ret < 0)
			control_error(control, &call.request, err);
		else if (ret != ANSWERED)
			control_done(control, &call.request);
		return;
	}
	control_answer(control, &call.request, message_unsupported(message->id, message->op));
}

static void on_message(struct channel *channel, const char *data, size_t len, int *fds, size_t fd_count, void *user)
{
	(void)channel;
	struct connection *connection = user;
	_autofree_(err) struct err *err = NULL;
	struct message message;

	if (message_parse(data, len, &message, &err) < 0) {
		log_warn("a message of %zu bytes is refused: %s", len, err_message(err));
		return;
	}
	run_op(connection, &message, fds, fd_count);
	message_finish(&message);
}

/* Of an engine that ends, or died, we go on without it; but one that has never said hello had us in reserve, for no container. */
static void on_closed(struct channel *channel, void *user)
{
	(void)channel;
	struct connection *connection = user;
	struct control *control = connection->control;
	bool is_engine = control->engine == connection;

	connection_close(connection);
	if (!is_engine)
		return;
	log_debug("the engine is gone");
	if (!control->greeted) {
		control->monitor->finishing = true;
		monitor_quit_if_done(control->monitor);
	}
}

/* Takes `fd`. */
static int connection_add(struct control *control, int fd, struct connection **ret)
{
	struct connection *connection = calloc(1, sizeof *connection);
	if (!connection) {
		fd_close(&fd);
		return -ENOMEM;
	}
	connection->control = control;
	connection->number = ++control->last_number;
	int r = channel_new(control->monitor->loop, fd, on_message, on_closed, connection, &connection->channel);
	if (r < 0) {
		free(connection);
		return r;
	}
	list_append(&control->connections, &connection->link);
	control->count++;
	*ret = connection;
	return 0;
}

/* 0 if the peer may command us. */
static int connection_check(struct connection *connection)
{
	uid_t uid;
	pid_t pid;
	int ret = channel_peer(connection->channel, &uid, &pid);
	if (ret < 0)
		return ret;
	return uid == geteuid() || uid == 0 ? 0 : -EPERM;
}

static void on_listener(struct loop_source *source, uint32_t events, void *data)
{
	(void)events;
	struct control *control = data;
	_autoclose_ int fd = accept4(control->listen_fd, NULL, NULL, SOCK_CLOEXEC);
	struct connection *connection;

	if (fd < 0) {
		/* Out of descriptors or memory, most likely. */
		if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED) {
			loop_fd_set_events(source, 0);
			loop_timer_set(control->accept_timer, clock_monotonic_ms() + ACCEPT_PAUSE_MS);
		}
		return;
	}
	if (control->count >= CONNECTIONS_MAX) {
		log_warn("more than %d connections: one is refused", CONNECTIONS_MAX);
		return;
	}
	int ret = connection_add(control, TAKE_FD(fd), &connection);
	if (ret == 0 && (ret = connection_check(connection)) < 0)
		connection_close(connection);
	if (ret < 0)
		log_warn("a connection is refused: %s", strerrordesc_np(-ret));
}

static void on_accept_time(struct loop_source *source, void *data)
{
	(void)source;
	struct control *control = data;
	loop_fd_set_events(control->listen_source, EPOLLIN);
}

int control_new(struct monitor *monitor, int engine_fd, struct control **ret, struct err **reterr)
{
	_autoclose_ int fd = engine_fd;
	struct control *control = calloc(1, sizeof *control);
	if (!control)
		return err_oom(reterr);
	control->monitor = monitor;
	control->listen_fd = -1;
	list_init(&control->connections);

	int r = channel_listen(monitor->run_fd, socket_file, &control->listen_fd);
	if (r == 0)
		r = loop_add_fd(monitor->loop, control->listen_fd, EPOLLIN, on_listener, control,
			&control->listen_source);
	if (r == 0)
		r = loop_add_timer(monitor->loop, LOOP_NEVER, on_accept_time, control, &control->accept_timer);
	if (r == 0 && fd >= 0)
		r = connection_add(control, TAKE_FD(fd), &control->engine);
	if (r < 0) {
		control_free(control);
		return err_errno(reterr, r, "cannot listen on %s", socket_file);
	}
	*ret = control;
	return 0;
}

void control_leave(struct control *control)
{
	unlinkat(control->monitor->run_fd, socket_file, 0);
}

void control_free(struct control *control)
{
	if (!control)
		return;
	struct connection *connection, *following;
	list_foreach_safe (connection, following, &control->connections, link)
		connection_close(connection);
	loop_source_free(control->listen_source);
	loop_source_free(control->accept_timer);
	fd_close(&control->listen_fd);
	free(control);
}
