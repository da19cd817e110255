/* The container's legs, from launch.json: made while its first process prepares its root, changed while it runs. */
#pragma once

#include <sys/types.h>

#include "base/err.h"

struct monitor;

/* The namespace of a start that is likely to come: best effort. */
void network_make_ahead(struct monitor *monitor);
/* Before anything is made: the ports of the host are taken, or refused. */
int network_reserve(struct monitor *monitor, struct err **reterr);
/* Of what visits network namespaces: does not return if that got lost. */
int network_check_home(int r);
/* As container_namespaces_fn; `monitor` is the struct monitor. */
int network_make(pid_t pid, void *monitor, struct err **reterr);
/* launch.json is read anew, and the container gets the legs it says. When nothing runs there is nothing to do. */
int network_change(struct monitor *monitor, struct err **reterr);
/* The table was not there, or lost something: ours is put in again. */
int network_restore(struct monitor *monitor, struct err **reterr);
/* What a monitor that died had put into the table. */
void network_clear_leftovers(struct monitor *monitor);
/* The container is gone, and its legs with it: its ports are free again. */
void network_forget(struct monitor *monitor);
