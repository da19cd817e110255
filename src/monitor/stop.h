/* Signals to the container, and its orderly stop: a signal, time, then SIGKILL. */
#pragma once

#include "monitor/control.h"

/* launch.json's time-out; -1 would be for ever. */
#define STOP_TIMEOUT_UNSET (-2)

struct monitor;

/* The answer comes at once; that to SIGKILL when the container has ended. */
int stop_signal(struct monitor *monitor, int signo, const struct control_request *request, struct err **reterr);

/* `signo` 0: the container's own stop signal. The answer comes when it has ended. */
int stop_begin(struct monitor *monitor, int signo, int64_t timeout_s, const struct control_request *request,
	struct err **reterr);

/* The container has ended: everybody who stopped it gets his answer. */
void stop_answer_all(struct monitor *monitor);
/* Init is dead: nothing is to be killed any more. */
void stop_end_timers(struct monitor *monitor);
void stop_free_all(struct monitor *monitor);
