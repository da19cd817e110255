/* The parts of tare-splice: targets and their end in splice.c, connections in splice_tcp.c, datagrams in splice_udp.c. */
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include "base/list.h"
#include "network/splice.h"
#include "sys/loop.h"

#define SPLICE_DATAGRAM_MAX 65536

struct splice {
	struct loop *loop;
	struct channel *channel;
	struct loop_source *timer;
	struct list targets;  /* struct target */
	struct list clients;  /* struct client */
	struct list sessions; /* struct session: who has been quiet for longest is first */
	size_t target_count, client_count, session_count;
	int64_t busy_ms; /* when there was a client last */
	bool is_full;    /* nobody is accepted until somebody goes */
	char datagram[SPLICE_DATAGRAM_MAX];
};

struct target {
	struct list link;
	struct splice *splice;
	struct splice_target is;
	struct loop_source *source;
	int fd;
};

union splice_address {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

/* Where it leads. */
socklen_t splice_fill_address(const struct splice_target *target, union splice_address *ret);
void splice_target_free(struct target *target);

/* Event functions of a target's socket. */
void splice_tcp_accept(struct target *target);
void splice_udp_receive(struct target *target);

/* What is under way goes on, but for datagrams of a target that is no more. */
void splice_udp_forget(struct splice *splice, const struct target *target);
/* Sessions that have been quiet for too long. */
void splice_udp_expire(struct splice *splice, int64_t now_ms);
/* Who had to wait is let in. */
void splice_tcp_resume(struct splice *splice);
void splice_tcp_finish(struct splice *splice);
