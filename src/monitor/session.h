/*
 * One client's connection that was handed over to us: bytes to it through a bounded queue, bytes from it as fast as their
 * consumer takes them.
 *
 * Output: `session_send` never waits. While `session_is_ready` is false its producer should make a pause; `drained` says
 * when to go on. Each side closes by itself: a client that has said all it wants to say (half-close) still gets output;
 * one that is gone has what it said before delivered to the end.
 *
 * End: `session_end` lets the queue run out, says end of file and waits a moment for the client to close first: closing
 * with unread input would reset the connection and destroy what the client has not read yet. `gone` comes in any case, once
 * and from the event loop, and frees the session.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include <sys/uio.h>

#include "base/cleanup.h"
#include "base/list.h"
#include "sys/loop.h"

/* A producer pauses at the first number; the second is there for what a container leaves in its pipes when it ends. */
#define SESSION_QUEUE_READY (64UL * 1024)
#define SESSION_QUEUE_MAX   (3UL * 1024 * 1024)
/* Of one read. */
#define SESSION_INPUT_MAX (16UL * 1024)
/* Surplus that came with the hand-over. */
#define SESSION_SURPLUS_MAX (128UL * 1024)
#define SESSION_LINGER_MS   5000

struct session;

struct session_ops {
	/* How much the consumer takes now; 0: session_resume tells of more. NULL: input is not read. */
	size_t (*input_room)(struct session *session, void *user);
	void (*input)(struct session *session, const char *data, size_t len, void *user);
	/* The client has nothing more to say. */
	void (*input_end)(struct session *session, void *user);
	/* The queue is short again. May be NULL. */
	void (*drained)(struct session *session, void *user);
	/* The connection is over: forget the session and free it. */
	void (*gone)(struct session *session, void *user);
};

/* Takes `fd` (also on failure); the surplus is copied. */
int session_new(struct loop *loop, int fd, const char *surplus, size_t surplus_len, const struct session_ops *ops,
	void *user, struct session **ret);
void session_free(struct session *session);

/* Starts to read input. Not done by session_new, so that the consumer is set up first. */
void session_resume(struct session *session);

/* Does nothing on a connection that is broken or has been ended. */
void session_send(struct session *session, const struct iovec *iov, size_t count);
void session_puts(struct session *session, const char *text);
/*
 * What was sent is the head of an answer, and what follows is a stream: it is sent when the client has read the head, or takes its
 * time. Clients that read the head into a buffer and the stream from the socket, such as docker-py, would lose what comes too early.
 */
void session_hold_behind_head(struct session *session);
/* One chunk of a chunked HTTP body; an empty one ends the body. */
void session_send_chunk(struct session *session, const void *data, size_t len);

bool session_is_ready(const struct session *session);
/* The client is gone. */
bool session_is_broken(const struct session *session);
void session_end(struct session *session);
/* At once, with what is still queued. */
void session_drop(struct session *session);
