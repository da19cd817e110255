/* A connection that command lines come over: what they need of it beside their words, and what they leave for it. */
#pragma once

#include <sys/types.h>

#include "base/buf.h"
#include "runtime/container.h"

struct served {
	pid_t pid; /* of the process that was made; its descriptors are the connection's */
	int pidfd;
	int console_fd;
	struct buf warnings;
};

/* Notes the process; takes what is in `made`. */
void served_take(struct served *served, const struct container_process *made);
