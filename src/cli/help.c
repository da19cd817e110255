#include <string.h>

#include "base/strv.h"
#include "cli/commands.h"
#include "cli/print.h"
#include "cli/usage.h"
#include "cli/verbs.h"

/* help [COMMAND], help GROUP [COMMAND] */
static int help_run(const struct invocation *invocation, struct err **reterr)
{
	_cleanup_(buf_finish) struct buf text = BUF_INIT(USAGE_MAX);
	_cleanup_free_ char *name = invocation->arg_count ? strv_join(invocation->args, " ") : strdup("");
	if (!name)
		return err_oom(reterr);
	const struct command *command = commands_find(name);
	const struct command_group *group = command_group_find(name);
	int ret;
	if (!*name)
		ret = usage_program(&text);
	else if (command)
		ret = usage_command(command, name, &text);
	else if (group)
		ret = usage_group(group, &text);
	else
		return err_set(reterr, ERR_NOT_FOUND, 0, "tare: unknown help topic: %s", name);
	return ret < 0 ? err_errno(reterr, ret, "cannot print") : print_out(text.data, text.len, reterr);
}

const struct command help_command = {
	.names = { "help" },
	.usage = "[COMMAND]",
	.summary = "Explain a command",
	.max_args = 2,
	.arguments = ARGUMENTS_COMMANDS,
	.run = help_run,
};
