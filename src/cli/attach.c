#include <unistd.h>

#include "cli/client.h"
#include "cli/detach.h"
#include "cli/session.h"
#include "cli/terminal.h"
#include "cli/values.h"
#include "cli/verbs.h"
#include "codec/json.h"

struct attach_options {
	const char *detach_keys;
	bool no_stdin;
	bool sig_proxy;
};

#define OPTION(...) OPTION_IN(struct attach_options, __VA_ARGS__)
static const struct option_spec specs[] = {
	OPTION("detach-keys", 0, OPTION_STRING, detach_keys, "Keys that leave the container running (ctrl-p,ctrl-q)"),
	OPTION("no-stdin", 0, OPTION_BOOL, no_stdin, "Don't give it this program's input"),
	OPTION("sig-proxy", 0, OPTION_BOOL, sig_proxy, "Pass signals on to the container", .fallback = "true"),
};
static const struct option_table table = OPTION_TABLE(specs);

static int check_state(const json_t *container, struct err **reterr)
{
	if (!value_bool(container, "State.Running"))
		return err_set(reterr, ERR_CONFLICT, 0, "You cannot attach to a stopped container, start it first");
	if (value_bool(container, "State.Paused"))
		return err_set(reterr, ERR_CONFLICT, 0, "You cannot attach to a paused container, unpause it first");
	if (value_bool(container, "State.Restarting"))
		return err_set(reterr, ERR_CONFLICT, 0,
			"You cannot attach to a restarting container, wait until it is running");
	return 0;
}

/* A program draws its screen anew when its window changes: one column more now, and the stream sets the true size. */
static void nudge(const struct session *session)
{
	uint16_t columns, rows;
	_cleanup_(buf_finish) struct buf path = BUF_INIT(CLIENT_PATH_MAX);
	if (!session->tty || !isatty(STDOUT_FILENO) || !terminal_size(&columns, &rows))
		return;
	if (client_path(&path, "/containers/", session->id, "/resize") == 0 &&
		buf_printf(&path, "?h=%u&w=%u", rows + 1U, columns + 1U) == 0)
		client_call(session->client, "POST", path.data, NULL, NULL, NULL);
}

static int attach_session(struct session *session, struct err **reterr)
{
	int ret = session_init(session, reterr);
	if (ret == 0)
		ret = session_join(session, "not-running", reterr);
	if (ret < 0)
		return ret;
	nudge(session);
	ret = session_stream(session, reterr);
	if (ret == STREAM_DETACHED)
		return err_set(reterr, ERR_INTERNAL, 0, "read escape sequence");
	return ret < 0 ? ret : session_exit_code(session, reterr);
}

static int attach_run(const struct invocation *invocation, struct err **reterr)
{
	const struct attach_options *options = invocation->options;
	struct detach_keys keys;
	_cleanup_(buf_finish) struct buf path = BUF_INIT(CLIENT_PATH_MAX);
	_autojson_ json_t *container = NULL;
	int ret = options->detach_keys ? detach_keys_parse(options->detach_keys, &keys, reterr) : 0;
	if (ret == 0 && client_path(&path, "/containers/", invocation->args[0], "/json") < 0)
		ret = err_oom(reterr);
	if (ret == 0)
		ret = client_call(invocation->client, "GET", path.data, NULL, &container, reterr);
	if (ret == 0)
		ret = check_state(container, reterr);
	bool tty = value_bool(container, "Config.Tty");
	if (ret == 0)
		ret = stream_check_tty(!options->no_stdin, tty, reterr);
	if (ret < 0)
		return ret;

	_cleanup_(session_finish) struct session session = {
		.client = invocation->client,
		.id = value_string(container, "Id"),
		.tty = tty,
		.attach_stdin = !options->no_stdin && value_bool(container, "Config.OpenStdin"),
		.attach_stdout = true,
		.attach_stderr = true,
		.sig_proxy = options->sig_proxy && !tty,
		.detach_keys = options->detach_keys,
		.signals = STREAM_SIGNALS_INIT,
	};
	return attach_session(&session, reterr);
}

const struct command attach_command = {
	.names = { "container attach", "attach" },
	.usage = "[OPTIONS] CONTAINER",
	.summary = "Join the input and output of a running container",
	.options = { { &table } },
	.options_size = sizeof(struct attach_options),
	.min_args = 1,
	.max_args = 1,
	.arguments = ARGUMENTS_RUNNING,
	.flags = COMMAND_ENGINE,
	.run = attach_run,
};
