#include "monitor/health.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "codec/utf8.h"
#include "monitor/exec.h"
#include "monitor/monitor.h"
#include "monitor/state.h"
#include "spec/health.h"

static int64_t or_default(int64_t value_ns, int64_t default_ns)
{
	return value_ns > 0 ? value_ns : default_ns;
}

static int set_status(struct health *health, const char *status)
{
	if (health->status && strcmp(health->status, status) == 0)
		return 0;
	char *copy = strdup(status);
	if (!copy)
		return -ENOMEM;
	free(health->status);
	health->status = copy;
	return 1;
}

static void result_finish(struct health_result *result)
{
	free(result->start);
	free(result->end);
	free(result->output);
}

static int log_result(struct health *health, struct health_result *result)
{
	if (health->log_count >= HEALTH_LOG_MAX) {
		result_finish(&health->log[0]);
		health->log_count--;
		memmove(health->log, health->log + 1, health->log_count * sizeof *health->log);
	}
	struct health_result *grown = reallocarray(health->log, health->log_count + 1, sizeof *health->log);
	if (!grown) {
		result_finish(result);
		return -ENOMEM;
	}
	health->log = grown;
	health->log[health->log_count++] = *result;
	return 0;
}

int health_apply(struct health *health, const struct healthcheck *check, struct health_result *result,
	int64_t ran_for_ns)
{
	int64_t exit_code = result->exit_code;
	int64_t retries = check->retries > 0 ? check->retries : HEALTH_RETRIES_DEFAULT;
	int ret = log_result(health, result);

	if (ret < 0)
		return ret;
	if (exit_code == 0) {
		health->failing_streak = 0;
		return set_status(health, "healthy");
	}
	/* A container that was never healthy yet may fail as long as its start period lasts. */
	if (strcmp(health->status ?: "", "starting") == 0 && ran_for_ns < check->start_period_ns)
		return 0;
	health->failing_streak++;
	return health->failing_streak >= retries ? set_status(health, "unhealthy") : 0;
}

static const struct healthcheck *check_of(const struct health_monitor *health)
{
	const struct healthcheck *check = health->monitor->launch.healthcheck;
	return check && healthcheck_is_active(check) ? check : NULL;
}

static int64_t interval_ms(const struct health_monitor *health, const struct healthcheck *check)
{
	const struct runstate *state = &health->monitor->state;
	int64_t ran_for_ns = clock_realtime_ns() - state->started_at_ns;
	int64_t interval_ns = or_default(check->interval_ns, HEALTH_INTERVAL_DEFAULT_NS);

	if (ran_for_ns < check->start_period_ns && state->health &&
		strcmp(state->health->status ?: "", "starting") == 0)
		interval_ns = or_default(check->start_interval_ns, HEALTH_START_INTERVAL_DEFAULT_NS);
	return interval_ns / NS_PER_MS;
}

static void arm(struct health_monitor *health, int64_t after_ms)
{
	loop_timer_set(health->timer, clock_monotonic_ms() + after_ms);
}

/* --- a probe --- */

static bool tap_ready(struct tap *tap)
{
	(void)tap;
	return true;
}

static void tap_output(struct tap *tap, enum log_stream stream, const char *data, size_t len)
{
	(void)stream;
	struct health_monitor *health = container_of(tap, struct health_monitor, tap);
	size_t room = HEALTH_OUTPUT_MAX - health->output.len;
	health->truncated |= len > room;
	if (buf_append(&health->output, data, len < room ? len : room) < 0)
		health->truncated = true;
}

static const struct tap_ops tap_ops = { .ready = tap_ready, .output = tap_output };

/* The output as valid text; a time-out says so first, in Docker's words. */
static char *result_output(const struct health_monitor *health, const struct healthcheck *check, const char *error)
{
	char *text = NULL;
	const char *output = health->output.data ?: "";
	const char *dots = health->truncated ? "..." : "";
	double timeout_s = (double)or_default(check->timeout_ns, HEALTH_TIMEOUT_DEFAULT_NS) / (double)NS_PER_SEC;
	int n;

	if (error)
		n = asprintf(&text, "%s", error);
	else if (health->timed_out)
		n = asprintf(&text, "Health check exceeded timeout (%gs)%s%s%s", timeout_s, *output ? ": " : "", output,
			dots);
	else
		n = asprintf(&text, "%s%s", output, dots);
	if (n < 0)
		return NULL;
	char *repaired = utf8_repair(text);
	free(text);
	return repaired;
}

