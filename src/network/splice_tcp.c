/*
 * Connections: two sockets and a pipe for each direction, through which the kernel moves pages; no byte of them is in our memory.
 * A direction is read only when its pipe is empty, and written while it is not. An end of file goes on as one; whatever fails ends
 * both sides, by a reset, so that neither takes half of something for the whole.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include <netinet/tcp.h>

#include "base/clock.h"
#include "network/splice_internal.h"

#define CHUNK_BYTES     65536
#define ACCEPTS_AT_ONCE 16

struct direction {
	int pipe[2];
	size_t pending;
	bool is_over; /* the end has been passed on */
};

struct client {
	struct list link;
	struct splice *splice;
	int fds[2]; /* the client, the container */
	struct loop_source *sources[2];
	struct direction ways[2]; /* from fds[i] to the other */
	bool is_connected;
};

/* --- ends --- */

void splice_tcp_resume(struct splice *splice)
{
	struct target *target;
	if (!splice->is_full)
		return;
	splice->is_full = false;
	list_foreach (target, &splice->targets, link)
		loop_fd_set_events(target->source, EPOLLIN);
}

/* The backlog is where clients wait. */
static void hold(struct splice *splice)
{
	struct target *target;
	splice->is_full = true;
	list_foreach (target, &splice->targets, link) {
		if (target->is.type == SOCK_STREAM)
			loop_fd_set_events(target->source, 0);
	}
}

static void client_free(struct client *client)
{
	struct splice *splice = client->splice;
	for (int i = 0; i < 2; i++) {
		loop_source_free(client->sources[i]);
		fd_close(&client->fds[i]);
		fd_close(&client->ways[i].pipe[0]);
		fd_close(&client->ways[i].pipe[1]);
	}
	list_remove(&client->link);
	splice->client_count--;
	splice->busy_ms = clock_monotonic_ms();
	free(client);
	splice_tcp_resume(splice);
}

static void abort_client(struct client *client)
{
	const struct linger at_once = { .l_onoff = 1 };
	for (int i = 0; i < 2; i++) {
		if (client->fds[i] >= 0)
			setsockopt(client->fds[i], SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
	}
	client_free(client);
}

void splice_tcp_finish(struct splice *splice)
{
	struct client *client, *next;
	list_foreach_safe (client, next, &splice->clients, link)
		abort_client(client);
}

/* --- bytes --- */

/* 1: something was moved; 0: it has to wait; -errno. */
static int move_once(struct direction *way, int from, int to)
{
	if (way->pending == 0) {
		ssize_t n = splice(from, NULL, way->pipe[1], NULL, CHUNK_BYTES, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
		if (n < 0)
			return errno == EAGAIN ? 0 : -errno;
		if (n == 0) {
			way->is_over = true;
			return shutdown(to, SHUT_WR) < 0 ? -errno : 0;
		}
		way->pending = (size_t)n;
	}
	ssize_t n = splice(way->pipe[0], NULL, to, NULL, way->pending, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
	if (n < 0)
		return errno == EAGAIN ? 0 : -errno;
	way->pending -= (size_t)n;
	return 1;
}

/* Not for ever: others have bytes too. */
static int move_some(struct direction *way, int from, int to)
{
	int r = 1;
	for (int i = 0; i < 16 && r > 0 && !way->is_over; i++)
		r = move_once(way, from, to);
	return r < 0 ? r : 0;
}

static int watch_side(struct client *client, int i)
{
	const struct direction *out = &client->ways[i], *in = &client->ways[1 - i];
	uint32_t events = (!out->is_over && out->pending == 0 ? EPOLLIN : 0) | (in->pending > 0 ? EPOLLOUT : 0);
	return loop_fd_set_events(client->sources[i], events);
}

static int finish_connect(struct client *client)
{
	int error = 0;
	socklen_t len = sizeof(error);
	if (getsockopt(client->fds[1], SOL_SOCKET, SO_ERROR, &error, &len) < 0)
		return -errno;
	client->is_connected = error == 0;
	return -error;
}

static void on_event(struct loop_source *source, uint32_t events, void *data)
{
	struct client *client = data;
	(void)source, (void)events;
	int r = client->is_connected ? 0 : finish_connect(client);
	for (int i = 0; r == 0 && i < 2; i++)
		r = move_some(&client->ways[i], client->fds[i], client->fds[1 - i]);
	for (int i = 0; r == 0 && i < 2; i++)
		r = watch_side(client, i);
	if (r < 0)
		abort_client(client);
	else if (client->ways[0].is_over && client->ways[1].is_over)
		client_free(client);
}

/* --- beginnings --- */

static void set_options(int fd)
{
	const int on = 1;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	/* The port's socket shares with nobody, but what a connection leaves of itself must not keep the port from its next owner. */
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on,
		sizeof(on)); /* a peer that is gone for good is noticed some day */
}

static int connect_on(struct client *client, const struct splice_target *target)
{
	union splice_address address;
	socklen_t len = splice_fill_address(target, &address);
	client->fds[1] = socket(address.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (client->fds[1] < 0)
		return -errno;
	set_options(client->fds[0]);
	set_options(client->fds[1]);
	return connect(client->fds[1], &address.any, len) < 0 && errno != EINPROGRESS ? -errno : 0;
}

static int prepare(struct client *client, const struct splice_target *target)
{
	struct loop *loop = client->splice->loop;
	for (int i = 0; i < 2; i++) {
		if (pipe2(client->ways[i].pipe, O_CLOEXEC | O_NONBLOCK) < 0)
			return -errno;
	}
	int r = connect_on(client, target);
	if (r == 0) /* the client's side rests until there is another */
		r = loop_add_fd(loop, client->fds[0], 0, on_event, client, &client->sources[0]);
	return r < 0 ? r : loop_add_fd(loop, client->fds[1], EPOLLOUT, on_event, client, &client->sources[1]);
}

static struct client *client_new(struct splice *splice)
{
	struct client *client = malloc(sizeof(*client));
	if (!client)
		return NULL;
	*client = (struct client){
		.splice = splice, .fds = { -1, -1 }, .ways = { { .pipe = { -1, -1 } }, { .pipe = { -1, -1 } } }
	};
	list_append(&splice->clients, &client->link);
	splice->client_count++;
	return client;
}

/* Of a descriptor that nobody else could take: the client hears of it. */
void splice_tcp_accept(struct target *target)
{
	struct splice *splice = target->splice;
	for (int i = 0; i < ACCEPTS_AT_ONCE; i++) {
		struct client *client = splice->client_count < SPLICE_CLIENTS_MAX ? client_new(splice) : NULL;
		if (!client) {
			hold(splice);
			return;
		}
		client->fds[0] = accept4(target->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		int error = client->fds[0] < 0 ? errno : 0;
		if (error || prepare(client, &target->is) < 0)
			abort_client(client);
		if (error == EMFILE || error == ENFILE || error == ENOMEM || error == ENOBUFS)
			hold(splice);
		if (error)
			return;
	}
}
