#include "monitor/streams.h"

#include <assert.h>
#include <string.h>

#include "codec/stdcopy.h"

/* A client that does not read is not cut off for what comes at the end: of both streams, and the last read of each may be more. */
static_assert(SESSION_QUEUE_READY + PROCIO_READ_MAX + 2 * (PROCIO_LEFTOVER_MAX + PROCIO_READ_MAX) < SESSION_QUEUE_MAX,
	"a session holds what is left in full pipes");

static struct streams *of_tap(struct tap *tap)
{
	return container_of(tap, struct streams, tap);
}

/* --- output --- */

static bool tap_ready(struct tap *tap)
{
	const struct streams *streams = of_tap(tap);
	return session_is_broken(streams->session) || (!streams->held && session_is_ready(streams->session));
}

void streams_send(struct streams *streams, enum log_stream stream, const char *data, size_t len)
{
	unsigned char head[STDCOPY_HEADER_SIZE];
	struct iovec iov[2];
	size_t count = 0;

	if (streams->options.multiplexed) {
		stdcopy_header(head, stream == LOG_STDOUT ? STDCOPY_STDOUT : STDCOPY_STDERR, (uint32_t)len);
		iov[count++] = (struct iovec){ head, sizeof head };
	}
	iov[count++] = (struct iovec){ (char *)data, len };
	session_send(streams->session, iov, count);
}

static void tap_output(struct tap *tap, enum log_stream stream, const char *data, size_t len)
{
	streams_send(of_tap(tap), stream, data, len);
}

static void tap_input_ready(struct tap *tap)
{
	session_resume(of_tap(tap)->session);
}

static const struct tap_ops tap_ops = {
	.ready = tap_ready,
	.output = tap_output,
	.input_ready = tap_input_ready,
};

/* --- input --- */

static size_t input_room(struct session *session, void *user)
{
	struct streams *streams = user;
	/* Nobody will ever take what a vanished client wanted to say to a process that does not run, or does not listen to
	 * it: it is read to its end all the same, since that ends the session. */
	if (session_is_broken(session) && (!streams->options.want_stdin || !procio_is_open(streams->stdio)))
		return SESSION_INPUT_MAX;
	if (!streams->options.want_stdin)
		return 0;
	return procio_input_room(streams->stdio);
}

static void input(struct session *session, const char *data, size_t len, void *user)
{
	(void)session;
	struct streams *streams = user;
	char typed[SESSION_INPUT_MAX + DETACH_KEYS_MAX];

	if (!streams->options.want_stdin)
		return;
	if (!streams->has_detach) {
		procio_input(streams->stdio, data, len);
		return;
	}
	while (len) {
		size_t piece = len < SESSION_INPUT_MAX ? len : SESSION_INPUT_MAX;
		size_t kept = 0;
		bool detached = detach_filter(&streams->detach, data, piece, typed, &kept);
		procio_input(streams->stdio, typed, kept);
		if (detached) {
			streams->on_detach(streams);
			streams_end(streams);
			return;
		}
		data += piece;
		len -= piece;
	}
}

/*
 * As Docker: the end of what a client has to say closes the process's stdin where it was opened for that client alone;
 * otherwise it is the end of this client's attachment.
 */
static void input_end(struct session *session, void *user)
{
	(void)session;
	struct streams *streams = user;
	if (streams->options.want_stdin && streams->options.closes_stdin)
		procio_input_end(streams->stdio);
	else
		streams_end(streams);
}

static void drained(struct session *session, void *user)
{
	(void)session;
	struct streams *streams = user;
	if (streams->on_drained)
		streams->on_drained(streams);
	procio_update(streams->stdio);
}

static void gone(struct session *session, void *user)
{
	(void)session;
	struct streams *streams = user;
	streams->on_gone(streams);
}

const struct session_ops streams_session_ops = {
	.input_room = input_room,
	.input = input,
	.input_end = input_end,
	.drained = drained,
	.gone = gone,
};

/* --- both --- */

void streams_begin(struct streams *streams, struct procio *stdio, const struct streams_options *options)
{
	streams->stdio = stdio;
	streams->options = *options;
	streams->has_detach = options->detach != NULL;
	if (options->detach)
		streams->detach = *options->detach;
	streams->tap = (struct tap){
		.ops = &tap_ops,
		.want_stdout = options->want_stdout,
		.want_stderr = options->want_stderr,
	};
	procio_add_tap(stdio, &streams->tap);
	session_resume(streams->session);
}

void streams_release(struct streams *streams)
{
	streams->held = false;
	procio_update(streams->stdio);
}

void streams_end(struct streams *streams)
{
	if (streams->tap.ops)
		procio_remove_tap(streams->stdio, &streams->tap);
	streams->tap.ops = NULL;
	session_end(streams->session);
}

void streams_finish(struct streams *streams)
{
	if (streams->tap.ops)
		procio_remove_tap(streams->stdio, &streams->tap);
	streams->tap.ops = NULL;
	session_free(streams->session);
	streams->session = NULL;
}
