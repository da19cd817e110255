#include <errno.h>
#include <string.h>

#include "base/strv.h"
#include "cli/client.h"
#include "cli/humanize.h"
#include "cli/print.h"
#include "cli/values.h"
#include "cli/verbs.h"
#include "codec/json.h"
#include "codec/template.h"
#include "codec/template_functions.h"

#define EXIT_BAD_TEMPLATE 64

struct info_options {
	const char *format;
};

static const struct option_spec specs[] = {
	OPTION_IN(struct info_options, "format", 'f', OPTION_STRING, format, "Print as \"json\" or by a template"),
};
static const struct option_table table = OPTION_TABLE(specs);

/* How a line's value is read. */
enum line_kind {
	LINE_VALUE,    /* text, number or boolean */
	LINE_IF_ANY,   /* the same, left out when empty */
	LINE_SIZE,     /* bytes, in binary units */
	LINE_WORDS,    /* a list, on the line */
	LINE_LIST,     /* a list, a line each below */
	LINE_PAIRS,    /* a list of pairs, a line each below */
	LINE_KEYS,     /* an object's names, on the line */
	LINE_SECURITY, /* the security options */
	LINE_HEADING,  /* nothing but the label */
};

static const struct line {
	const char *label; /* with its indentation */
	const char *path;
	enum line_kind kind;
} lines[] = {
	{ " Containers", "Containers", LINE_VALUE },
	{ "  Running", "ContainersRunning", LINE_VALUE },
	{ "  Paused", "ContainersPaused", LINE_VALUE },
	{ "  Stopped", "ContainersStopped", LINE_VALUE },
	{ " Images", "Images", LINE_VALUE },
	{ " Server Version", "ServerVersion", LINE_IF_ANY },
	{ " Storage Driver", "Driver", LINE_IF_ANY },
	{ "", "DriverStatus", LINE_PAIRS },
	{ " Logging Driver", "LoggingDriver", LINE_IF_ANY },
	{ " Cgroup Driver", "CgroupDriver", LINE_IF_ANY },
	{ " Cgroup Version", "CgroupVersion", LINE_IF_ANY },
	{ " Plugins", "", LINE_HEADING },
	{ "  Volume", "Plugins.Volume", LINE_WORDS },
	{ "  Network", "Plugins.Network", LINE_WORDS },
	{ "  Log", "Plugins.Log", LINE_WORDS },
	{ " CDI spec directories", "CDISpecDirs", LINE_LIST },
	{ " Swarm", "Swarm.LocalNodeState", LINE_VALUE },
	{ " Runtimes", "Runtimes", LINE_KEYS },
	{ " Default Runtime", "DefaultRuntime", LINE_IF_ANY },
	{ " Init Binary", "InitBinary", LINE_VALUE },
	{ " containerd version", "ContainerdCommit.ID", LINE_VALUE },
	{ " runc version", "RuncCommit.ID", LINE_VALUE },
	{ " init version", "InitCommit.ID", LINE_VALUE },
	{ " Security Options", "SecurityOptions", LINE_SECURITY },
	{ " Kernel Version", "KernelVersion", LINE_IF_ANY },
	{ " Operating System", "OperatingSystem", LINE_IF_ANY },
	{ " OSType", "OSType", LINE_IF_ANY },
	{ " Architecture", "Architecture", LINE_IF_ANY },
	{ " CPUs", "NCPU", LINE_VALUE },
	{ " Total Memory", "MemTotal", LINE_SIZE },
	{ " Name", "Name", LINE_IF_ANY },
	{ " ID", "ID", LINE_IF_ANY },
	{ " Docker Root Dir", "DockerRootDir", LINE_VALUE },
	{ " Debug Mode", "Debug", LINE_VALUE },
	{ " HTTP Proxy", "HttpProxy", LINE_IF_ANY },
	{ " HTTPS Proxy", "HttpsProxy", LINE_IF_ANY },
	{ " No Proxy", "NoProxy", LINE_IF_ANY },
	{ " Labels", "Labels", LINE_LIST },
	{ " Experimental", "ExperimentalBuild", LINE_VALUE },
	{ " Insecure Registries", "RegistryConfig.InsecureRegistryCIDRs", LINE_LIST },
	{ " Registry Mirrors", "RegistryConfig.Mirrors", LINE_LIST },
	{ " Live Restore Enabled", "LiveRestoreEnabled", LINE_VALUE },
};

static int print_scalar(const struct line *line, const json_t *value, struct buf *out)
{
	bool empty = !value || json_is_null(value) || (json_is_string(value) && !json_string_length(value));
	if (empty && line->kind == LINE_IF_ANY)
		return 0;
	int ret = buf_printf(out, "%s: ", line->label);
	if (ret == 0 && !empty)
		ret = template_print_value(value, out);
	return ret < 0 ? ret : buf_putc(out, '\n');
}

static int print_size(const struct line *line, const json_t *value, struct buf *out)
{
	char text[HUMAN_MAX];
	human_size_binary(json_number_value(value), text);
	return buf_printf(out, "%s: %s\n", line->label, text);
}