static int make_result(const struct health_monitor *health, const struct healthcheck *check, int exit_code,
	const char *error, struct health_result *ret)
{
	char start[CLOCK_RFC3339_MAX], end[CLOCK_RFC3339_MAX];

	clock_format_rfc3339(health->probe_started_ns, start);
	clock_format_rfc3339(clock_realtime_ns(), end);
	*ret = (struct health_result){
		.start = strdup(start),
		.end = strdup(end),
		.exit_code = health->timed_out || error ? -1 : exit_code,
		.output = result_output(health, check, error),
	};
	if (ret->start && ret->end && ret->output)
		return 0;
	result_finish(ret);
	return -ENOMEM;
}

static void probe_result(struct health_monitor *health, int exit_code, const char *error)
{
	struct monitor *monitor = health->monitor;
	const struct healthcheck *check = check_of(health);
	struct health_result result;

	if (!check || !monitor->state.health)
		return;
	int64_t ran_for_ns = health->probe_started_ns - monitor->state.started_at_ns;
	int ret = make_result(health, check, exit_code, error, &result);
	if (ret == 0)
		ret = health_apply(monitor->state.health, check, &result, ran_for_ns);
	if (ret > 0) {
		char type[64];
		snprintf(type, sizeof type, "health_status: %s", monitor->state.health->status);
		state_event(monitor, type, NULL);
	} else
		state_save(monitor);
	buf_finish(&health->output);
	arm(health, interval_ms(health, check));
}

static void on_probe_end(int exit_code, void *user)
{
	struct health_monitor *health = user;
	health->probe = NULL;
	list_init(&health->tap.link);
	if (health->monitor->phase == PHASE_RUNNING && health->timer)
		probe_result(health, exit_code, NULL);
	else
		buf_finish(&health->output);
}

static void probe_start(struct health_monitor *health, const struct healthcheck *check)
{
	_autofree_(err) struct err *err = NULL;

	health->truncated = health->timed_out = false;
	health->probe_started_ns = clock_realtime_ns();
	health->tap = (struct tap){ .ops = &tap_ops, .want_stdout = true, .want_stderr = true };
	if (exec_probe(health->monitor, check->test + 1, &health->tap, on_probe_end, health, &health->probe, &err) < 0)
		probe_result(health, -1, err_message(err));
	else
		arm(health, or_default(check->timeout_ns, HEALTH_TIMEOUT_DEFAULT_NS) / NS_PER_MS);
}

static void on_timer(struct loop_source *source, void *data)
{
	(void)source;
	struct health_monitor *health = data;
	const struct healthcheck *check = check_of(health);

	if (health->probe) {
		health->timed_out = true;
		exec_kill(health->probe);
	} else if (check)
		probe_start(health, check);
}

/* --- the container's life --- */

void health_init(struct health_monitor *health, struct monitor *monitor)
{
	*health = (struct health_monitor){ .monitor = monitor };
	buf_init(&health->output, HEALTH_OUTPUT_MAX);
	list_init(&health->tap.link);
}

void health_finish(struct health_monitor *health)
{
	health_stop(health);
	buf_finish(&health->output);
}

void health_start(struct health_monitor *health)
{
	struct runstate *state = &health->monitor->state;

	if (!check_of(health)) {
		json_free(&health_table, state->health);
		state->health = NULL;
		return;
	}
	if (!state->health)
		state->health = calloc(1, sizeof *state->health);
	if (!state->health || set_status(state->health, "starting") < 0) {
		log_error("out of memory: no health checks");
		return;
	}
	state->health->failing_streak = 0;
	health_continue(health);
}

void health_stop(struct health_monitor *health)
{
	loop_source_free(health->timer);
	health->timer = NULL;
	if (health->probe)
		exec_kill(health->probe);
}

void health_continue(struct health_monitor *health)
{
	const struct healthcheck *check = check_of(health);
	if (!check || health->timer || !health->monitor->state.health)
		return;
	if (loop_add_timer(health->monitor->loop, LOOP_NEVER, on_timer, health, &health->timer) < 0)
		log_error("out of memory: no health checks");
	else if (!health->probe)
		arm(health, interval_ms(health, check));
	else
		arm(health, 0); /* the one that was running is given up */
}
