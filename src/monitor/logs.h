/* Clients of the container's log: GET /containers/ID/logs, also while nothing runs. */
#pragma once

#include "monitor/client.h"
#include "monitor/logreader.h"

int logs_handover(struct monitor *monitor, const struct client *client, struct err **reterr);

/* Of the container's log as launch.json names it. ERR_UNSUPPORTED: the driver keeps none. */
int logs_open_reader(struct monitor *monitor, const struct logreader_options *options, struct logreader **ret,
	struct err **reterr);
/* The files and their form, opened for writing on the same terms; NULL in monitor->logwriter: the driver keeps none. */
int logs_open_writer(struct monitor *monitor, struct err **reterr);
void logs_close_writer(struct monitor *monitor);
void logs_free(struct monitor *monitor);

/* Whether it was the child that compresses a rotated file. */
bool logs_reaped(struct monitor *monitor, pid_t pid, int exit_code);

/* Something was written. */
void logs_tell_followers(struct monitor *monitor);
/* Nothing more will be written by this run: who follows it gets what is left, and the end. */
void logs_end_followers(struct monitor *monitor);
