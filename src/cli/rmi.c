#include "base/strv.h"
#include "cli/client.h"
#include "cli/platform.h"
#include "cli/print.h"
#include "cli/values.h"
#include "cli/verbs.h"
#include "codec/json.h"
#include "codec/query.h"

struct rmi_options {
	bool force;
	bool no_prune;
	char **platforms;
};

#define OPTION(...) OPTION_IN(struct rmi_options, __VA_ARGS__)
static const struct option_spec specs[] = {
	OPTION("force", 'f', OPTION_BOOL, force, "Remove it even if stopped containers use it"),
	OPTION("no-prune", 0, OPTION_BOOL, no_prune, "Keep untagged parents"),
	OPTION("platform", 0, OPTION_STRINGS, platforms, "Remove only this variant (os[/arch[/variant]])"),
};
static const struct option_table table = OPTION_TABLE(specs);

static int print_removed(const json_t *answer, struct err **reterr)
{
	size_t i;
	const json_t *item;
	int ret = 0;
	json_array_foreach (answer, i, item) {
		const char *deleted = value_string(item, "Deleted");
		if (ret == 0)
			ret = *deleted ? print_line(reterr, "Deleted: %s", deleted)
				       : print_line(reterr, "Untagged: %s", value_string(item, "Untagged"));
	}
	return ret;
}

static int remove_one(const struct invocation *invocation, const char *image, struct err **reterr)
{
	const struct rmi_options *options = invocation->options;
	_cleanup_(buf_finish) struct buf path = BUF_INIT(CLIENT_PATH_MAX);
	_autojson_ json_t *answer = NULL;
	int ret = client_path(&path, "/images/", image, "");
	if (ret == 0)
		ret = buf_printf(&path, "?force=%d&noprune=%d", options->force, options->no_prune);
	if (ret < 0)
		return err_errno(reterr, ret, "cannot make the request");
	for (char **platform = options->platforms; ret == 0 && platform && *platform; platform++)
		ret = platform_append(*platform, "platforms", &path, reterr);
	if (ret == 0)
		ret = client_call(invocation->client, "DELETE", path.data, NULL, &answer, reterr);
	return ret < 0 ? ret : print_removed(answer, reterr);
}

static int rmi_run(const struct invocation *invocation, struct err **reterr)
{
	(void)reterr;
	const struct rmi_options *options = invocation->options;
	int code = 0;
	for (size_t i = 0; i < invocation->arg_count; i++) {
		_autofree_(err) struct err *err = NULL;
		if (remove_one(invocation, invocation->args[i], &err) >= 0)
			continue;
		print_error("%s", err_message(err));
		if (!options->force || !err || err->kind != ERR_NOT_FOUND)
			code = 1;
	}
	return code;
}

const struct command rmi_command = {
	.names = { "image rm", "image remove", "rmi" },
	.usage = "[OPTIONS] IMAGE [IMAGE...]",
	.summary = "Remove images",
	.options = { { &table } },
	.options_size = sizeof(struct rmi_options),
	.min_args = 1,
	.max_args = COMMAND_ARGS_ANY,
	.arguments = ARGUMENTS_IMAGES,
	.flags = COMMAND_ENGINE,
	.run = rmi_run,
};
