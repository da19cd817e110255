#include "cli/client.h"
#include "cli/print.h"
#include "cli/values.h"
#include "cli/verbs.h"
#include "codec/json.h"

static int wait_one(struct client *client, const char *name, struct err **reterr)
{
	_cleanup_(buf_finish) struct buf path = BUF_INIT(CLIENT_PATH_MAX);
	_autojson_ json_t *answer = NULL;
	int ret = client_path(&path, "/containers/", name, "/wait");
	if (ret < 0)
		return err_errno(reterr, ret, "cannot make the request");
	ret = client_call(client, "POST", path.data, NULL, &answer, reterr);
	return ret < 0 ? ret : print_line(reterr, "%lld", (long long)value_int(answer, "StatusCode"));
}

static int wait_run(const struct invocation *invocation, struct err **reterr)
{
	(void)reterr;
	int code = 0;
	for (size_t i = 0; i < invocation->arg_count; i++) {
		_autofree_(err) struct err *err = NULL;
		if (wait_one(invocation->client, invocation->args[i], &err) < 0) {
			print_error("%s", err_message(err));
			code = 1;
		}
	}
	return code;
}

const struct command wait_command = {
	.names = { "container wait", "wait" },
	.usage = "CONTAINER [CONTAINER...]",
	.summary = "Wait until containers end, and print their exit codes",
	.min_args = 1,
	.max_args = COMMAND_ARGS_ANY,
	.arguments = ARGUMENTS_RUNNING,
	.flags = COMMAND_ENGINE,
	.run = wait_run,
};
