/* Starting the engine when there is none, and connecting to it. */
#pragma once

#include "base/err.h"

#define LAUNCH_DEADLINE_MS 10000

/* Connects to a unix stream socket. Returns 0 or -errno. */
int launch_connect(const char *socket_path, int *ret_fd);

/* Returns when the engine accepts connections at `socket_path`, started by us or by another command meanwhile. */
int launch_engine(const char *socket_path, struct err **reterr);
