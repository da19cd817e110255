/* The container's life: its start, what can be done to it while it runs, and its end. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <sys/types.h>

#include "base/err.h"
#include "monitor/control.h"

struct monitor;
struct start; /* one that waits for the first content of a volume (fill.h) */

/* By the user; the answer to `request` comes when it runs. ERR_NOT_MODIFIED: it runs already. */
int run_start(struct monitor *monitor, const struct control_request *request, struct err **reterr);
/* By the restart policy. */
void run_restart(struct monitor *monitor);
/* A child has ended: false if it is none that a start waits for. */
bool run_reaped(struct monitor *monitor, pid_t pid, int exit_code);
/* A start that waits fails, soon. */
void run_cancel(struct monitor *monitor);

int run_pause(struct monitor *monitor, struct err **reterr);
int run_unpause(struct monitor *monitor, struct err **reterr);
int run_resize(struct monitor *monitor, uint16_t columns, uint16_t rows, struct err **reterr);
