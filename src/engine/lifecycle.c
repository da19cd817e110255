#include "engine/lifecycle.h"

#include <errno.h>
#include <signal.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "engine/connect.h"
#include "engine/events.h"
#include "engine/launch.h"
#include "engine/monitor_link.h"
#include "engine/network_names.h"
#include "engine/operation.h"
#include "engine/remove.h"
#include "engine/spare.h"
#include "sys/signals.h"

/* What a container has that ran when the machine went down. */
#define EXIT_CODE_LOST 255

static bool is_alive(const struct container *container)
{
	return container_is_running(container) || container_is_restarting(container);
}

int lifecycle_stop_signal(const struct container *container)
{
	const char *name = container->record.config.stop_signal;
	int signal = name && name[0] ? signal_parse(name) : SIGTERM;
	return signal > 0 ? signal : SIGTERM;
}

int64_t lifecycle_stop_timeout(const struct container *container)
{
	const struct json_opt_int *own = &container->record.config.stop_timeout_s;
	return own->set ? own->value : LAUNCH_STOP_TIMEOUT_DEFAULT_S;
}

int lifecycle_need_active(const struct container *container, struct err **reterr)
{
	if (container_is_restarting(container))
		return err_set(reterr, ERR_CONFLICT, 0,
			"Container %s is restarting, wait until the container is running", container->id);
	if (!container_is_running(container))
		return err_set(reterr, ERR_CONFLICT, 0, "container %s is not running", container->id);
	if (container_is_paused(container))
		return err_set(reterr, ERR_CONFLICT, 0, "Container %s is paused, unpause the container before exec",
			container->name);
	return 0;
}

/* --- steps --- */

static int need_running(struct operation *operation, struct err **reterr)
{
	if (container_is_running(operation->container))
		return STEP_NEXT;
	return err_set(reterr, ERR_CONFLICT, 0, "container %s is not running", operation->container->id);
}

static int check_kill(struct operation *operation, struct err **reterr)
{
	const struct container *container = operation->container;
	if (container_is_running(container))
		return STEP_NEXT;
	return err_set(reterr, ERR_CONFLICT, 0, "cannot kill container: %s: container %s is not running",
		container->name, container->id);
}

static int mark_stopped(struct container *container, bool stopped, struct err **reterr)
{
	if (container->stopped_by_user == stopped)
		return 0;
	container->stopped_by_user = stopped;
	return container_save_marks(container, reterr);
}

static int mark_user_stop(struct operation *operation, struct err **reterr)
{
	int r = mark_stopped(operation->container, true, reterr);
	return r < 0 ? r : STEP_NEXT;
}

static int check_start(struct operation *operation, struct err **reterr)
{
	struct container *container = operation->container;
	if (container->removing)
		return err_set(reterr, ERR_CONFLICT, 0, "container is marked for removal and cannot be started");
	if (container_is_paused(container))
		return err_set(reterr, ERR_CONFLICT, 0, "cannot start a paused container, try unpause instead");
	if (is_alive(container))
		return err_set(reterr, ERR_NOT_MODIFIED, 0, "container %s is already running", container->id);
	int r = launch_check(container, reterr);
	return r < 0 ? r : STEP_NEXT;
}

static int mark_user_start(struct operation *operation, struct err **reterr)
{
	int r = mark_stopped(operation->container, false, reterr);
	return r < 0 ? r : STEP_NEXT;
}

static int ask_start(struct operation *operation, struct err **reterr)
{
	/* For ever: it may have gigabytes to copy into a new volume. A removal by force cancels it.
	 * A monitor that is spawned for this finds a fresh document; one that waits with clients reads it anew. */
	int r = monitor_link_is_up(operation->container) ? launch_refresh(operation->container, reterr) : 0;
	return r < 0 ? r : operation_ask(operation, message_new("start", 0), LOOP_NEVER, reterr);
}

static int started(struct operation *operation, const struct message *answer, struct err **reterr)
{
	struct container *container = operation->container;
	(void)answer;
	(void)reterr;
	container->was_started = true;
	_autofree_(err) struct err *err = NULL;
	if (container_save_marks(container, &err) < 0)
		log_error("cannot write down the start of container %s: %s", container->id, err_message(err));
	spare_make_soon(container->engine);
	if (!container->record.host.auto_remove) /* that one's removal would be the moment */
		spare_make(container->engine);
	return STEP_NEXT;
}

static void start_ended(struct operation *operation, const struct err *err)
{
	operation->container->starting = false;
	if (!err || err->kind == ERR_NOT_MODIFIED || operation->container->gone)
		return;
	monitor_link_refresh(operation->container);
	lifecycle_ended(operation->container);
}

static json_t *stop_message(int signal, int64_t timeout_s)
{
	json_t *body = message_new("stop", 0);
	message_add(body, "signal", json_integer(signal));
	return message_add(body, "timeout_s", json_integer(timeout_s)) < 0 ? NULL : body;
}

