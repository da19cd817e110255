/* stop, restart, kill, pause, unpause, rm: one request for each container named. */
#include "cli/client.h"
#include "cli/each.h"
#include "cli/verbs.h"
#include "codec/query.h"

/* stop and restart */

struct stop_options {
	const char *signal;
	struct option_int timeout;
	struct option_int time;
};

#define OPTION(...) OPTION_IN(struct stop_options, __VA_ARGS__)
static const struct option_spec stop_specs[] = {
	OPTION("signal", 's', OPTION_STRING, signal, "Signal that asks the container to end"),
	OPTION("time", 0, OPTION_OPT_INT, time, "The same as --timeout", .hidden = true),
	OPTION("timeout", 't', OPTION_OPT_INT, timeout, "Seconds before it is killed; -1 waits for ever"),
};
#undef OPTION
static const struct option_table stop_table = OPTION_TABLE(stop_specs);

static int stop_each(const struct invocation *invocation, const char *action, struct err **reterr)
{
	const struct stop_options *options = invocation->options;
	const struct option_int *timeout = options->timeout.set ? &options->timeout : &options->time;
	_cleanup_(buf_finish) struct buf after = BUF_INIT(CLIENT_PATH_MAX);
	int ret = buf_puts(&after, action);
	if (ret == 0 && options->signal)
		ret = query_append(&after, "signal", options->signal);
	if (ret == 0 && timeout->set)
		ret = buf_printf(&after, "%st=%lld", options->signal ? "&" : "?", (long long)timeout->value);
	if (ret < 0)
		return err_errno(reterr, ret, "cannot make the request");
	const struct each each = { .method = "POST", .before = "/containers/", .after = after.data };
	return each_argument(invocation, &each, reterr);
}

static int stop_run(const struct invocation *invocation, struct err **reterr)
{
	return stop_each(invocation, "/stop", reterr);
}

static int restart_run(const struct invocation *invocation, struct err **reterr)
{
	return stop_each(invocation, "/restart", reterr);
}

const struct command stop_command = {
	.names = { "container stop", "stop" },
	.usage = "[OPTIONS] CONTAINER [CONTAINER...]",
	.summary = "Stop running containers",
	.description =
		"Sends the container's stop signal, and SIGKILL if it still runs after the timeout (10 seconds unless "
		"the container or --timeout says otherwise).",
	.options = { { &stop_table } },
	.options_size = sizeof(struct stop_options),
	.min_args = 1,
	.max_args = COMMAND_ARGS_ANY,
	.arguments = ARGUMENTS_RUNNING,
	.flags = COMMAND_ENGINE,
	.run = stop_run,
};

const struct command restart_command = {
	.names = { "container restart", "restart" },
	.usage = "[OPTIONS] CONTAINER [CONTAINER...]",
	.summary = "Stop containers and start them again",
	.options = { { &stop_table } },
	.options_size = sizeof(struct stop_options),
	.min_args = 1,
	.max_args = COMMAND_ARGS_ANY,
	.arguments = ARGUMENTS_CONTAINERS,
	.flags = COMMAND_ENGINE,
	.run = restart_run,
};

/* kill */

struct kill_options {
	const char *signal;
};

static const struct option_spec kill_specs[] = {
	OPTION_IN(struct kill_options, "signal", 's', OPTION_STRING, signal,
		"Signal to send, by name or number (KILL)"),
};
static const struct option_table kill_table = OPTION_TABLE(kill_specs);

static int kill_run(const struct invocation *invocation, struct err **reterr)
{
	const struct kill_options *options = invocation->options;
	_cleanup_(buf_finish) struct buf after = BUF_INIT(CLIENT_PATH_MAX);
	int ret = buf_puts(&after, "/kill");
	if (ret == 0 && options->signal)
		ret = query_append(&after, "signal", options->signal);
	if (ret < 0)
		return err_errno(reterr, ret, "cannot make the request");
	const struct each each = { .method = "POST", .before = "/containers/", .after = after.data };
	return each_argument(invocation, &each, reterr);
}

const struct command kill_command = {
	.names = { "container kill", "kill" },
	.usage = "[OPTIONS] CONTAINER [CONTAINER...]",
	.summary = "Send a signal to running containers",
	.options = { { &kill_table } },
	.options_size = sizeof(struct kill_options),
	.min_args = 1,
	.max_args = COMMAND_ARGS_ANY,
	.arguments = ARGUMENTS_RUNNING,
	.flags = COMMAND_ENGINE,
	.run = kill_run,
};

/* pause and unpause */

static int pause_run(const struct invocation *invocation, struct err **reterr)
{
	const struct each each = { .method = "POST", .before = "/containers/", .after = "/pause" };
	return each_argument(invocation, &each, reterr);
}

static int unpause_run(const struct invocation *invocation, struct err **reterr)
{
	const struct each each = { .method = "POST", .before = "/containers/", .after = "/unpause" };
	return each_argument(invocation, &each, reterr);
}

const struct command pause_command = {
	.names = { "container pause", "pause" },
	.usage = "CONTAINER [CONTAINER...]",
	.summary = "Freeze all processes of containers",
	.min_args = 1,
	.max_args = COMMAND_ARGS_ANY,
	.arguments = ARGUMENTS_RUNNING,
	.flags = COMMAND_ENGINE,
	.run = pause_run,
};

const struct command unpause_command = {
	.names = { "container unpause", "unpause" },
	.usage = "CONTAINER [CONTAINER...]",
	.summary = "Let the processes of frozen containers go on",
	.min_args = 1,
	.max_args = COMMAND_ARGS_ANY,
	.arguments = ARGUMENTS_CONTAINERS,
	.flags = COMMAND_ENGINE,
	.run = unpause_run,
};

/* rm */

struct rm_options {
	bool force;
	bool link;
	bool volumes;
};

#define OPTION(...) OPTION_IN(struct rm_options, __VA_ARGS__)
static const struct option_spec rm_specs[] = {
	OPTION("force", 'f', OPTION_BOOL, force, "Kill it first if it runs"),
	OPTION("link", 'l', OPTION_BOOL, link, "Remove the link of this name, not the container"),
	OPTION("volumes", 'v', OPTION_BOOL, volumes, "Remove its anonymous volumes, too"),
};
#undef OPTION
static const struct option_table rm_table = OPTION_TABLE(rm_specs);

static int rm_run(const struct invocation *invocation, struct err **reterr)
{
	const struct rm_options *options = invocation->options;
	char after[64];
	snprintf(after, sizeof after, "?force=%d&link=%d&v=%d", options->force, options->link, options->volumes);
	const struct each each = {
		.method = "DELETE", .before = "/containers/", .after = after, .missing_is_fine = options->force
	};
	return each_argument(invocation, &each, reterr);
}

const struct command rm_command = {
	.names = { "container rm", "container remove", "rm" },
	.usage = "[OPTIONS] CONTAINER [CONTAINER...]",
	.summary = "Remove containers",
	.options = { { &rm_table } },
	.options_size = sizeof(struct rm_options),
	.min_args = 1,
	.max_args = COMMAND_ARGS_ANY,
	.arguments = ARGUMENTS_CONTAINERS,
	.flags = COMMAND_ENGINE,
	.run = rm_run,
};
