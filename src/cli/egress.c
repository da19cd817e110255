#include <string.h>

#include "cli/client.h"
#include "cli/print.h"
#include "cli/table.h"
#include "cli/values.h"
#include "cli/verbs.h"
#include "codec/json.h"

static int append_seen(const json_t *seen, struct buf *out)
{
	const char *address = value_string(seen, "Address");
	int64_t port = value_int(seen, "Port");
	bool has_brackets = port && strchr(address, ':');
	int ret = buf_printf(out, "%s%s%s", has_brackets ? "[" : "", address, has_brackets ? "]" : "");
	if (ret == 0 && port)
		ret = buf_printf(out, ":%lld", (long long)port);
	if (ret == 0)
		ret = buf_printf(out, "/%s\t%lld\t%s\n", value_string(seen, "Protocol"),
			(long long)value_int(seen, "Packets"), value_bool(seen, "Denied") ? "denied" : "noted");
	return ret;
}

static int print_seen(const json_t *list, struct err **reterr)
{
	_cleanup_(buf_finish) struct buf text = BUF_INIT(PRINT_MAX), out = BUF_INIT(PRINT_MAX);
	size_t i;
	const json_t *seen;
	int ret = buf_puts(&text, "PLACE\tPACKETS\tVERDICT\n");
	json_array_foreach (list, i, seen)
		ret = ret < 0 ? ret : append_seen(seen, &text);
	if (ret == 0)
		ret = table_format(text.data, text.len, TABLE_LIST, &out);
	return ret < 0 ? err_errno(reterr, ret, "cannot print") : print_out(out.data, out.len, reterr);
}

static int egress_run(const struct invocation *invocation, struct err **reterr)
{
	_cleanup_(buf_finish) struct buf path = BUF_INIT(CLIENT_PATH_MAX);
	_autojson_ json_t *answer = NULL;
	size_t i;
	const json_t *word;
	int ret = client_path(&path, "/containers/", invocation->args[0], "/egress");
	if (ret < 0)
		return err_errno(reterr, ret, "cannot make the request");
	ret = client_call(invocation->client, "GET", path.data, NULL, &answer, reterr);
	json_array_foreach (value_at(answer, "Policy"), i, word)
		ret = ret < 0 ? ret : print_line(reterr, "%s", json_string_value(word));
	if (ret == 0 && json_array_size(value_at(answer, "Seen")) > 0)
		ret = print_seen(value_at(answer, "Seen"), reterr);
	if (ret == 0 && value_bool(answer, "Truncated"))
		print_error("there are more");
	return ret;
}

const struct command egress_command = {
	.names = { "container egress", "egress" },
	.usage = "CONTAINER",
	.summary = "Show what a container may reach, and what it was denied in the last hour",
	.min_args = 1,
	.max_args = 1,
	.arguments = ARGUMENTS_CONTAINERS,
	.flags = COMMAND_ENGINE,
	.run = egress_run,
};
