/* Clients that wait for the container's end: POST /containers/ID/wait. */
#pragma once

#include "monitor/client.h"

int wait_handover(struct monitor *monitor, const struct client *client, struct err **reterr);
/* The container has ended (or failed to start), and the state says so: not-running and next-exit are answered. */
void wait_answer_exit(struct monitor *monitor);
/* The container is removed: everybody is answered. */
void wait_answer_removed(struct monitor *monitor);
