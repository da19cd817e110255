/* The engine looks, which may where we may not; where none answers, what we can see ourselves is said. */
#include "doctor/doctor.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/client.h"
#include "cli/print.h"
#include "cli/table.h"
#include "cli/values.h"
#include "cli/verbs.h"
#include "codec/json.h"

#define DATA_ROOT    "/var/lib/tare"
#define UNIX_PREFIX  "unix://"
#define EXIT_TO_MEND 1
#define PATIENCE_MS  5000

struct doctor_words {
	const char *format;
	const char *data_root;
};

static const struct option_spec specs[] = {
	OPTION_IN(struct doctor_words, "data-root", 0, OPTION_STRING, data_root,
		"The engine's folder, if no engine is there to name it (default \"" DATA_ROOT "\")"),
	OPTION_IN(struct doctor_words, "format", 'f', OPTION_STRING, format, "Print as \"json\""),
};
static const struct option_table table = OPTION_TABLE(specs);

/* --- asking --- */

static char *socket_folder(const struct client *client)
{
	const char *host = client_host(client);
	const char *path = strncmp(host, UNIX_PREFIX, strlen(UNIX_PREFIX)) == 0 ? host + strlen(UNIX_PREFIX) : host;
	const char *slash = strrchr(path, '/');
	return slash && slash > path ? strndup(path, (size_t)(slash - path)) : strdup("/run/tare");
}

static int look_ourselves(const struct invocation *invocation, const struct err *why, json_t **ret, struct err **reterr)
{
	const struct doctor_words *words = invocation->options;
	_cleanup_free_ char *exec_root = socket_folder(invocation->client);
	const struct doctor_options options = { .data_root = words->data_root ? words->data_root : DATA_ROOT,
		.exec_root = exec_root };
	if (!exec_root)
		return err_oom(reterr);
	int r = doctor_examine(&options, ret, reterr);
	if (r < 0)
		return r;
	const char *remedy = why->errnum == ETIMEDOUT
				     ? "kill the process tare-engine: tared starts another, and containers go on"
			     : why->kind == ERR_UNAVAILABLE
				     ? "start it: any other command of tare's does, or systemctl start tare"
				     : "bring engine and command to the same version";
	return doctor_add(*ret, true, "engine", "mend", err_message(why), remedy) < 0 ? err_oom(reterr) : 0;
}

/* One that hangs is no help to a person who asks what is wrong. */
static int ask_engine(struct client *client, json_t **ret, struct err **reterr)
{
	const struct request request = { .method = "GET", .path = "/tare/doctor" };
	_autofree_(response) struct response *response = NULL;
	int r = client_send(client, &request, &response, reterr);
	if (r < 0)
		return r;
	struct pollfd ready = { .fd = response_fd(response), .events = POLLIN };
	if (poll(&ready, 1, PATIENCE_MS) == 0)
		return err_set(reterr, ERR_UNAVAILABLE, ETIMEDOUT, "the engine at %s does not answer",
			client_host(client));
	r = response_wait(response, reterr);
	return r < 0 ? r : response_json(response, ret, reterr);
}

static int examine(const struct invocation *invocation, json_t **ret, struct err **reterr)
{
	_autofree_(err) struct err *err = NULL;
	char text[256];
	int r = ask_engine(invocation->client, ret, &err);
	if (r < 0)
		return look_ourselves(invocation, err, ret, reterr);
	snprintf(text, sizeof(text), "the engine answers at %.200s", client_host(invocation->client));
	return doctor_add(*ret, true, "engine", "ok", text, NULL) < 0 ? err_oom(reterr) : 0;
}

/* --- telling --- */

static const char *member(const json_t *object, const char *name)
{
	const char *text = json_string_value(json_object_get(object, name));
	return text ? text : "";
}

static int print_check(const json_t *check, const char **section, struct buf *out)
{
	const char *own = member(check, "Section"), *remedy = member(check, "Remedy");
	int r = 0;
	if (strcmp(*section, own) != 0)
		r = buf_printf(out, "%s%s\n", **section ? "\n" : "", own);
	*section = own;
	if (r == 0)
		r = buf_printf(out, "  %-4s  %s\n", member(check, "Status"), member(check, "Message"));
	if (r == 0 && *remedy)
		r = buf_printf(out, "        to mend: %s\n", remedy);
	return r;
}

