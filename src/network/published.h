/*
 * The host's side of published ports: each is held by a socket that is bound to it and serves nobody, so that no other
 * program takes it, two containers can't have it, and who comes second is told so. The kernel decides, so containers that start
 * at the same moment need no other order. A port that is left to us is one that could be bound.
 *
 * Most packets never get as far as such a socket: the table (network/table.h) sends them to the container before. Only IPv6 has what it
 * can't send on: ::1, link-local addresses, and clients of a container without IPv6, or without IPv4. They are served, through the same sockets, by a process
 * (network/splice.h). What neither can do (sctp, a host without IPv6) is refused if it was asked for by name, and left
 * out if it is the IPv6 half of a binding to all addresses.
 */
#pragma once

#include "base/err.h"
#include "spec/lease.h"

/* So many ports are held by sockets; of further ones it is only seen that they are free at the start. */
#define PUBLISHED_SOCKETS_MAX 4096

struct published_socket {
	int fd;
	bool moved;      /* it was the previous one's */
	bool is_spliced; /* connections and datagrams come to it: it listens */
	bool is_handed;  /* the splice has it */
	int type, protocol;
	struct inet_address host; /* where it is bound */
	uint16_t host_port;
	struct inet_address to; /* the container's, by preference of the same family; all zero: none */
	uint16_t to_port;
};

struct published {
	struct published_socket *sockets;
	size_t count;
	size_t room;
	bool no_v6;                      /* the host has none */
	struct published_socket refused; /* what failed since somebody has it; else its port is 0 */
};

/* Takes what the endpoints publish, in the caller's network namespace, and writes down in them what was chosen. All or none.
 * `previous` (or NULL) loses those sockets that serve again, which are not free for a moment. */
int published_reserve(struct published *published, struct lease_endpoint *endpoints, size_t count,
	struct published *previous, struct err **reterr);
void published_release(struct published *published);
/* It is not to be after all: `previous` gets back what it lost, and the rest is released. */
void published_return(struct published *published, struct published *previous);

/* Whether its socket is one of those that a splice serves. */
bool published_is_spliced(const struct lease_endpoint *endpoint, const struct lease_port *port);

/* Where the choice was made before, by endpoint, it stays so. */
void published_keep(struct lease_endpoint *endpoints, size_t count, const struct lease_endpoint *before,
	size_t before_count);

/* All ports of all endpoints in one list, copied. */
int published_list(const struct lease_endpoint *endpoints, size_t count, struct lease_port **ret, size_t *ret_count);
