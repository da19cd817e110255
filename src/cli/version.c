#include <errno.h>
#include <string.h>

#include <sys/utsname.h>

#include "base/strv.h"
#include "cli/client.h"
#include "cli/object.h"
#include "cli/print.h"
#include "cli/table.h"
#include "cli/values.h"
#include "cli/verbs.h"
#include "codec/json.h"
#include "codec/template.h"

#define EXIT_BAD_TEMPLATE 64

struct version_options {
	const char *format;
};

static const struct option_spec specs[] = {
	OPTION_IN(struct version_options, "format", 'f', OPTION_STRING, format, "Print as \"json\" or by a template"),
};
static const struct option_table table = OPTION_TABLE(specs);

/* Docker's words for what uname says. */
static const char *architecture(const char *machine)
{
	static const char *const names[][2] = { { "x86_64", "amd64" }, { "aarch64", "arm64" }, { "i686", "386" },
		{ "armv7l", "arm" } };
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		if (strcmp(names[i][0], machine) == 0)
			return names[i][1];
	}
	return machine;
}

static json_t *client_version(const struct client *client)
{
	struct utsname name;
	if (uname(&name) < 0)
		strcpy(name.machine, "unknown");
	return json_pack("{s:s,s:s,s:s,s:s,s:s,s:s}", "Version", TARE_VERSION, "ApiVersion", client_api_version(client),
		"DefaultAPIVersion", CLIENT_API_VERSION, "Os", "linux", "Arch", architecture(name.machine), "Context",
		"default");
}

static int print_client(const json_t *client, struct buf *out)
{
	const char *spoken = value_string(client, "ApiVersion"), *usual = value_string(client, "DefaultAPIVersion");
	int ret = buf_printf(out, "Client:\n Version:\t%s\n API version:\t%s", value_string(client, "Version"), spoken);
	if (ret == 0 && strcmp(spoken, usual) != 0)
		ret = buf_printf(out, " (downgraded from %s)", usual);
	return ret < 0 ? ret
		       : buf_printf(out, "\n OS/Arch:\t%s/%s\n Context:\t%s\n", value_string(client, "Os"),
				 value_string(client, "Arch"), value_string(client, "Context"));
}

/* What a component says of itself, but for what is printed already; sorted. */
static int print_details(const json_t *details, struct buf *out)
{
	_autofree_(strv) char **lines = NULL;
	const char *key;
	json_t *value;
	json_object_foreach ((json_t *)details, key, value) {
		if (json_string_length(value) && strv_appendf(&lines, "  %s:\t%s\n", key, json_string_value(value)) < 0)
			return -ENOMEM;
	}
	strv_sort(lines);
	int ret = 0;
	for (char **line = lines; ret == 0 && line && *line; line++)
		ret = buf_puts(out, *line);
	return ret;
}

static int print_engine(const json_t *server, const json_t *component, struct buf *out)
{
	int ret = buf_printf(out, "  Version:\t%s\n  API version:\t%s (minimum version %s)\n",
		value_string(component, "Version"), value_string(server, "ApiVersion"),
		value_string(server, "MinAPIVersion"));
	const char *const optional[][2] = { { "Go version", "GoVersion" }, { "Git commit", "GitCommit" },
		{ "Built", "BuildTime" } };
	for (size_t i = 0; ret == 0 && i < ARRAY_SIZE(optional); i++) {
		const char *value = value_string(server, optional[i][1]);
		if (*value)
			ret = buf_printf(out, "  %s:\t%s\n", optional[i][0], value);
	}
	return ret < 0 ? ret
		       : buf_printf(out, "  OS/Arch:\t%s/%s\n  Experimental:\t%s\n", value_string(server, "Os"),
				 value_string(server, "Arch"), value_bool(server, "Experimental") ? "true" : "false");
}

static int print_server(const json_t *server, struct buf *out)
{
	const char *platform = value_string(server, "Platform.Name");
	int ret = buf_printf(out, "\nServer:%s%s\n", *platform ? " " : "", platform);
	size_t i;
	const json_t *component;
	json_array_foreach (value_at(server, "Components"), i, component) {
		const char *name = value_string(component, "Name");
		if (ret == 0)
			ret = buf_printf(out, " %s:\n", name);
		if (ret == 0 && strcmp(name, "Engine") == 0)
			ret = print_engine(server, component, out);
		else if (ret == 0 &&
			 (ret = buf_printf(out, "  Version:\t%s\n", value_string(component, "Version"))) == 0)
			ret = print_details(value_at(component, "Details"), out);
	}
	return ret;
}

static int print_text(const json_t *client, const json_t *server, struct err **reterr)
{
	_cleanup_(buf_finish) struct buf text = BUF_INIT(PRINT_MAX), out = BUF_INIT(PRINT_MAX);
	int ret = print_client(client, &text);
	if (ret == 0 && server)
		ret = print_server(server, &text);
	if (ret == 0)
		ret = table_format(text.data, text.len, TABLE_VERSION, &out);
	return ret < 0 ? err_errno(reterr, ret, "cannot print") : print_out(out.data, out.len, reterr);
}

static int print_by_template(const struct template *template, json_t *client, json_t *server, struct err **reterr)
{
	_autojson_ json_t *both = json_pack("{s:O,s:O?}", "Client", client, "Server", server);
	_cleanup_(buf_finish) struct buf out = BUF_INIT(PRINT_MAX);
	if (both && !server)
		json_object_set_new(both, "Server", json_null());
	const struct template_input input = { .data = both };
	int ret = both ? template_run(template, &input, &out, reterr) : err_oom(reterr);
	return ret < 0 ? ret : print_line(reterr, "%s", out.data ? out.data : "");
}

static int version_run(const struct invocation *invocation, struct err **reterr)
{
	const struct version_options *options = invocation->options;
	_autofree_(template) struct template *template = NULL;
	const char *format = options->format && strcmp(options->format, "json") == 0 ? "{{json .}}" : options->format;
	if (format && *format && template_parse(format, &template, reterr) < 0) {
		print_error("%s", err_message(*reterr));
		return EXIT_BAD_TEMPLATE;
	}
	/* the client's half is printed even if there is no engine */
	_autojson_ json_t *server = NULL;
	int failed = client_call(invocation->client, "GET", "/version", NULL, &server, reterr);
	_autojson_ json_t *client = client_version(invocation->client);
	if (!client)
		return failed < 0 ? failed : err_oom(reterr);
	int ret = template ? print_by_template(template, client, server, failed < 0 ? NULL : reterr)
			   : print_text(client, server, failed < 0 ? NULL : reterr);
	return failed < 0 ? failed : ret;
}

const struct command version_command = {
	.names = { "version" },
	.usage = "[OPTIONS]",
	.summary = "Print the versions of this program and of the engine",
	.options = { { &table } },
	.options_size = sizeof(struct version_options),
	.flags = COMMAND_ENGINE,
	.run = version_run,
};
