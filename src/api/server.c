#include "api/server.h"

#include <errno.h>
#include <stdlib.h>

#include <sys/socket.h>

#include "api/connection.h"
#include "base/clock.h"
#include "base/io.h"
#include "base/log.h"

/* Accepts per round, so that one busy socket does not starve the rest. */
#define ACCEPT_BATCH 64
/* Until it is tried again when descriptors or memory have run out, which need not be by our own fault. */
#define ACCEPT_PAUSE_MS 100

struct listener {
	struct list link;
	struct server *server;
	int fd;
	struct loop_source *source;
};

static void server_set_accepting(struct server *server, bool on)
{
	struct listener *listener;
	list_foreach (listener, &server->listeners, link)
		loop_fd_set_events(listener->source, on ? EPOLLIN : 0);
}

static void on_pause_over(struct loop_source *source, void *data)
{
	(void)source;
	server_set_accepting(data, true);
}

static void server_pause(struct server *server)
{
	if (!server->is_short)
		log_warn("out of descriptors or memory: new clients have to wait");
	server->is_short = true;
	server_set_accepting(server, false);
	loop_timer_set(server->pause, clock_monotonic_ms() + ACCEPT_PAUSE_MS);
}

int server_new(struct loop *loop, struct engine *engine, struct server **ret, struct err **reterr)
{
	struct server *server = calloc(1, sizeof *server);
	if (!server)
		return err_oom(reterr);
	server->loop = loop;
	server->engine = engine;
	list_init(&server->connections);
	list_init(&server->listeners);
	int r = loop_add_timer(loop, LOOP_NEVER, on_pause_over, server, &server->pause);
	if (r < 0) {
		server_free(server);
		return err_errno(reterr, r, "cannot make a timer");
	}
	*ret = server;
	return 0;
}

static void listener_free(struct listener *listener)
{
	list_remove(&listener->link);
	loop_source_free(listener->source);
	fd_close(&listener->fd);
	free(listener);
}

void server_free(struct server *server)
{
	if (!server)
		return;
	struct listener *listener, *next_listener;
	list_foreach_safe (listener, next_listener, &server->listeners, link)
		listener_free(listener);
	while (!list_is_empty(&server->connections))
		connection_free(connection_of(server->connections.next));
	loop_source_free(server->pause);
	free(server);
}

static void on_readable(struct loop_source *source, uint32_t events, void *data)
{
	struct listener *listener = data;
	(void)source;
	(void)events;
	for (int i = 0; i < ACCEPT_BATCH; i++) {
		int fd = accept4(listener->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
		if (fd < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS)) {
			server_pause(listener->server);
			return;
		}
		if (fd < 0)
			return;
		listener->server->is_short = false;
		if (connection_new(listener->server, fd) < 0)
			log_warn("out of memory: a client was turned away");
	}
}

int server_listen(struct server *server, int fd, struct err **reterr)
{
	struct listener *listener = calloc(1, sizeof *listener);
	if (!listener) {
		fd_close(&fd);
		return err_oom(reterr);
	}
	listener->server = server;
	listener->fd = fd;
	list_append(&server->listeners, &listener->link);

	int r = io_set_nonblock(fd, true);
	if (r == 0)
		r = loop_add_fd(server->loop, fd, EPOLLIN, on_readable, listener, &listener->source);
	if (r < 0) {
		listener_free(listener);
		return err_errno(reterr, r, "cannot listen on the API socket");
	}
	return 0;
}
