#include <string.h>

#include "base/strv.h"
#include "cli/client.h"
#include "cli/detach.h"
#include "cli/object.h"
#include "cli/stream.h"
#include "cli/terminal.h"
#include "cli/text.h"
#include "cli/values.h"
#include "cli/verbs.h"
#include "codec/json.h"

struct exec_options {
	bool detach;
	const char *detach_keys;
	char **env;
	char **env_files;
	bool interactive;
	bool privileged;
	bool tty;
	const char *user;
	const char *workdir;
};

#define OPTION(...) OPTION_IN(struct exec_options, __VA_ARGS__)
static const struct option_spec specs[] = {
	OPTION("detach", 'd', OPTION_BOOL, detach, "Leave the command in the background"),
	OPTION("detach-keys", 0, OPTION_STRING, detach_keys, "Keys that leave the command running (ctrl-p,ctrl-q)"),
	OPTION("env", 'e', OPTION_LIST, env, "Set an environment variable; a bare name takes it from this environment"),
	OPTION("env-file", 0, OPTION_LIST, env_files, "Read environment variables from a file"),
	OPTION("interactive", 'i', OPTION_BOOL, interactive, "Give it this program's input"),
	OPTION("privileged", 0, OPTION_BOOL, privileged, "Give the command every capability"),
	OPTION("tty", 't', OPTION_BOOL, tty, "Give the command a terminal"),
	OPTION("user", 'u', OPTION_STRING, user, "User and group to run as (name or number[:name or number])"),
	OPTION("workdir", 'w', OPTION_STRING, workdir, "Working directory of the command"),
};
static const struct option_table table = OPTION_TABLE(specs);

static void put_console_size(struct object *object, bool tty)
{
	uint16_t columns, rows;
	if (tty && terminal_size(&columns, &rows))
		object_put(object, "ConsoleSize", json_pack("[i,i]", rows, columns));
}

static int build_config(const struct invocation *invocation, json_t **ret, struct err **reterr)
{
	const struct exec_options *options = invocation->options;
	_autofree_(strv) char **env = NULL;
	int r = text_read_env(options->env_files, options->env, &env, reterr);
	if (r < 0)
		return r;
	_cleanup_(object_finish) struct object config;
	object_init(&config);
	object_put_string(&config, "User", options->user);
	object_put_bool(&config, "Privileged", options->privileged);
	object_put_bool(&config, "Tty", options->tty);
	object_put_bool(&config, "AttachStdin", !options->detach && options->interactive);
	object_put_bool(&config, "AttachStdout", !options->detach);
	object_put_bool(&config, "AttachStderr", !options->detach);
	object_put_string(&config, "DetachKeys", options->detach_keys);
	object_put_array(&config, "Env", env);
	object_put_string(&config, "WorkingDir", options->workdir);
	object_put_array(&config, "Cmd", invocation->args + 1);
	put_console_size(&config, options->tty);
	return object_take(&config, ret, reterr);
}

/* Makes the exec; *ret_id is a new string. */
static int create_exec(const struct invocation *invocation, char **ret_id, struct err **reterr)
{
	_autojson_ json_t *config = NULL, *answer = NULL;
	_cleanup_(buf_finish) struct buf path = BUF_INIT(CLIENT_PATH_MAX);
	int ret = build_config(invocation, &config, reterr);
	if (ret == 0 && client_path(&path, "/containers/", invocation->args[0], "/exec") < 0)
		ret = err_oom(reterr);
	if (ret == 0)
		ret = client_call(invocation->client, "POST", path.data, config, &answer, reterr);
	if (ret < 0)
		return ret;
	const char *id = value_string(answer, "Id");
	if (!*id)
		return err_set(reterr, ERR_UNAVAILABLE, 0, "exec ID empty");
	*ret_id = strdup(id);
	return *ret_id ? 0 : err_oom(reterr);
}

