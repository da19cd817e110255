/* The container's life: its start, what can be done to it while it runs, and its end. */
#pragma once

#include <stdint.h>

#include "base/err.h"

struct monitor;

/* By the user. ERR_NOT_MODIFIED: it runs already. */
int run_start(struct monitor *monitor, struct err **reterr);
/* By the restart policy. */
void run_restart(struct monitor *monitor);

int run_pause(struct monitor *monitor, struct err **reterr);
int run_unpause(struct monitor *monitor, struct err **reterr);
int run_resize(struct monitor *monitor, uint16_t columns, uint16_t rows, struct err **reterr);