static int64_t stop_deadline(int64_t timeout_s)
{
	return timeout_s < 0 || timeout_s > INT32_MAX ? LOOP_NEVER : timeout_s * 1000 + MONITOR_ANSWER_MS;
}

static int check_stop(struct operation *operation, struct err **reterr)
{
	if (is_alive(operation->container))
		return STEP_NEXT;
	return err_set(reterr, ERR_NOT_MODIFIED, 0, "container %s is already stopped", operation->container->id);
}

static int ask_stop(struct operation *operation, struct err **reterr)
{
	const struct operation_args *args = &operation->args;
	return operation_ask(operation, stop_message(args->signal, args->timeout_s), stop_deadline(args->timeout_s),
		reterr);
}

/* One that waited for its restart has given that up, and said so in its state alone. */
static int stopped(struct operation *operation, const struct message *answer, struct err **reterr)
{
	struct container *container = operation->container;
	(void)answer;
	(void)reterr;
	if (container_is_restarting(container))
		monitor_link_refresh(container);
	events_tell_container(container, "stop");
	return STEP_NEXT;
}

static int ask_stop_if_alive(struct operation *operation, struct err **reterr)
{
	return is_alive(operation->container) ? ask_stop(operation, reterr) : STEP_NEXT;
}

static int tell_restart(struct operation *operation, struct err **reterr)
{
	(void)reterr;
	events_tell_container(operation->container, "restart");
	return STEP_NEXT;
}

static int ask_signal(struct operation *operation, struct err **reterr)
{
	int signal = operation->args.signal;
	if (signal == SIGKILL)
		return operation_ask(operation, stop_message(SIGKILL, -1), MONITOR_ANSWER_MS, reterr);
	json_t *body = message_new("signal", 0);
	message_add(body, "signal", json_integer(signal));
	return operation_ask(operation, body, MONITOR_ANSWER_MS, reterr);
}

static int check_pause(struct operation *operation, struct err **reterr)
{
	const struct container *container = operation->container;
	if (container_is_restarting(container))
		return err_set(reterr, ERR_CONFLICT, 0,
			"Container %s is restarting, wait until the container is running", container->id);
	if (container_is_paused(container))
		return err_set(reterr, ERR_CONFLICT, 0, "Container %s is already paused", container->id);
	return need_running(operation, reterr);
}

static int ask_pause(struct operation *operation, struct err **reterr)
{
	return operation_ask(operation, message_new("pause", 0), MONITOR_ANSWER_MS, reterr);
}

static int check_unpause(struct operation *operation, struct err **reterr)
{
	if (container_is_paused(operation->container))
		return STEP_NEXT;
	return err_set(reterr, ERR_CONFLICT, 0, "Container %s is not paused", operation->container->id);
}

static int ask_unpause(struct operation *operation, struct err **reterr)
{
	return operation_ask(operation, message_new("unpause", 0), MONITOR_ANSWER_MS, reterr);
}

static int ask_resize(struct operation *operation, struct err **reterr)
{
	json_t *body = message_new("resize", 0);
	message_add(body, "width", json_integer(operation->args.width));
	message_add(body, "height", json_integer(operation->args.height));
	if (operation->text)
		message_add(body, "exec", json_string(operation->text));
	return operation_ask(operation, body, MONITOR_ANSWER_MS, reterr);
}

static int check_top(struct operation *operation, struct err **reterr)
{
	if (container_is_restarting(operation->container))
		return err_set(reterr, ERR_CONFLICT, 0,
			"Container %s is restarting, wait until the container is running", operation->container->id);
	return need_running(operation, reterr);
}

static int ask_top(struct operation *operation, struct err **reterr)
{
	json_t *body = message_new("top", 0);
	message_add(body, "args", json_string(operation->text ? operation->text : ""));
	return operation_ask(operation, body, MONITOR_ANSWER_MS, reterr);
}

static int take_top(struct operation *operation, const struct message *answer, struct err **reterr)
{
	operation->result = json_pack("{s:O?, s:O?}", "Titles", json_object_get(answer->body, "titles"), "Processes",
		json_object_get(answer->body, "processes"));
	return operation->result ? STEP_NEXT : err_oom(reterr);
}

/* --- verbs --- */

#define STEPS(steps_) .steps = (steps_), .step_count = ARRAY_SIZE(steps_)

static const struct step start_steps[] = { { check_start }, { connect_choose }, { connect_make_networks },
	{ connect_publish_names }, { mark_user_start }, { ask_start, started } };
static const struct verb start_verb = { "start", STEPS(start_steps), .queued = true, .ended = start_ended };

static const struct step stop_steps[] = { { check_stop }, { mark_user_stop },
	{ ask_stop, stopped, .wants_end = true } };
static const struct verb stop_verb = { "stop", STEPS(stop_steps) };

