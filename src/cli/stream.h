/*
 * A container's streams on this terminal: keys and input to it, its output to standard output and error, signals passed
 * on, the window's size followed, until the output ends or the user types the keys to detach.
 */
#pragma once

#include <stdbool.h>

#include "base/buf.h"
#include "base/err.h"
#include "cli/client.h"

struct stream_options {
	bool tty; /* one raw stream; else output comes in frames for stdout and stderr */
	bool attach_stdin;
	bool attach_stdout;
	bool attach_stderr;
	const char *detach_keys; /* NULL: the usual ones. Looked for on a terminal only */
	const char *resize_path; /* "/containers/ID/resize"; NULL: the size is left alone */
	const char *kill_path;   /* "/containers/ID/kill": signals go there; NULL: they end this program */
};

enum stream_result {
	STREAM_ENDED = 0,
	STREAM_DETACHED = 1,
};

/*
 * Signals that a stream passes on or acts upon are blocked from here on, so that none is lost between the container's
 * creation and its stream. Called once, before the container is made; stream_release puts them back.
 */
struct stream_signals {
	int fd; /* a signalfd */
};
#define STREAM_SIGNALS_INIT \
 {                          \
  .fd = -1                  \
 }
int stream_catch(struct stream_signals *signals, bool pass_on, bool tty, struct err **reterr);
void stream_release(struct stream_signals *signals);

/* "the input device is not a TTY", as Docker says it. */
int stream_check_tty(bool attach_stdin, bool tty, struct err **reterr);

/*
 * Takes the raw connection out of `attached` (status 101 or 200). If `wait` is given and nothing of the output is
 * attached, its answer ends the stream. Returns a stream_result or a negative errno.
 */
int stream_run(struct client *client, struct response *attached, const struct stream_options *options,
	struct stream_signals *signals, struct response *wait, struct err **reterr);
