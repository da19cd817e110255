/* The sockets the Engine API is served on. They outlive every engine: connections queue in them while none runs. */
#pragma once

#include <stddef.h>

#include "base/err.h"
#include "holder/options.h"
#include "sys/sockets.h"

#define LISTENERS_MAX 16

struct listener {
	int fd;
	char *path; /* NULL: inherited, its maker removes it */
	struct socket_file file;
};

struct listeners {
	struct listener items[LISTENERS_MAX];
	size_t count;
};

/*
 * Takes over descriptors 3... that $LISTEN_FDS says are for us (systemd's socket activation), closes every other one above
 * standard error, and makes sure that those three are open. To be called first.
 */
int listeners_inherit(struct listeners *listeners, struct err **reterr);

/* Makes those that -H names, or the default one if nothing was named nor inherited. */
int listeners_open(struct listeners *listeners, const struct options *options, struct err **reterr);

/* Removes the files of those made here, if they are still ours. */
void listeners_unlink(struct listeners *listeners);
void listeners_finish(struct listeners *listeners);
