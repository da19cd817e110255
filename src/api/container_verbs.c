/* /containers/ID/...: verbs on one container that exists. Those that move data are handed over to its monitor. */
#include <errno.h>
#include <signal.h>
#include <string.h>

#include "api/hand_over.h"
#include "api/params.h"
#include "api/request.h"
#include "api/routes.h"
#include "base/clock.h"
#include "base/parse.h"
#include "engine/egress.h"
#include "engine/lifecycle.h"
#include "engine/remove.h"
#include "sys/signals.h"

#define TERMINAL_CELLS_MAX UINT16_MAX

static const char *text_or(const char *text, const char *fallback)
{
	return text && *text ? text : fallback;
}

/* The container of the path; answers and returns NULL if there is none. */
static struct container *find(struct request *request)
{
	struct container *container = NULL;
	_autofree_(err) struct err *err = NULL;
	if (container_find(request->engine, request->params[0], &container, &err) == 0)
		return container;
	respond_error(request, err);
	return NULL;
}

static int read_signal(const struct request *request, int fallback, int *ret, struct err **reterr)
{
	const char *text = query_get(request->query, "signal");
	*ret = text && *text ? signal_parse(text) : fallback;
	int64_t number;
	if (*ret >= 0)
		return 0;
	/* Docker's two wordings. */
	if (parse_i64(text, INT32_MIN, INT32_MAX, &number) == 0 && number != 0)
		return err_set(reterr, ERR_INVALID, 0, "the linux daemon does not support signal %s", text);
	return err_set(reterr, ERR_INVALID, 0, "invalid signal: %s", text);
}

static void start(struct request *request)
{
	struct container *container = find(request);
	if (container)
		lifecycle_start(container, respond_done, request);
}

typedef void end_function(struct container *container, int signal, int64_t timeout_s, engine_done_fn *done, void *user);

static void stop_or_restart(struct request *request, const char *verb, end_function *function)
{
	_autofree_(err) struct err *err = NULL;
	int signo;
	int64_t timeout_s;
	struct container *container = find(request);
	if (!container)
		return;
	int r = read_signal(request, 0, &signo, &err);
	if (r < 0)
		err_wrap(&err, r, "cannot %s container: %s", verb, request->params[0]);
	r = r ?: param_int(request->query, "t", LIFECYCLE_TIMEOUT_UNSET, INT32_MIN, INT32_MAX, &timeout_s, &err);
	if (r < 0)
		respond_error(request, err);
	else
		function(container, signo, timeout_s, respond_done, request);
}

static void stop(struct request *request)
{
	stop_or_restart(request, "stop", lifecycle_stop);
}

static void restart(struct request *request)
{
	stop_or_restart(request, "restart", lifecycle_restart);
}

static void kill_container(struct request *request)
{
	_autofree_(err) struct err *err = NULL;
	int signo;
	const char *name = request->params[0];
	struct container *container = NULL;
	int r = container_find(request->engine, name, &container, &err);
	r = r ?: read_signal(request, SIGKILL, &signo, &err);
	if (r < 0)
		err_wrap(&err, r, "cannot kill container: %s", name);
	if (r < 0)
		respond_error(request, err);
	else
		lifecycle_kill(container, signo, respond_done, request);
}

static void pause_container(struct request *request)
{
	struct container *container = find(request);
	if (container)
		lifecycle_pause(container, respond_done, request);
}

static void unpause(struct request *request)
{
	struct container *container = find(request);
	if (container)
		lifecycle_unpause(container, respond_done, request);
}

static void on_resized(void *user, json_t *result, const struct err *err)
{
	(void)result;
	if (err)
		respond_error(user, err);
	else
		respond_empty(user, 200);
}

static void resize(struct request *request)
{
	_autofree_(err) struct err *err = NULL;
	int64_t width, height;
	struct container *container = find(request);
	if (!container)
		return;
	int r = param_int(request->query, "h", -1, -1, TERMINAL_CELLS_MAX, &height, &err);
	r = r ?: param_int(request->query, "w", -1, -1, TERMINAL_CELLS_MAX, &width, &err);
	if (r == 0 && (height < 0 || width < 0))
		r = err_set(&err, ERR_INVALID, 0, "invalid resize %s \"\": invalid syntax",
			height < 0 ? "height" : "width");
	if (r < 0)
		respond_error(request, err);
	else
		lifecycle_resize(container, NULL, width, height, on_resized, request);
}

static void on_document(void *user, json_t *result, const struct err *err)
{
	if (err)
		respond_error(user, err);
	else
		respond_json(user, 200, json_incref(result));
}

static void top(struct request *request)
{
	struct container *container = find(request);
	if (container)
		lifecycle_top(container, text_or(query_get(request->query, "ps_args"), "-ef"), on_document, request);
}

static void egress(struct request *request)
{
	struct container *container = find(request);
	if (container)
		egress_show(container, on_document, request);
}

static void remove_one(struct request *request)
{
	struct container *container = find(request);
	if (container)
		remove_container(container, query_bool(request->query, "force", false),
			query_bool(request->query, "v", false), respond_done, request);
}

/* --- streams: the monitor's --- */

static int check_attachable(const struct container *container, struct err **reterr)
{
	if (container_is_paused(container))
		return err_set(reterr, ERR_CONFLICT, 0, "container %s is paused, unpause the container before attach",
			container->id);
	if (container_is_restarting(container))
		return err_set(reterr, ERR_CONFLICT, 0,
			"container %s is restarting, wait until the container is running", container->id);
	return 0;
}

