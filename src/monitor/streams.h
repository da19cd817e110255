/*
 * A client that is connected to a process's streams, for attach and exec alike: output framed and sent, input passed on,
 * detach keys watched for. The owner decides when it begins and ends.
 */
#pragma once

#include "monitor/detach.h"
#include "monitor/procio.h"
#include "monitor/session.h"

struct streams;

struct streams_options {
	bool want_stdin, want_stdout, want_stderr;
	bool multiplexed;      /* else raw */
	bool closes_stdin;     /* the client's end of input is the process's */
	struct detach *detach; /* NULL: no keys are watched for */
};

struct streams {
	struct procio *stdio;
	struct session *session;
	struct tap tap;
	struct streams_options options;
	struct detach detach;
	bool has_detach;
	bool held; /* no output from stdio yet: it waits */
	/* Room in the session's queue, while held. May be NULL. */
	void (*on_drained)(struct streams *streams);
	/* The client pressed the detach keys; told from the loop, once. */
	void (*on_detach)(struct streams *streams);
	/* The connection is over; frees the session. */
	void (*on_gone)(struct streams *streams);
};

/* For client_accept, with the `struct streams` as user. */
extern const struct session_ops streams_session_ops;

/* After `session` and the callbacks are set: from here on output flows, unless `held` is set too. */
void streams_begin(struct streams *streams, struct procio *stdio, const struct streams_options *options);
void streams_release(struct streams *streams); /* no longer held */
/* Output as the process's would be sent. */
void streams_send(struct streams *streams, enum log_stream stream, const char *data, size_t len);
/* No more output from stdio; what was sent goes out, then the connection is ended. */
void streams_end(struct streams *streams);
/* Frees the session; for on_gone, or for a streams that is given up. */
void streams_finish(struct streams *streams);
