/*
 * The host's side of published ports: each is held by a socket that is bound to it and serves nobody, so that no other
 * program takes it, two containers can't have it, and who comes second is told so. The kernel decides, so containers that start
 * at the same moment need no other order. A port that is left to us is one that could be bound.
 *
 * Packets never get as far as such a socket: the table (network/table.h) sends them to the container before. Only IPv6 has
 * what it can't send on: ::1, and clients of a container without IPv6. TCP sockets of IPv6 therefore listen, for the
 * program that splices (network/splice.h).
 */
#pragma once

#include "base/err.h"
#include "spec/lease.h"

/* So many ports are held by sockets; of further ones it is only seen that they are free at the start. */
#define PUBLISHED_SOCKETS_MAX 4096

struct published_socket {
	int fd;
	bool listens;
	const struct lease_port *port; /* borrowed from the endpoint */
	const struct lease_endpoint *endpoint;
	uint16_t offset; /* which of the port's */
};

struct published {
	struct published_socket *sockets;
	size_t count;
	size_t room;
};

/* Takes what the endpoints publish, in the caller's network namespace, and writes down in them what was chosen. All or none. The
 * endpoints must live as long as it does. */
int published_reserve(struct published *published, struct lease_endpoint *endpoints, size_t count, struct err **reterr);
void published_release(struct published *published);
