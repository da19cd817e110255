/*
 * The Engine API's listening side: accepts on the sockets the holder gave us, and keeps the connections. When descriptors
 * run out, accepting pauses until a connection ends: the queue in the socket is where clients wait.
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
	bool is_paused;
};

int server_new(struct loop *loop, struct engine *engine, struct server **ret, struct err **reterr);
/* Closes every connection. */
void server_free(struct server *server);
DEFINE_AUTOFREE(server, struct server *, server_free);

/* Takes the listening socket. */
int server_listen(struct server *server, int fd, struct err **reterr);

/* A connection has ended: accepting may go on. */
void server_resume(struct server *server);