static void attach(struct request *request)
{
	_autofree_(err) struct err *err = NULL;
	const struct query *query = request->query;
	struct container *container = find(request);
	if (!container)
		return;
	struct handover_attach parameters = {
		.stream = query_bool(query, "stream", false),
		.logs = query_bool(query, "logs", false),
		.stdin_wanted = query_bool(query, "stdin", false),
		.stdout_wanted = query_bool(query, "stdout", false),
		.stderr_wanted = query_bool(query, "stderr", false),
		.detach_keys = (char *)query_get(query, "detachKeys"),
	};
	struct handover handover = { .kind = (char *)handover_kind_name(HANDOVER_ATTACH), .attach = &parameters };
	if (check_attachable(container, &err) < 0)
		respond_error(request, err);
	else
		hand_over_to_monitor(request, container, &handover);
}

static void wait_container(struct request *request)
{
	_autofree_(err) struct err *err = NULL;
	const char *condition = text_or(query_get(request->query, "condition"), "not-running");
	struct container *container = find(request);
	if (!container)
		return;
	if (strcmp(condition, "not-running") != 0 && strcmp(condition, "next-exit") != 0 &&
		strcmp(condition, "removed") != 0) {
		err_set(&err, ERR_INVALID, 0, "invalid condition: \"%s\"", condition);
		respond_error(request, err);
		return;
	}
	struct handover_wait parameters = { .condition = (char *)condition };
	struct handover handover = { .kind = (char *)handover_kind_name(HANDOVER_WAIT), .wait = &parameters };
	hand_over_to_monitor(request, container, &handover);
}

static int read_tail(const struct request *request, int64_t *ret, struct err **reterr)
{
	const char *text = text_or(query_get(request->query, "tail"), "all");
	*ret = -1;
	/* As Docker: what is no number means everything. */
	if (parse_i64(text, INT64_MIN, INT64_MAX, ret) == -ERANGE)
		return err_set(reterr, ERR_INVALID, 0, "invalid value for \"tail\": \"%s\" is out of range", text);
	if (*ret < 0)
		*ret = -1;
	return 0;
}

static int read_log_times(const struct request *request, struct handover_logs *logs, struct err **reterr)
{
	int r = param_time(request->query, "since", CLOCK_NEVER, &logs->since_ns.value, reterr);
	r = r ?: param_time(request->query, "until", CLOCK_NEVER, &logs->until_ns.value, reterr);
	logs->since_ns.set = logs->since_ns.value != CLOCK_NEVER;
	logs->until_ns.set = logs->until_ns.value != CLOCK_NEVER;
	return r;
}

static void logs(struct request *request)
{
	_autofree_(err) struct err *err = NULL;
	const struct query *query = request->query;
	struct container *container = find(request);
	if (!container)
		return;
	struct handover_logs parameters = {
		.follow = query_bool(query, "follow", false),
		.stdout_wanted = query_bool(query, "stdout", false),
		.stderr_wanted = query_bool(query, "stderr", false),
		.timestamps = query_bool(query, "timestamps", false),
		.details = query_bool(query, "details", false),
	};
	struct handover handover = { .kind = (char *)handover_kind_name(HANDOVER_LOGS), .logs = &parameters };
	int r = 0;
	if (!parameters.stdout_wanted && !parameters.stderr_wanted)
		r = err_set(&err, ERR_INVALID, 0, "Bad parameters: you must choose at least one stream");
	r = r ?: read_tail(request, &parameters.tail, &err);
	r = r ?: read_log_times(request, &parameters, &err);
	if (r < 0)
		respond_error(request, err);
	else
		hand_over_to_monitor(request, container, &handover);
}

static void stats(struct request *request)
{
	struct container *container = find(request);
	if (!container)
		return;
	struct handover_stats parameters = {
		.stream = query_bool(request->query, "stream", true),
		.one_shot = query_bool(request->query, "one-shot", false),
	};
	struct handover handover = { .kind = (char *)handover_kind_name(HANDOVER_STATS), .stats = &parameters };
	_autofree_(err) struct err *err = NULL;
	if (parameters.stream && parameters.one_shot) {
		err_set(&err, ERR_INVALID, 0, "cannot have stream=true and one-shot=true");
		respond_error(request, err);
	} else {
		hand_over_to_monitor(request, container, &handover);
	}
}

static const struct route routes[] = {
	{ "POST", "/containers/{}/start", 0, 0, start },
	{ "POST", "/containers/{}/stop", 0, 0, stop },
	{ "POST", "/containers/{}/restart", 0, 0, restart },
	{ "POST", "/containers/{}/kill", 0, 0, kill_container },
	{ "POST", "/containers/{}/pause", 0, 0, pause_container },
	{ "POST", "/containers/{}/unpause", 0, 0, unpause },
	{ "POST", "/containers/{}/resize", 0, 0, resize },
	{ "GET", "/containers/{}/egress", 0, 0, egress },
	{ "GET", "/containers/{}/top", 0, 0, top },
	{ "DELETE", "/containers/{}", 0, 0, remove_one },
	{ "POST", "/containers/{}/attach", 0, ROUTE_UNREAD, attach },
	{ "POST", "/containers/{}/wait", 0, ROUTE_UNREAD, wait_container },
	{ "GET", "/containers/{}/logs", 0, ROUTE_UNREAD, logs },
	{ "GET", "/containers/{}/stats", 0, ROUTE_UNREAD, stats },
};
const struct route_table container_verb_routes = ROUTE_TABLE(routes);
