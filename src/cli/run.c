/*
 * run: create, attach, wait, start, in this order, since a command may be over before a later attach or wait would
 * reach the engine. Then the streams until they end, and the exit code that the wait answers.
 */
#include <poll.h>
#include <string.h>

#include "cli/client.h"
#include "cli/create_container.h"
#include "cli/detach.h"
#include "cli/print.h"
#include "cli/session.h"
#include "cli/verbs.h"
#include "codec/json.h"

#define EXIT_NOT_EXECUTABLE 126
#define EXIT_NOT_FOUND      127
#define REMOVAL_MS          10000

/* What the engine says of a command that did not start. */
static int code_of(const struct err *err)
{
	static const struct {
		const char *phrase;
		int code;
	} phrases[] = {
		{ "executable file not found", EXIT_NOT_FOUND },
		{ "no such file or directory", EXIT_NOT_FOUND },
		{ "system cannot find the file specified", EXIT_NOT_FOUND },
		{ "permission denied", EXIT_NOT_EXECUTABLE },
		{ "is a directory", EXIT_NOT_EXECUTABLE },
	};
	for (size_t i = 0; i < ARRAY_SIZE(phrases); i++) {
		if (strstr(err_message(err), phrases[i].phrase))
			return phrases[i].code;
	}
	return EXIT_RUN_FAILED;
}

/* What can be told wrong before there is a container. */
static int check(const struct container_options *options, const struct container_streams *streams, struct err **reterr)
{
	struct detach_keys keys;
	int ret = options->detach_keys ? detach_keys_parse(options->detach_keys, &keys, reterr) : 0;
	return ret < 0 ? ret : stream_check_tty(streams->attach_stdin, options->tty, reterr);
}

static int run_detached(const struct invocation *invocation, struct session *session, struct err **reterr)
{
	if (session_start(session, reterr) < 0)
		return create_fail(invocation, *reterr, code_of(*reterr));
	return print_line(reterr, "%s", session->id);
}

/* The name of a container that did not start is free when we say so; but not at the price of waiting for ever. */
static void await_removal(struct session *session)
{
	struct pollfd fd = { .fd = response_fd(session->wait), .events = POLLIN };
	poll(&fd, 1, REMOVAL_MS);
}

static int run_attached(const struct invocation *invocation, struct session *session, bool remove, struct err **reterr)
{
	int ret = session_join(session, remove ? "removed" : "next-exit", reterr);
	if (ret < 0)
		return ret;
	if (session_start(session, reterr) < 0) {
		if (remove)
			await_removal(session);
		return create_fail(invocation, *reterr, code_of(*reterr));
	}
	ret = session_stream(session, reterr);
	if (ret == STREAM_DETACHED)
		return 0;
	return ret < 0 ? ret : session_exit_code(session, reterr);
}

static int run_container(const struct invocation *invocation, const char *id, const struct container_streams *streams,
	struct err **reterr)
{
	const struct container_options *options = invocation->options;
	bool attached = streams->attach_stdin || streams->attach_stdout || streams->attach_stderr;
	_cleanup_(session_finish) struct session session = {
		.client = invocation->client,
		.id = id,
		.tty = options->tty,
		.attach_stdin = streams->attach_stdin,
		.attach_stdout = streams->attach_stdout,
		.attach_stderr = streams->attach_stderr,
		.sig_proxy = options->sig_proxy,
		.detach_keys = options->detach_keys,
		.signals = STREAM_SIGNALS_INIT,
	};
	if (!attached)
		return run_detached(invocation, &session, reterr);
	int ret = session_init(&session, reterr);
	return ret < 0 ? ret : run_attached(invocation, &session, options->remove, reterr);
}

static int run_run(const struct invocation *invocation, struct err **reterr)
{
	struct container_streams streams;
	_autojson_ json_t *body = NULL;
	if (create_prepare(invocation, &streams, &body, reterr) < 0)
		return create_fail(invocation, *reterr, EXIT_RUN_FAILED);
	int ret = check(invocation->options, &streams, reterr);
	if (ret < 0)
		return ret;
	_cleanup_free_ char *id = NULL;
	if (create_container(invocation, body, &id, reterr) < 0)
		return create_fail(invocation, *reterr, code_of(*reterr));
	return run_container(invocation, id, &streams, reterr);
}

const struct command run_command = {
	.names = { "container run", "run" },
	.usage = "[OPTIONS] IMAGE [COMMAND] [ARG...]",
	.summary = "Make a container and start it",
	.description =
		"Makes a container of an image, starts it, and stays attached to it until it ends, unless --detach is "
		"given. The exit code is that of the container's command; 125 if the engine refused, 126 if the "
		"command could not be executed, 127 if it was not found.",
	.options = { { &container_options_table, &container_options_run_table } },
	.options_size = sizeof(struct container_options),
	.min_args = 1,
	.max_args = COMMAND_ARGS_ANY,
	.arguments = ARGUMENTS_IMAGES,
	.flags = COMMAND_ENGINE | COMMAND_OPTIONS_FIRST,
	.run = run_run,
};
