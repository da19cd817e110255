/* Shared by dns_server.c and dns_stream.c alone. */
#pragma once

#include <netinet/in.h>

#include "base/list.h"
#include "network/dns_server.h"

struct dns_stream;

/* Who is to be answered. */
struct dns_client {
	struct dns_stream *stream; /* NULL: by UDP */
	struct sockaddr_in from;
};

/* Before the messages that have come are taken: what time it is, and what names there are. */
void dns_server_begin_round(struct dns_server *server);
/*
 * One message of a client. Returns the length of the answer in `out`, which has DNS_MESSAGE_MAX bytes for a stream, else
 * DNS_UDP_MAX; 0: it comes later, or never. `*ret_waits` says which.
 */
size_t dns_server_take(struct dns_server *server, const struct dns_client *client, const uint8_t *data, size_t len,
	uint8_t *out, bool *ret_waits);
/* That one is gone: nothing of it waits any more. */
void dns_server_forget(struct dns_server *server, const struct dns_stream *stream);
/* Takes from the allowance; false: none is left for this moment, and nothing is to be read. */
bool dns_server_may_read(struct dns_server *server);
bool dns_server_is_paused(const struct dns_server *server);

struct dns_streams;

int dns_streams_new(struct loop *loop, int listener_fd, struct dns_server *server, struct dns_streams **ret);
void dns_streams_free(struct dns_streams *streams);
size_t dns_streams_count(const struct dns_streams *streams);
/* An answer that had to be waited for. May free the stream, not at once but in this round of the loop. */
void dns_stream_reply(struct dns_stream *stream, const uint8_t *data, size_t len);
/* After a moment in which nothing was to be read. */
void dns_streams_resume(struct dns_streams *streams);
