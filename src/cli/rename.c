#include "cli/client.h"
#include "cli/print.h"
#include "cli/verbs.h"
#include "codec/query.h"

static int rename_run(const struct invocation *invocation, struct err **reterr)
{
	const char *old_name = invocation->args[0], *new_name = invocation->args[1];
	if (!*old_name || !*new_name)
		return err_set(reterr, ERR_INVALID, 0, "Error: Neither old nor new names may be empty");
	_cleanup_(buf_finish) struct buf path = BUF_INIT(CLIENT_PATH_MAX);
	int ret = client_path(&path, "/containers/", old_name, "/rename");
	if (ret == 0)
		ret = query_append(&path, "name", new_name);
	if (ret < 0)
		return err_errno(reterr, ret, "cannot make the request");
	return client_call(invocation->client, "POST", path.data, NULL, NULL, reterr);
}

const struct command rename_command = {
	.names = { "container rename", "rename" },
	.usage = "CONTAINER NEW_NAME",
	.summary = "Give a container another name",
	.min_args = 2,
	.max_args = 2,
	.arguments = ARGUMENTS_CONTAINERS,
	.flags = COMMAND_ENGINE,
	.run = rename_run,
};
