/* The container's legs, from launch.json: made while its first process prepares its root, changed while it runs. */
#pragma once

#include <sys/types.h>

#include "base/err.h"

struct monitor;

/* As container_namespaces_fn; `monitor` is the struct monitor. */
int network_make(pid_t pid, void *monitor, struct err **reterr);
/* launch.json is read anew, and the container gets the legs it says. When nothing runs there is nothing to do. */
int network_change(struct monitor *monitor, struct err **reterr);
/* The container is gone, and its legs with it. */
void network_forget(struct monitor *monitor);