static int print_port(const json_t *port, struct buf *out)
{
	const char *host = member(port, "HostIp");
	json_int_t count = json_integer_value(json_object_get(port, "Count")),
		   first = json_integer_value(json_object_get(port, "HostPort")),
		   inside = json_integer_value(json_object_get(port, "ContainerPort"));
	char ports[32], to[32];
	snprintf(ports, sizeof(ports), count > 1 ? "%lld-%lld" : "%lld", (long long)first,
		(long long)(first + count - 1));
	snprintf(to, sizeof(to), count > 1 ? "%lld-%lld" : "%lld", (long long)inside, (long long)(inside + count - 1));
	return buf_printf(out, "%s\t%s%s%s:%s\t%s/%s\t%s\t%s\t%s\n", member(port, "Container"),
		strchr(host, ':') ? "[" : "", host, strchr(host, ':') ? "]" : "", ports, to, member(port, "Protocol"),
		member(port, "Outside"), member(port, "Host"), member(port, "OtherNetworks"));
}

static int print_ports(const json_t *ports, struct buf *out)
{
	_cleanup_(buf_finish) struct buf rows = BUF_INIT(PRINT_MAX);
	size_t i;
	json_t *port;
	if (json_array_size(ports) == 0)
		return 0;
	int r = buf_printf(&rows, "CONTAINER\tHOST\tTO\tFROM OUTSIDE\tFROM THE HOST\tFROM OTHER NETWORKS\n");
	json_array_foreach (ports, i, port)
		r = r ?: print_port(port, &rows);
	r = r ?: buf_printf(out, "\n");
	return r ?: table_format(rows.data, rows.len, TABLE_LIST, out);
}

static int print_report(const json_t *report, struct err **reterr)
{
	_cleanup_(buf_finish) struct buf out = BUF_INIT(PRINT_MAX);
	const char *section = "";
	size_t i;
	json_t *check;
	int r = 0;
	json_array_foreach (json_object_get(report, "Checks"), i, check)
		r = r ?: print_check(check, &section, &out);
	r = r ?: print_ports(json_object_get(report, "Ports"), &out);
	return r < 0 ? err_oom(reterr) : print_out(out.data, out.len, reterr);
}

static int print_json(const json_t *report, struct err **reterr)
{
	_cleanup_free_ char *text = json_dumps(report, JSON_COMPACT);
	return text ? print_line(reterr, "%s", text) : err_oom(reterr);
}

static int doctor_run(const struct invocation *invocation, struct err **reterr)
{
	const struct doctor_words *words = invocation->options;
	_autojson_ json_t *report = NULL;
	bool as_json = words->format && strcmp(words->format, "json") == 0;
	if (words->format && !as_json)
		return err_set(reterr, ERR_INVALID, 0, "invalid format \"%s\": it can only be json", words->format);
	int r = examine(invocation, &report, reterr);
	if (r == 0)
		r = as_json ? print_json(report, reterr) : print_report(report, reterr);
	if (r < 0)
		return r;
	return json_is_true(json_object_get(report, "Healthy")) ? 0 : EXIT_TO_MEND;
}

const struct command doctor_command = {
	.names = { "system doctor", "doctor" },
	.usage = "[OPTIONS]",
	.summary = "Say what is well and what is to be mended",
	.description =
		"Looks at the kernel, the engine's folders, the host's packet filters and the published ports of containers that run, "
		"changes nothing, and says of each thing that is wrong what would mend it. Rules of other programs (ufw, firewalld, "
		"Docker, iptables) that drop packets of containers are named. A note is something to know of, and no fault.\n\n"
		"The exit code is 0 if all is well and 1 if something is to be mended. Without an engine, as much is said as can be seen "
		"without one; to see all of it takes root.",
	.options = { { &table } },
	.options_size = sizeof(struct doctor_words),
	.flags = COMMAND_ENGINE | COMMAND_NO_START,
	.run = doctor_run,
};
