/*
 * tare-splice: what the table (network/table.h) can't send on: connections and datagrams to the host's ::1 and link-local
 * addresses, and those of clients of a family that the container has no address of. One process for a container at most. Its monitor holds the
 * ports (network/published.h) and starts it when the first client is there; it ends of itself when there has been none for a
 * while, and the sockets stay the monitor's, so no client is lost.
 *
 * With ports_obey_input (engine/settings.h) it is all there is: then the host's rules for input decide who comes.
 *
 * The container sees the host's address on its network as the client's: the one thing that is lost on this way.
 *
 * Descriptor 3 is a channel (sys/channel.h), and the process ends with it. Each message is an array of struct splice_target, with a
 * descriptor for each: a TCP socket that listens, or a bound UDP one. A target that is known already leads elsewhere from then
 * on. The monitor withdraws targets by shutting their sockets down and sending one byte, which comes back when they are closed.
 */
#pragma once

#include "base/inet.h"
#include "sys/channel.h"

#define SPLICE_PROGRAM      "tare-splice"
#define SPLICE_CHANNEL_FD   3
#define SPLICE_MESSAGE_MAX  CHANNEL_FDS_MAX
#define SPLICE_TARGETS_MAX  4096
#define SPLICE_CLIENTS_MAX  4096 /* TCP */
#define SPLICE_SESSIONS_MAX 2048 /* UDP: with one more the one that has been quiet for longest goes */
#define SPLICE_SESSION_MS   60000
#define SPLICE_IDLE_MS      60000

struct splice_target {
	int32_t type; /* SOCK_STREAM, SOCK_DGRAM */
	uint16_t host_port;
	uint16_t to_port;
	struct inet_address host;
	struct inet_address to;
};

int splice_main(int argc, char **argv);
