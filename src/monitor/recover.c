/*
 * A container does not outlive its monitor: its streams ended with it, its exit code could not be had. So there is nothing
 * to take over, only something to end and to record, and the same code serves --recover and any start that finds such a
 * state. What is on disk suffices: `cgroup` lists the groups, written before they were made.
 *
 * A kill in the middle leaves the state as it was, and the next --recover begins again.
 */
#include "monitor/recover.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "monitor/end.h"
#include "monitor/monitor.h"

#define EXIT_LOST (128 + SIGKILL)

static const char lost_message[] = "monitor lost";

static bool was_alive(const struct monitor *monitor)
{
	return runstate_is_running(&monitor->state);
}

/* The restart policy had its timer in the dead monitor. */
static bool was_restarting(const struct monitor *monitor)
{
	return strcmp(monitor->state.status, "restarting") == 0;
}

int recover(struct monitor *monitor, struct err **reterr)
{
	struct runstate *state = &monitor->state;
	_autofree_(err) struct err *err = NULL;
	int ret = end_clear_leftovers(monitor, reterr);
	if (ret < 0)
		return ret;
	if (!was_alive(monitor) && !was_restarting(monitor)) {
		monitor->finishing = monitor->options.recover;
		return 0;
	}

	if (monitor_load_launch(monitor, &err) < 0)
		log_error("the container is not restarted: %s", err_message(err));
	monitor->restart.count = state->restart_count;
	if (was_restarting(monitor)) {
		end_resume_restart(monitor);
		return 0;
	}
	log_warn("%s: the container is ended", lost_message);
	free(state->error);
	state->error = strdup(lost_message);
	monitor->exited_at_ns = clock_realtime_ns();
	end_record(monitor, EXIT_LOST);
	return 0;
}
