#include <string.h>

#include "base/strv.h"
#include "cli/client.h"
#include "cli/detach.h"
#include "cli/print.h"
#include "cli/session.h"
#include "cli/values.h"
#include "cli/verbs.h"
#include "codec/json.h"
#include "codec/query.h"

struct start_options {
	bool attach;
	bool interactive;
	const char *checkpoint;
	const char *checkpoint_dir;
	const char *detach_keys;
};

#define OPTION(...) OPTION_IN(struct start_options, __VA_ARGS__)
static const struct option_spec specs[] = {
	OPTION("attach", 'a', OPTION_BOOL, attach, "Show its output, and pass signals on"),
	OPTION("checkpoint", 0, OPTION_STRING, checkpoint, "Go on from this checkpoint"),
	OPTION("checkpoint-dir", 0, OPTION_STRING, checkpoint_dir, "Where that checkpoint is kept"),
	OPTION("detach-keys", 0, OPTION_STRING, detach_keys, "Keys that leave the container running (ctrl-p,ctrl-q)"),
	OPTION("interactive", 'i', OPTION_BOOL, interactive, "Give it this program's input"),
};
static const struct option_table table = OPTION_TABLE(specs);

static int start_one(const struct invocation *invocation, const char *name, struct err **reterr)
{
	const struct start_options *options = invocation->options;
	_cleanup_(buf_finish) struct buf path = BUF_INIT(CLIENT_PATH_MAX);
	int ret = client_path(&path, "/containers/", name, "/start");
	if (ret == 0 && options->checkpoint)
		ret = query_append(&path, "checkpoint", options->checkpoint);
	if (ret == 0 && options->checkpoint_dir)
		ret = query_append(&path, "checkpoint-dir", options->checkpoint_dir);
	if (ret < 0)
		return err_errno(reterr, ret, "cannot make the request");
	return client_call(invocation->client, "POST", path.data, NULL, NULL, reterr);
}

static int start_all(const struct invocation *invocation, struct err **reterr)
{
	_autofree_(strv) char **failed = NULL;
	for (size_t i = 0; i < invocation->arg_count; i++) {
		_autofree_(err) struct err *err = NULL;
		if (start_one(invocation, invocation->args[i], &err) == 0 &&
			print_line(&err, "%s", invocation->args[i]) == 0)
			continue;
		print_error("%s", err_message(err));
		if (strv_append(&failed, invocation->args[i]) < 0)
			return err_oom(reterr);
	}
	if (!failed)
		return 0;
	_cleanup_free_ char *names = strv_join(failed, ", ");
	return names ? err_set(reterr, ERR_INTERNAL, 0, "Error: failed to start containers: %s", names)
		     : err_oom(reterr);
}

static int start_session(struct session *session, bool remove, struct err **reterr)
{
	int ret = session_init(session, reterr);
	if (ret == 0)
		ret = session_join(session, remove ? "removed" : "next-exit", reterr);
	if (ret == 0)
		ret = session_start(session, reterr);
	if (ret == 0)
		ret = session_stream(session, reterr);
	if (ret == STREAM_DETACHED)
		return 0;
	return ret < 0 ? ret : session_exit_code(session, reterr);
}

static int start_attached(const struct invocation *invocation, struct err **reterr)
{
	const struct start_options *options = invocation->options;
	struct detach_keys keys;
	_cleanup_(buf_finish) struct buf path = BUF_INIT(CLIENT_PATH_MAX);
	_autojson_ json_t *container = NULL;
	if (invocation->arg_count > 1)
		return err_set(reterr, ERR_INVALID, 0, "you cannot start and attach multiple containers at once");
	int ret = options->detach_keys ? detach_keys_parse(options->detach_keys, &keys, reterr) : 0;
	if (ret == 0 && client_path(&path, "/containers/", invocation->args[0], "/json") < 0)
		ret = err_oom(reterr);
	if (ret == 0)
		ret = client_call(invocation->client, "GET", path.data, NULL, &container, reterr);
	if (ret < 0)
		return ret;

	bool tty = value_bool(container, "Config.Tty");
	_cleanup_(session_finish) struct session session = {
		.client = invocation->client,
		.id = value_string(container, "Id"),
		.tty = tty,
		.attach_stdin = options->interactive && value_bool(container, "Config.OpenStdin"),
		.attach_stdout = true,
		.attach_stderr = true,
		.sig_proxy = !tty,
		.detach_keys = options->detach_keys,
		.signals = STREAM_SIGNALS_INIT,
	};
	return start_session(&session, value_bool(container, "HostConfig.AutoRemove"), reterr);
}

static int start_run(const struct invocation *invocation, struct err **reterr)
{
	const struct start_options *options = invocation->options;
	return options->attach || options->interactive ? start_attached(invocation, reterr)
						       : start_all(invocation, reterr);
}

const struct command start_command = {
	.names = { "container start", "start" },
	.usage = "[OPTIONS] CONTAINER [CONTAINER...]",
	.summary = "Start stopped containers",
	.options = { { &table } },
	.options_size = sizeof(struct start_options),
	.min_args = 1,
	.max_args = COMMAND_ARGS_ANY,
	.arguments = ARGUMENTS_STOPPED,
	.flags = COMMAND_ENGINE,
	.run = start_run,
};
