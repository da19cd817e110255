/* Staying with a process in the foreground: signals forwarded, a terminal's bytes carried, its end returned. */
#pragma once

#include <sys/types.h>

#include "base/err.h"

/* Blocks the signals that are to be forwarded; before the process exists, so that none is lost. */
void foreground_prepare(void);

struct notify;

/* Waits for `pid` (reaped). `console_fd` is its pty's master or -1. *ret_code: exit code, or 128 + signal. `notify`: served meanwhile, or NULL. */
int foreground_wait(pid_t pid, int pidfd, int console_fd, struct notify *notify, int *ret_code, struct err **reterr);
