#include "cli/client.h"
#include "cli/output.h"
#include "cli/verbs.h"

struct export_options {
	const char *output;
};

#define OPTION(...) OPTION_IN(struct export_options, __VA_ARGS__)
static const struct option_spec specs[] = {
	OPTION("output", 'o', OPTION_STRING, output, "Write to this file in place of standard output"),
};
static const struct option_table table = OPTION_TABLE(specs);

static int export_run(const struct invocation *invocation, struct err **reterr)
{
	const struct export_options *options = invocation->options;
	_cleanup_(buf_finish) struct buf path = BUF_INIT(CLIENT_PATH_MAX);

	if (client_path(&path, "/containers/", invocation->args[0], "/export") < 0)
		return err_oom(reterr);
	return output_get(invocation->client, path.data, options->output, reterr);
}

const struct command export_command = {
	.names = { "container export", "export" },
	.usage = "[OPTIONS] CONTAINER",
	.summary = "Write a container's files to an archive",
	.description = "All of its tree, without what its volumes hold. `import` makes an image of it.",
	.options = { { &table } },
	.options_size = sizeof(struct export_options),
	.min_args = 1,
	.max_args = 1,
	.arguments = ARGUMENTS_CONTAINERS,
	.flags = COMMAND_ENGINE,
	.run = export_run,
};
