/*
 * tare-resolver: the process that answers for one container. A monitor starts it when the first query is there, and again after its
 * end, which comes of itself when nothing has been asked for a while; the sockets stay the monitor's, so no query is lost.
 *
 *	tare-resolver [--server ADDRESS]... [--link ALIAS=NAME]... [--tell NAME]... [--no-forward] [--ndots] [--idle-ms N]
 *
 * Descriptors: 3, one of a pair of SOCK_SEQPACKET, ends with the monitor, and then so does this; what names of --tell lead to is
 * told there (network/dns_tell.h); 4 UDP and 5 TCP, listening, in the container's network
 * namespace; 6 and on the folders of its networks' names files.
 */
#pragma once

#define RESOLVER_PROGRAM      "tare-resolver"
#define RESOLVER_LEASH_FD     3
#define RESOLVER_UDP_FD       4
#define RESOLVER_TCP_FD       5
#define RESOLVER_FIRST_FOLDER 6
#define RESOLVER_IDLE_MS      60000
/* After servers that all failed: who starts it anew may have read other ones. */
#define RESOLVER_CUT_OFF_MS 2000

int resolver_main(int argc, char **argv);
