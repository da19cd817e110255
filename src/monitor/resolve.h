/*
 * The container's resolver (network/dns_resolver.h): the sockets at 127.0.0.11 are the monitor's, from the making of the
 * container's legs to its end; the process is started when something is to be read there, and again after each end of it. What
 * it is told (networks, servers, links) is looked up at that moment; when that changes, it is ended, and the next query
 * starts one that knows. While none runs, queries wait in the sockets.
 *
 * One that can't begin, or dies young, is not started again at once.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <sys/types.h>

#include "base/err.h"
#include "network/dns_door.h"
#include "sys/loop.h"

struct monitor;

struct resolve {
	struct dns_door door;
	struct loop_source *udp, *tcp; /* watched while no process runs */
	struct loop_source *timer;     /* until one may be started again */
	pid_t pid;                     /* 0: none */
	int leash_fd;                  /* it ends when this is closed */
	struct loop_source *leash;     /* what it tells of names in the egress policy */
	int64_t started_ms;
	int64_t brake_ms;
	bool is_stale; /* it was ended by us, on purpose */
};

void resolve_init(struct resolve *resolve);
/* If a network of the container's has names: the sockets in that namespace, unless they are there already. */
int resolve_open(struct monitor *monitor, int netns_fd, struct err **reterr);
/* Networks, names or servers are others. */
void resolve_renew(struct monitor *monitor);
/* Whether that was the resolver. */
bool resolve_reaped(struct monitor *monitor, pid_t pid, int exit_code);
/* The container is gone. */
void resolve_close(struct monitor *monitor);
