/* The few facts that we read of host processes from /proc. */
#pragma once

#include <stdint.h>

#include <sys/types.h>

#include "base/buf.h"

#define HOSTPROC_FILE_MAX (64 * 1024)

/* /proc/PID/NAME as it is; -ESRCH or -ENOENT if there is no such process. */
int hostproc_read(pid_t pid, const char *name, struct buf *out);

/* Field 22 of /proc/PID/stat: ticks since boot. */
int hostproc_start_time(pid_t pid, uint64_t *ret);
