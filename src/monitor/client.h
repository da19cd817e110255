/*
 * A client's request as it was handed over. A part that takes it answers `ack` with client_accept, from which point on the
 * client is ours to answer; whatever is wrong with the request is an error before that, and the engine tells the client.
 */
#pragma once

#include "monitor/control.h"
#include "monitor/session.h"
#include "spec/handover.h"

struct client {
	const struct handover *handover;
	struct control_request request;
	const char *surplus;
	size_t surplus_len;
	int *fd; /* set to -1 when taken */
};

/*
 * Takes the connection, counts it (monitor_client_end when it is gone), and tells the engine. Input is not read before
 * session_resume.
 */
int client_accept(struct monitor *monitor, const struct client *client, const struct session_ops *ops, void *user,
	struct session **ret, struct err **reterr);

/* The head of an answer that turns the connection into a stream: 101 if the client asked for it, else 200. */
void client_answer_stream(const struct client *client, struct session *session, bool multiplexed);
/* The head of an ordinary answer; the body comes in chunks, or up to the end of file for HTTP/1.0. */
struct client_body {
	bool chunked;
};
void client_answer_body(const struct client *client, struct session *session, const char *content_type,
	struct client_body *ret);
void client_send_body(struct session *session, const struct client_body *body, const void *data, size_t len);
/* And the connection is ended. */
void client_end_body(struct session *session, const struct client_body *body);
