/* Clients of the container's own streams. They may come before the start, and end with the run. */
#pragma once

#include "monitor/client.h"

int attach_handover(struct monitor *monitor, const struct client *client, struct err **reterr);
/* The run has ended: all its output is in the clients' queues. */
void attach_end_all(struct monitor *monitor);
