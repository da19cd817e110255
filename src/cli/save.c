#include "cli/client.h"
#include "cli/output.h"
#include "cli/platform.h"
#include "cli/verbs.h"
#include "codec/query.h"

struct save_options {
	const char *output;
	const char *platform;
};

#define OPTION(...) OPTION_IN(struct save_options, __VA_ARGS__)
static const struct option_spec specs[] = {
	OPTION("output", 'o', OPTION_STRING, output, "Write to this file in place of standard output"),
	OPTION("platform", 0, OPTION_STRING, platform, "Save this variant only (os[/arch[/variant]])"),
};
static const struct option_table table = OPTION_TABLE(specs);

static int build_path(const struct invocation *invocation, struct buf *path, struct err **reterr)
{
	const struct save_options *options = invocation->options;
	int ret = buf_puts(path, "/images/get");
	for (size_t i = 0; ret == 0 && i < invocation->arg_count; i++)
		ret = query_append(path, "names", invocation->args[i]);
	if (ret < 0)
		return err_errno(reterr, ret, "cannot make the request");
	return options->platform ? platform_append(options->platform, "platform", path, reterr) : 0;
}

static int save_run(const struct invocation *invocation, struct err **reterr)
{
	const struct save_options *options = invocation->options;
	_cleanup_(buf_finish) struct buf path = BUF_INIT(CLIENT_PATH_MAX);
	int ret = build_path(invocation, &path, reterr);

	return ret < 0 ? ret : output_get(invocation->client, path.data, options->output, reterr);
}

const struct command save_command = {
	.names = { "image save", "save" },
	.usage = "[OPTIONS] IMAGE [IMAGE...]",
	.summary = "Save images to an archive",
	.description =
		"Writes a tar that `load` reads, here and in other engines; it is an OCI layout, too. A repository without a "
		"tag stands for all of its tags.",
	.options = { { &table } },
	.options_size = sizeof(struct save_options),
	.min_args = 1,
	.max_args = COMMAND_ARGS_ANY,
	.arguments = ARGUMENTS_IMAGES,
	.flags = COMMAND_ENGINE,
	.run = save_run,
};
