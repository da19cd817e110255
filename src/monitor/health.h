/*
 * The health check: a command in the container, run again and again, whose exit codes make the status starting, healthy or
 * unhealthy. As Docker's in numbers and words; a change is the event "health_status: healthy".
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "monitor/procio.h"
#include "sys/loop.h"

struct exec;
struct monitor;

struct health_monitor {
	struct monitor *monitor;
	struct loop_source *timer; /* the next probe, or the running one's time limit */
	struct exec *probe;        /* running */
	struct tap tap;
	struct buf output;
	bool truncated;
	bool timed_out;
	int64_t probe_started_ns;
};

void health_init(struct health_monitor *health, struct monitor *monitor);
void health_finish(struct health_monitor *health);

/* The container has started: status starting, the first probe after an interval. Nothing without a check. */
void health_start(struct health_monitor *health);
/* It has ended, or is paused: no probes. The status stays. */
void health_stop(struct health_monitor *health);
/* It goes on after a pause. */
void health_continue(struct health_monitor *health);

/* The arithmetic: what a result makes of the status. Returns whether the status has changed. */
struct health;
struct healthcheck;
struct health_result;
/* Takes what `result` owns. 0, 1 if the status is another now, or -ENOMEM. */
int health_apply(struct health *health, const struct healthcheck *check, struct health_result *result,
	int64_t ran_for_ns);
