#include <errno.h>
#include <string.h>

#include "base/parse.h"
#include "base/strv.h"
#include "cli/client.h"
#include "cli/print.h"
#include "cli/text.h"
#include "cli/values.h"
#include "cli/verbs.h"
#include "codec/json.h"

static int add_bindings(const char *prefix, const json_t *bindings, char ***lines)
{
	size_t i;
	const json_t *binding;
	json_array_foreach (bindings, i, binding) {
		const char *address = value_string(binding, "HostIp");
		bool v6 = strchr(address, ':');
		if (strv_appendf(lines, "%s%s%s%s:%s", prefix, v6 ? "[" : "", address, v6 ? "]" : "",
			    value_string(binding, "HostPort")) < 0)
			return -ENOMEM;
	}
	return 0;
}

static int list_all(const json_t *ports, char ***lines)
{
	const char *port;
	json_t *bindings;
	json_object_foreach ((json_t *)ports, port, bindings) {
		_cleanup_free_ char *prefix = NULL;
		if (asprintf(&prefix, "%s -> ", port) < 0 || add_bindings(prefix, bindings, lines) < 0)
			return -ENOMEM;
	}
	return 0;
}

/* "80" or "80/udp" */
static int list_one(const json_t *ports, const char *wanted, const char *container, char ***lines, struct err **reterr)
{
	_cleanup_free_ char *number = strdup(wanted), *key = NULL;
	if (!number)
		return err_oom(reterr);
	const char *protocol = text_cut(number, '/');
	uint64_t port;
	if (parse_u64(number, 65535, &port) < 0)
		return err_set(reterr, ERR_INVALID, 0, "Error: invalid port (%s)", number);
	if (asprintf(&key, "%s/%s", number, protocol && *protocol ? protocol : "tcp") < 0)
		return err_oom(reterr);
	const json_t *bindings = json_object_get(ports, key);
	if (!json_array_size(bindings))
		return err_set(reterr, ERR_NOT_FOUND, 0, "Error: No public port '%s' published for %s", wanted,
			container);
	return add_bindings("", bindings, lines) < 0 ? err_oom(reterr) : 0;
}

/* By numbers as numbers: "9" is before "80". */
static int compare_lines(const void *a, const void *b)
{
	return strverscmp(*(char *const *)a, *(char *const *)b);
}

static int port_run(const struct invocation *invocation, struct err **reterr)
{
	const char *container = invocation->args[0];
	_cleanup_(buf_finish) struct buf path = BUF_INIT(CLIENT_PATH_MAX);
	_autojson_ json_t *answer = NULL;
	int ret = client_path(&path, "/containers/", container, "/json");
	if (ret < 0)
		return err_errno(reterr, ret, "cannot make the request");
	ret = client_call(invocation->client, "GET", path.data, NULL, &answer, reterr);
	if (ret < 0)
		return ret;

	_autofree_(strv) char **lines = NULL;
	const json_t *ports = value_at(answer, "NetworkSettings.Ports");
	if (invocation->arg_count > 1)
		ret = list_one(ports, invocation->args[1], container, &lines, reterr);
	else if (list_all(ports, &lines) < 0)
		ret = err_oom(reterr);
	if (lines)
		qsort(lines, strv_count(lines), sizeof *lines, compare_lines);
	for (char **line = lines; ret == 0 && line && *line; line++)
		ret = print_line(reterr, "%s", *line);
	return ret;
}

const struct command port_command = {
	.names = { "container port", "port" },
	.usage = "CONTAINER [PRIVATE_PORT[/PROTO]]",
	.summary = "Print where a container's ports are published",
	.min_args = 1,
	.max_args = 2,
	.arguments = ARGUMENTS_RUNNING,
	.flags = COMMAND_ENGINE,
	.run = port_run,
};
