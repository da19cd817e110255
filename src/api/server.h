/*
 * The Engine API's listening side: accepts on the sockets the holder gave us, and keeps the connections. When descriptors
 * or memory run out, accepting pauses for a moment: the queue in the socket is where clients wait.
 */
#pragma once

#include "base/cleanup.h"
#include "base/err.h"
#include "base/list.h"
#include "sys/loop.h"

struct engine;

struct server {
	struct loop *loop;
	struct engine *engine;
	struct list connections;
	struct list listeners;
	struct loop_source *pause; /* the time at which accepting goes on */
	bool is_short;             /* of descriptors or memory, since the last client */
};

int server_new(struct loop *loop, struct engine *engine, struct server **ret, struct err **reterr);
/* Closes every connection. */
void server_free(struct server *server);
DEFINE_AUTOFREE(server, struct server *, server_free);

/* Takes the listening socket. */
int server_listen(struct server *server, int fd, struct err **reterr);
