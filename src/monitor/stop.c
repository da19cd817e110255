#include "monitor/stop.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "monitor/end.h"
#include "monitor/monitor.h"
#include "monitor/run.h"
#include "monitor/state.h"

#define STOP_TIMEOUT_MAX_S (100LL * 365 * 24 * 3600)

struct stop {
	struct list link;
	struct monitor *monitor;
	struct control_request request;
	struct loop_source *timer; /* NULL: waits for ever, or SIGKILL was sent */
};

static void stop_free(struct stop *stop)
{
	list_remove(&stop->link);
	loop_source_free(stop->timer);
	free(stop);
}

/* The restart policy does not undo what the user did: he wanted the end, not merely to send a signal. */
static void note_intent(struct monitor *monitor, int signo)
{
	int stop_signo = monitor->launch.stop_signal > 0 ? (int)monitor->launch.stop_signal : SIGTERM;
	if (signo != SIGKILL && signo != stop_signo)
		return;
	monitor->state.stop_requested = true;
	monitor->restart.is_canceled = true;
}

static int send_signal(struct monitor *monitor, int signo, struct err **reterr)
{
	char number[8];
	bool ends = signo == SIGKILL || monitor->restart.is_canceled;
	int ret = container_kill(monitor->container, signo, reterr);
	if (ret < 0)
		return ret;
	/* A paused process takes the signal only when it goes on. */
	if (ends && strcmp(monitor->state.status, "paused") == 0 && container_resume(monitor->container, NULL) == 0)
		state_set_status(monitor, "running");
	snprintf(number, sizeof number, "%d", signo);
	state_event(monitor, "kill", "signal", number, NULL);
	return 0;
}

/* A signal that is refused (by a security module) is not waited for: SIGKILL at once. */
static int send_or_kill(struct monitor *monitor, int signo, struct err **reterr)
{
	_autofree_(err) struct err *err = NULL;

	int ret = send_signal(monitor, signo, NULL);
	if (ret < 0 && ret != -ESRCH)
		ret = send_signal(monitor, SIGKILL, &err);
	if (ret == -ESRCH) /* init is dying by itself: its end answers */
		return 0;
	if (ret < 0 && reterr)
		*reterr = TAKE(err);
	return ret;
}

static void on_timeout(struct loop_source *source, void *data)
{
	(void)source;
	struct stop *stop = data;
	struct monitor *monitor = stop->monitor;
	_autofree_(err) struct err *err = NULL;

	loop_source_free(stop->timer);
	stop->timer = NULL;
	if (monitor->phase == PHASE_RUNNING && send_signal(monitor, SIGKILL, &err) < 0)
		log_error("cannot kill the container: %s", err_message(err));
}

static int stop_new(struct monitor *monitor, int64_t timeout_s, const struct control_request *request)
{
	struct stop *stop = calloc(1, sizeof *stop);
	if (!stop)
		return -1;
	stop->monitor = monitor;
	stop->request = *request;
	list_append(&monitor->stops, &stop->link);
	if (timeout_s > STOP_TIMEOUT_MAX_S)
		timeout_s = STOP_TIMEOUT_MAX_S;
	if (timeout_s < 0 || loop_add_timer(monitor->loop, clock_monotonic_ms() + timeout_s * 1000, on_timeout, stop,
				     &stop->timer) == 0)
		return 0;
	stop_free(stop);
	return -1;
}

static int check_signal(const struct monitor *monitor, int signo, struct err **reterr)
{
	if (signo < 1 || signo > SIGRTMAX)
		return err_set(reterr, ERR_INVALID, 0, "the linux daemon does not support signal %d", signo);
	if (monitor->phase == PHASE_IDLE)
		return err_set(reterr, ERR_CONFLICT, 0, "container %s is not running", monitor->options.id);
	return 0;
}

int stop_signal(struct monitor *monitor, int signo, const struct control_request *request, struct err **reterr)
{
	int ret = check_signal(monitor, signo, reterr);
	if (ret < 0)
		return ret;
	note_intent(monitor, signo);
	if (monitor->phase == PHASE_RESTARTING && monitor->restart.is_canceled)
		end_give_up_restart(monitor);
	else if (monitor->phase == PHASE_RUNNING)
		ret = send_signal(monitor, signo, reterr);
	if (ret < 0)
		return ret;
	if (signo != SIGKILL || monitor->phase == PHASE_IDLE) {
		control_done(monitor->control, request);
		return 0;
	}
	return stop_new(monitor, -1, request) < 0 ? err_oom(reterr) : 0;
}

int stop_begin(struct monitor *monitor, int signo, int64_t timeout_s, const struct control_request *request,
	struct err **reterr)
{
	if (signo <= 0)
		signo = monitor->launch.stop_signal > 0 ? (int)monitor->launch.stop_signal : SIGTERM;
	if (timeout_s == STOP_TIMEOUT_UNSET)
		timeout_s = monitor->launch.stop_timeout_s;
	if (monitor->phase == PHASE_IDLE && !monitor->start)
		return err_set(reterr, ERR_NOT_MODIFIED, 0, "container is already stopped");
	monitor->state.stop_requested = true;
	monitor->restart.is_canceled = true;
	int ret = monitor->phase == PHASE_RUNNING ? send_or_kill(monitor, signo, reterr) : 0;
	if (ret < 0)
		return ret;
	if (stop_new(monitor, timeout_s, request) < 0)
		return err_oom(reterr);
	if (monitor->start)
		run_cancel(monitor); /* its failure answers */
	else if (monitor->phase == PHASE_RESTARTING)
		end_give_up_restart(monitor); /* answers */
	return 0;
}

void stop_answer_all(struct monitor *monitor)
{
	struct stop *stop, *following;
	list_foreach_safe (stop, following, &monitor->stops, link) {
		control_done(monitor->control, &stop->request);
		stop_free(stop);
	}
}

void stop_end_timers(struct monitor *monitor)
{
	struct stop *stop;
	list_foreach (stop, &monitor->stops, link) {
		loop_source_free(stop->timer);
		stop->timer = NULL;
	}
}

void stop_free_all(struct monitor *monitor)
{
	struct stop *stop, *following;
	list_foreach_safe (stop, following, &monitor->stops, link)
		stop_free(stop);
}
