/*
 * One container that this program starts or joins and stays with: its streams are attached and its end is waited for
 * before it is started, so that nothing of a short life is missed.
 */
#pragma once

#include <stdbool.h>

#include "base/err.h"
#include "cli/client.h"
#include "cli/stream.h"

#define EXIT_RUN_FAILED 125

struct session {
	struct client *client;
	const char *id;
	bool tty;
	bool attach_stdin;
	bool attach_stdout;
	bool attach_stderr;
	bool sig_proxy;
	const char *detach_keys; /* or NULL */

	struct stream_signals signals;
	struct response *attached;
	struct response *wait;
};

/* Begins to catch signals. `session` has its upper half filled in. */
int session_init(struct session *session, struct err **reterr);
void session_finish(struct session *session);

/*
 * Attaches, and begins to wait for `condition`, which is the API's: "next-exit", "removed" or "not-running". The two are
 * asked at once; returns when both are agreed to.
 */
int session_join(struct session *session, const char *condition, struct err **reterr);
int session_start(struct session *session, struct err **reterr);
/* Copies until the end. 0, or STREAM_DETACHED. */
int session_stream(struct session *session, struct err **reterr);
/* The container's exit code, once session_join's condition holds. */
int session_exit_code(struct session *session, struct err **reterr);
