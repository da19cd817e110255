/* What is left of a container when nobody can recover it: the processes in the groups its monitor wrote down. */
#pragma once

#include "base/cleanup.h"

struct remains;

/* Reads `cgroup` in the container's folder of the exec root. None: there is nothing to kill. 0 or -errno. */
int remains_read(int folder_fd, struct remains **ret);
void remains_free(struct remains *remains);
DEFINE_AUTOFREE(remains, struct remains *, remains_free);

/* Kills them, and removes the groups when all are gone: 0; -EAGAIN: not yet, call again soon. */
int remains_kill(struct remains *remains);
