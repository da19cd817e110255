#include "base/strv.h"
#include "cli/client.h"
#include "cli/print.h"
#include "cli/table.h"
#include "cli/values.h"
#include "cli/verbs.h"
#include "codec/json.h"
#include "codec/query.h"

static int append_row(const json_t *cells, struct buf *out)
{
	size_t i;
	const json_t *cell;
	int ret = 0;
	json_array_foreach (cells, i, cell) {
		if (ret == 0 && i)
			ret = buf_putc(out, '\t');
		if (ret == 0 && json_is_string(cell))
			ret = buf_puts(out, json_string_value(cell));
	}
	return ret < 0 ? ret : buf_putc(out, '\n');
}

static int print_processes(const json_t *answer, struct err **reterr)
{
	_cleanup_(buf_finish) struct buf text = BUF_INIT(PRINT_MAX), out = BUF_INIT(PRINT_MAX);
	size_t i;
	const json_t *process;
	int ret = append_row(value_at(answer, "Titles"), &text);
	json_array_foreach (value_at(answer, "Processes"), i, process) {
		if (ret == 0)
			ret = append_row(process, &text);
	}
	if (ret == 0)
		ret = table_format(text.data, text.len, TABLE_TOP, &out);
	return ret < 0 ? err_errno(reterr, ret, "cannot print") : print_out(out.data, out.len, reterr);
}

static int top_run(const struct invocation *invocation, struct err **reterr)
{
	_cleanup_(buf_finish) struct buf path = BUF_INIT(CLIENT_PATH_MAX);
	_autojson_ json_t *answer = NULL;
	int ret = client_path(&path, "/containers/", invocation->args[0], "/top");
	if (ret == 0 && invocation->arg_count > 1) {
		_cleanup_free_ char *arguments = strv_join(invocation->args + 1, " ");
		if (!arguments)
			return err_oom(reterr);
		ret = query_append(&path, "ps_args", arguments);
	}
	if (ret < 0)
		return err_errno(reterr, ret, "cannot make the request");
	ret = client_call(invocation->client, "GET", path.data, NULL, &answer, reterr);
	return ret < 0 ? ret : print_processes(answer, reterr);
}

const struct command top_command = {
	.names = { "container top", "top" },
	.usage = "CONTAINER [ps OPTIONS]",
	.summary = "List the processes of a container",
	.min_args = 1,
	.max_args = COMMAND_ARGS_ANY,
	.arguments = ARGUMENTS_RUNNING,
	.flags = COMMAND_ENGINE | COMMAND_OPTIONS_FIRST,
	.run = top_run,
};
