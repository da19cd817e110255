#include "cli/client.h"
#include "cli/print.h"
#include "cli/values.h"
#include "cli/verbs.h"
#include "codec/json.h"

static const char *letter(int64_t kind)
{
	static const char *const letters[] = { "C", "A", "D" };
	return kind >= 0 && kind < 3 ? letters[kind] : "?";
}

static int diff_run(const struct invocation *invocation, struct err **reterr)
{
	_cleanup_(buf_finish) struct buf path = BUF_INIT(CLIENT_PATH_MAX), out = BUF_INIT(CLIENT_ANSWER_MAX);
	_autojson_ json_t *answer = NULL;
	size_t i;
	const json_t *change;
	if (client_path(&path, "/containers/", invocation->args[0], "/changes") < 0)
		return err_oom(reterr);
	int ret = client_call(invocation->client, "GET", path.data, NULL, &answer, reterr);
	if (ret < 0)
		return ret;
	json_array_foreach (answer, i, change) {
		if (buf_printf(&out, "%s %s\n", letter(value_int(change, "Kind")), value_string(change, "Path")) < 0)
			return err_oom(reterr);
	}
	return print_out(out.data ? out.data : "", out.len, reterr);
}

const struct command diff_command = {
	.names = { "container diff", "diff" },
	.usage = "CONTAINER",
	.summary = "List what a container added (A), changed (C) and deleted (D)",
	.min_args = 1,
	.max_args = 1,
	.arguments = ARGUMENTS_CONTAINERS,
	.flags = COMMAND_ENGINE,
	.run = diff_run,
};
