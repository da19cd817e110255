/*
 * The container's splice (network/splice.h): the ports it serves are the monitor's, which starts it when the first client is
 * there, tells it of ports that come and go while it runs, and starts it again for the next client after it has ended.
 */
#pragma once

#include <stdbool.h>

#include <sys/types.h>

#include "sys/loop.h"

struct monitor;
struct published;

struct spliced {
	int watch_fd;              /* an epoll of the ports, while no process runs */
	struct loop_source *watch; /* of it */
	struct loop_source *timer; /* until a process may be started again */
	pid_t pid;                 /* 0: none */
	int channel_fd;
};

void spliced_init(struct spliced *spliced);
/* monitor->published is what is to be served from now on. */
void spliced_update(struct monitor *monitor);
/* What is left in `published` is not to be served any more: its sockets may be closed afterwards, and the ports are free. */
void spliced_withdraw(struct monitor *monitor, const struct published *published);
/* Whether that was it. */
bool spliced_reaped(struct monitor *monitor, pid_t pid, int exit_code);
/* The container is gone: nothing holds its ports but the monitor. */
void spliced_close(struct monitor *monitor);