static int print_words(const struct line *line, const json_t *value, struct buf *out)
{
	size_t i;
	const json_t *item;
	int ret = buf_printf(out, "%s:", line->label);
	json_array_foreach (value, i, item) {
		if (ret == 0 && json_is_string(item))
			ret = buf_printf(out, " %s", json_string_value(item));
	}
	return ret < 0 ? ret : buf_putc(out, '\n');
}

static int print_keys(const struct line *line, json_t *value, struct buf *out)
{
	const char *key;
	json_t *item;
	if (!json_object_size(value))
		return 0;
	int ret = buf_printf(out, "%s:", line->label);
	json_object_foreach (value, key, item) {
		if (ret == 0)
			ret = buf_printf(out, " %s", key);
	}
	return ret < 0 ? ret : buf_putc(out, '\n');
}

static int print_list(const struct line *line, const json_t *value, struct buf *out)
{
	size_t i;
	const json_t *item;
	int ret = json_array_size(value) ? buf_printf(out, "%s:\n", line->label) : 0;
	json_array_foreach (value, i, item) {
		if (ret == 0 && json_is_string(item))
			ret = buf_printf(out, "  %s\n", json_string_value(item));
	}
	return ret;
}

static int print_pairs(const json_t *value, struct buf *out)
{
	size_t i;
	const json_t *pair;
	int ret = 0;
	json_array_foreach (value, i, pair) {
		const char *key = json_string_value(json_array_get(pair, 0)),
			   *text = json_string_value(json_array_get(pair, 1));
		if (ret == 0 && key && text)
			ret = buf_printf(out, "  %s: %s\n", key, text);
	}
	return ret;
}

/* "name=seccomp,profile=builtin": the name, and the profile below it. */
static int print_security(const struct line *line, const json_t *value, struct buf *out)
{
	size_t i;
	const json_t *item;
	int ret = json_array_size(value) ? buf_printf(out, "%s:\n", line->label) : 0;
	json_array_foreach (value, i, item) {
		_autofree_(strv) char **fields = json_is_string(item) ? strv_split(json_string_value(item), ',') : NULL;
		for (char **field = fields; ret == 0 && field && *field; field++) {
			if (strncmp(*field, "name=", 5) == 0)
				ret = buf_printf(out, "  %s\n", *field + 5);
			else if (strncmp(*field, "profile=", 8) == 0)
				ret = buf_printf(out, "   Profile: %s\n", *field + 8);
		}
	}
	return ret;
}

static int print_one(const struct line *line, json_t *value, struct buf *out)
{
	switch (line->kind) {
	case LINE_VALUE:
	case LINE_IF_ANY: return print_scalar(line, value, out);
	case LINE_SIZE: return print_size(line, value, out);
	case LINE_WORDS: return print_words(line, value, out);
	case LINE_LIST: return print_list(line, value, out);
	case LINE_PAIRS: return print_pairs(value, out);
	case LINE_KEYS: return print_keys(line, value, out);
	case LINE_SECURITY: return print_security(line, value, out);
	case LINE_HEADING: return buf_printf(out, "%s:\n", line->label);
	}
	return -EINVAL;
}

static int print_info(const json_t *info, struct err **reterr)
{
	_cleanup_(buf_finish) struct buf out = BUF_INIT(PRINT_MAX);
	int ret = buf_printf(&out, "Client:\n Version:    %s\n Context:    default\n Debug Mode: false\n\nServer:\n",
		TARE_VERSION);
	for (size_t i = 0; ret == 0 && i < ARRAY_SIZE(lines); i++)
		ret = print_one(&lines[i], value_at(info, lines[i].path), &out);
	if (ret == 0)
		ret = buf_putc(&out, '\n');
	if (ret == 0)
		ret = print_out(out.data, out.len, reterr);
	size_t i;
	const json_t *warning;
	json_array_foreach (value_at(info, "Warnings"), i, warning)
		print_error("%s", json_string_value(warning));
	return ret;
}

static int info_run(const struct invocation *invocation, struct err **reterr)
{
	const struct info_options *options = invocation->options;
	_autofree_(template) struct template *template = NULL;
	const char *format = options->format && strcmp(options->format, "json") == 0 ? "{{json .}}" : options->format;
	if (format && *format && template_parse(format, &template, reterr) < 0) {
		print_error("%s", err_message(*reterr));
		return EXIT_BAD_TEMPLATE;
	}
	_autojson_ json_t *info = NULL;
	int ret = client_call(invocation->client, "GET", "/info", NULL, &info, reterr);
	if (ret < 0)
		return ret;
	if (!template)
		return print_info(info, reterr);
	_cleanup_(buf_finish) struct buf out = BUF_INIT(PRINT_MAX);
	const struct template_input input = { .data = info };
	ret = template_run(template, &input, &out, reterr);
	return ret < 0 ? ret : print_line(reterr, "%s", out.data ? out.data : "");
}

const struct command info_command = {
	.names = { "system info", "info" },
	.usage = "[OPTIONS]",
	.summary = "Print how the engine is set up and what it holds",
	.options = { { &table } },
	.options_size = sizeof(struct info_options),
	.flags = COMMAND_ENGINE,
	.run = info_run,
};