static int start_exec(const struct invocation *invocation, const char *id, struct response **ret, struct err **reterr)
{
	const struct exec_options *options = invocation->options;
	_cleanup_(object_finish) struct object settings;
	_cleanup_(buf_finish) struct buf path = BUF_INIT(CLIENT_PATH_MAX);
	_autojson_ json_t *body = NULL;
	object_init(&settings);
	object_put(&settings, "Detach", json_boolean(options->detach));
	object_put(&settings, "Tty", json_boolean(options->tty));
	put_console_size(&settings, options->tty);
	int r = object_take(&settings, &body, reterr);
	if (r == 0 && client_path(&path, "/exec/", id, "/start") < 0)
		r = err_oom(reterr);
	if (r < 0)
		return r;
	const struct request request = {
		.method = "POST", .path = path.data, .body = body, .upgrade = !options->detach
	};
	return client_request(invocation->client, &request, ret, reterr);
}

static int exit_code(const struct invocation *invocation, const char *id, struct err **reterr)
{
	_cleanup_(buf_finish) struct buf path = BUF_INIT(CLIENT_PATH_MAX);
	_autojson_ json_t *answer = NULL;
	if (client_path(&path, "/exec/", id, "/json") < 0)
		return err_oom(reterr);
	int ret = client_call(invocation->client, "GET", path.data, NULL, &answer, reterr);
	return ret < 0 ? ret : (int)value_int(answer, "ExitCode") & 0xff;
}

static int run_streams(const struct invocation *invocation, const char *id, struct stream_signals *signals,
	struct err **reterr)
{
	const struct exec_options *options = invocation->options;
	_cleanup_(buf_finish) struct buf resize = BUF_INIT(CLIENT_PATH_MAX);
	_autofree_(response) struct response *attached = NULL;
	if (client_path(&resize, "/exec/", id, "/resize") < 0)
		return err_oom(reterr);
	int ret = start_exec(invocation, id, &attached, reterr);
	if (ret < 0)
		return ret;
	const struct stream_options stream = {
		.tty = options->tty,
		.attach_stdin = options->interactive,
		.attach_stdout = true,
		.attach_stderr = true,
		.detach_keys = options->detach_keys,
		.resize_path = resize.data,
	};
	ret = stream_run(invocation->client, attached, &stream, signals, NULL, reterr);
	if (ret == STREAM_DETACHED)
		return err_set(reterr, ERR_INTERNAL, 0, "read escape sequence");
	return ret < 0 ? ret : exit_code(invocation, id, reterr);
}

static int exec_run(const struct invocation *invocation, struct err **reterr)
{
	const struct exec_options *options = invocation->options;
	struct detach_keys keys;
	int ret = options->detach_keys ? detach_keys_parse(options->detach_keys, &keys, reterr) : 0;
	if (ret == 0 && !options->detach)
		ret = stream_check_tty(options->interactive, options->tty, reterr);
	_cleanup_free_ char *id = NULL;
	if (ret == 0)
		ret = create_exec(invocation, &id, reterr);
	if (ret < 0)
		return ret;
	if (options->detach) {
		_autofree_(response) struct response *response = NULL;
		return start_exec(invocation, id, &response, reterr);
	}
	_cleanup_(stream_release) struct stream_signals signals = STREAM_SIGNALS_INIT;
	ret = stream_catch(&signals, false, options->tty, reterr);
	return ret < 0 ? ret : run_streams(invocation, id, &signals, reterr);
}

const struct command exec_command = {
	.names = { "container exec", "exec" },
	.usage = "[OPTIONS] CONTAINER COMMAND [ARG...]",
	.summary = "Run one more command in a running container",
	.description =
		"The exit code is that of the command; 126 if it could not be executed, 127 if it was not found.",
	.options = { { &table } },
	.options_size = sizeof(struct exec_options),
	.min_args = 2,
	.max_args = COMMAND_ARGS_ANY,
	.arguments = ARGUMENTS_RUNNING,
	.flags = COMMAND_ENGINE | COMMAND_OPTIONS_FIRST,
	.run = exec_run,
};
