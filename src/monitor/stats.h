/* GET /containers/ID/stats: what the container uses, once or every second. */
#pragma once

#include "monitor/client.h"

int stats_handover(struct monitor *monitor, const struct client *client, struct err **reterr);
/* The container is no more: streams end. */
void stats_end_all(struct monitor *monitor);
