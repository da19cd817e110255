/*
 * The resolver of one container, on two sockets that exist already: 127.0.0.11 of its network namespace, UDP and TCP.
 *
 * A query is answered by, in this order: the names of the container's networks (files that are looked at again each time,
 * network/dns_names.h); the cache; a question to the host's servers (network/dns_forward.h), which several clients may wait
 * for. A name of a network is never asked for outside, whatever type of record is wanted.
 *
 * As Docker's resolver does: a name without a dot that no network knows is asked for outside too, unless the user set ndots;
 * without a way out (internal networks alone), or without servers, the answer is SERVFAIL.
 *
 * A loop, the host's server asking us again what we asked it: the question is recognised by its spelling, and answered
 * SERVFAIL at once; spelt otherwise it joins the first, and makes no further one.
 *
 * Whoever asks is hostile. Bounds: DNS_QUERIES_PER_S, beyond which nothing is read for a moment, so the kernel drops what
 * is too much; DNS_FORWARDS_PER_S of those that go out; DNS_QUERY_MAX bytes; DNS_WAITERS_MAX clients that wait; DNS_TCP_MAX connections, each with
 * DNS_TCP_PENDING_MAX questions and DNS_TCP_OUT_MAX bytes that it does not read, and closed when it is silent.
 */
#pragma once

#include <stdint.h>

#include "base/cleanup.h"
#include "network/dns_forward.h"
#include "network/dns_tell.h"
#include "sys/loop.h"

#define DNS_QUERY_MAX       4096
#define DNS_QUERIES_PER_S   100000
#define DNS_FORWARDS_PER_S  5000
#define DNS_WAITERS_MAX     2048
#define DNS_TCP_MAX         64
#define DNS_TCP_PENDING_MAX 64
#define DNS_TCP_OUT_MAX     (256 * 1024)
#define DNS_TCP_IDLE_MS     10000
#define DNS_NETWORKS_MAX    28 /* what a process is given in descriptors */
#define DNS_LOCAL_TTL_S     1  /* what a name leads to may be another container in a moment */

struct dns_server;

struct dns_server_options {
	int udp_fd, tcp_fd;     /* borrowed; not blocking */
	const int *network_fds; /* borrowed: folders with a names file each, in the order of preference */
	size_t network_count;
	char *const *links; /* borrowed: "0:alias=name", of this container alone, on the network of that number */
	const struct dns_server_address *servers;
	size_t server_count;
	bool forwards;         /* false: internal networks alone */
	struct dns_tell *tell; /* borrowed: what is asked before the container hears an answer; or NULL */
	bool has_ndots;        /* the user said when a name is whole: those without a dot are not asked for outside */
};

int dns_server_new(struct loop *loop, const struct dns_server_options *options, struct dns_server **ret);
void dns_server_free(struct dns_server *server);
DEFINE_AUTOFREE(dns_server, struct dns_server *, dns_server_free);

/* Of clock_monotonic_ms(): when it last had something to do; INT64_MAX while it has. */
int64_t dns_server_busy_ms(const struct dns_server *server);
/* Whether the host's servers all failed the last time: who made this may know newer ones. */
bool dns_server_is_cut_off(const struct dns_server *server);
