#include "cli/client.h"
#include "cli/create_container.h"
#include "cli/print.h"
#include "cli/session.h"
#include "cli/verbs.h"
#include "codec/json.h"

static int create_run(const struct invocation *invocation, struct err **reterr)
{
	struct container_streams streams;
	_autojson_ json_t *body = NULL;
	if (create_prepare(invocation, &streams, &body, reterr) < 0)
		return create_fail(invocation, *reterr, EXIT_RUN_FAILED);
	_cleanup_free_ char *id = NULL;
	int ret = create_container(invocation, body, &id, reterr);
	return ret < 0 ? ret : print_line(reterr, "%s", id);
}

const struct command create_command = {
	.names = { "container create", "create" },
	.usage = "[OPTIONS] IMAGE [COMMAND] [ARG...]",
	.summary = "Make a container without starting it",
	.options = { { &container_options_table } },
	.options_size = sizeof(struct container_options),
	.min_args = 1,
	.max_args = COMMAND_ARGS_ANY,
	.arguments = ARGUMENTS_IMAGES,
	.flags = COMMAND_ENGINE | COMMAND_OPTIONS_FIRST,
	.run = create_run,
};