static const struct step restart_steps[] = { { ask_stop_if_alive, stopped }, { check_start }, { connect_choose },
	{ connect_make_networks }, { connect_publish_names }, { mark_user_start }, { ask_start, started },
	{ tell_restart } };
static const struct verb restart_verb = { "restart", STEPS(restart_steps), .queued = true, .ended = start_ended };

static const struct step kill_steps[] = { { check_kill }, { mark_user_stop }, { ask_signal, .wants_end = true } };
static const struct verb kill_verb = { "kill", STEPS(kill_steps) };

static const struct step pause_steps[] = { { check_pause }, { ask_pause } };
static const struct verb pause_verb = { "pause", STEPS(pause_steps) };

static const struct step unpause_steps[] = { { check_unpause }, { ask_unpause } };
static const struct verb unpause_verb = { "unpause", STEPS(unpause_steps) };

static const struct step resize_steps[] = { { need_running }, { ask_resize } };
static const struct verb resize_verb = { "resize", STEPS(resize_steps) };

static const struct step top_steps[] = { { check_top }, { ask_top, take_top } };
static const struct verb top_verb = { "top", STEPS(top_steps) };

void lifecycle_start(struct container *container, engine_done_fn *done, void *user)
{
	operation_begin(container, &start_verb, NULL, done, user);
}

static struct operation_args stop_args(const struct container *container, int signal, int64_t timeout_s)
{
	return (struct operation_args){
		.signal = signal > 0 ? signal : lifecycle_stop_signal(container),
		.timeout_s = timeout_s == LIFECYCLE_TIMEOUT_UNSET ? lifecycle_stop_timeout(container) : timeout_s,
	};
}

void lifecycle_stop(struct container *container, int signal, int64_t timeout_s, engine_done_fn *done, void *user)
{
	const struct operation_args args = stop_args(container, signal, timeout_s);
	operation_begin(container, &stop_verb, &args, done, user);
}

void lifecycle_restart(struct container *container, int signal, int64_t timeout_s, engine_done_fn *done, void *user)
{
	const struct operation_args args = stop_args(container, signal, timeout_s);
	operation_begin(container, &restart_verb, &args, done, user);
}

void lifecycle_kill(struct container *container, int signal, engine_done_fn *done, void *user)
{
	const struct operation_args args = { .signal = signal };
	operation_begin(container, &kill_verb, &args, done, user);
}

void lifecycle_pause(struct container *container, engine_done_fn *done, void *user)
{
	operation_begin(container, &pause_verb, NULL, done, user);
}

void lifecycle_unpause(struct container *container, engine_done_fn *done, void *user)
{
	operation_begin(container, &unpause_verb, NULL, done, user);
}

void lifecycle_resize(struct container *container, const char *exec, int64_t width, int64_t height,
	engine_done_fn *done, void *user)
{
	const struct operation_args args = { .width = width, .height = height, .text = exec };
	operation_begin(container, &resize_verb, &args, done, user);
}

void lifecycle_top(struct container *container, const char *args_text, engine_done_fn *done, void *user)
{
	const struct operation_args args = { .text = args_text };
	operation_begin(container, &top_verb, &args, done, user);
}

/* --- ends and beginnings that nobody asked for --- */

void lifecycle_ended(struct container *container)
{
	network_names_changed(container);
	if (container->record.host.auto_remove && !container->gone && !container->removing && !is_alive(container))
		remove_container_unattended(container);
}

void lifecycle_restore_without_state(struct container *container)
{
	if (!container->was_started)
		return;
	if (is_alive(container)) {
		container->state.exit_code = EXIT_CODE_LOST;
		container->state.finished_at_ns = clock_realtime_ns();
	}
	container->state.pid = 0;
	runstate_set_status(&container->state, "exited");
	container->boot_restart = true;
}

static bool restarts_at_boot(const struct container *container)
{
	const char *policy = container->record.host.restart_policy.name;
	if (!container->boot_restart || !policy)
		return false;
	if (strcmp(policy, "always") == 0)
		return true;
	if (container->stopped_by_user)
		return false;
	return strcmp(policy, "unless-stopped") == 0 ||
	       (strcmp(policy, "on-failure") == 0 && container->state.exit_code != 0);
}

static void boot_done(void *user, json_t *result, const struct err *err)
{
	struct container *container = user;
	(void)result;
	if (err)
		log_error("cannot restart container %s: %s", container->id, err_message(err));
	container_unref(container);
}

void lifecycle_boot(struct engine *engine)
{
	struct container *container;
	size_t cursor = 0;
	while ((container = containers_next(engine->containers, &cursor))) {
		if (container->removing)
			continue;
		if (restarts_at_boot(container))
			lifecycle_start(container_ref(container), boot_done, container);
		else if (container->state.started_at_ns != CLOCK_NEVER)
			lifecycle_ended(container);
		container->boot_restart = false;
	}
}
