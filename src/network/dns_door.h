/*
 * Where a container finds its resolver: 127.0.0.11, port 53. What listens there is two sockets with ports that the kernel
 * chose; a small table of nf_tables in the container's namespace writes the one port for the other into what goes to them and
 * what comes from them. So a container that itself serves DNS on all its addresses has port 53 for itself.
 *
 * No connection is tracked for that: the ports are written into each packet by itself. A container that asks a thousand times
 * a second would fill the kernel's table of connections, and each entry stays for half a minute.
 */
#pragma once

#include "base/err.h"

#define DNS_DOOR_ADDRESS "127.0.0.11"
#define DNS_DOOR_TABLE   "tare-resolver"

struct dns_door {
	int udp_fd;
	int tcp_fd; /* listens */
};

#define DNS_DOOR_CLOSED ((struct dns_door){ .udp_fd = -1, .tcp_fd = -1 })

/* In the caller's network namespace, whose loopback is put up. 0 or -errno. */
int dns_door_open(struct dns_door *ret);
void dns_door_close(struct dns_door *door);
