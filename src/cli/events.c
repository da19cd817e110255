#include <errno.h>
#include <string.h>

#include "base/strv.h"
#include "cli/client.h"
#include "cli/filters.h"
#include "cli/humanize.h"
#include "cli/print.h"
#include "cli/timestamp.h"
#include "cli/values.h"
#include "cli/verbs.h"
#include "codec/json.h"
#include "codec/template.h"

#define EXIT_BAD_TEMPLATE 64

struct events_options {
	char **filters;
	const char *format;
	const char *since;
	const char *until;
};

#define OPTION(...) OPTION_IN(struct events_options, __VA_ARGS__)
static const struct option_spec specs[] = {
	OPTION("filter", 'f', OPTION_LIST, filters,
		"Show only those that match (type=container, event=die, container=web...)", .word = "filter"),
	OPTION("format", 0, OPTION_STRING, format, "Print as \"json\" or by a template"),
	OPTION("since", 0, OPTION_STRING, since, "Begin with what happened then (2026-11-23T20:15:00Z, or 42m ago)"),
	OPTION("until", 0, OPTION_STRING, until, "End then"),
};
static const struct option_table table = OPTION_TABLE(specs);

/* " (image=debian, name=web)" */
static int append_attributes(const json_t *attributes, struct buf *out)
{
	_autofree_(strv) char **lines = NULL;
	const char *key;
	json_t *value;
	json_object_foreach ((json_t *)attributes, key, value) {
		if (strv_appendf(&lines, "%s=%s", key, json_is_string(value) ? json_string_value(value) : "") < 0)
			return -ENOMEM;
	}
	if (!lines)
		return 0;
	strv_sort(lines);
	_cleanup_free_ char *joined = strv_join(lines, ", ");
	return joined ? buf_printf(out, " (%s)", joined) : -ENOMEM;
}

/* "TIME TYPE ACTION ID (attributes)" */
static int append_event(const json_t *event, struct buf *out)
{
	char time[HUMAN_MAX];
	int64_t ns = value_int(event, "timeNano"), seconds = ns ? ns / 1000000000 : value_int(event, "time");
	human_time_rfc3339(seconds, ns % 1000000000, time);
	int ret = seconds ? buf_printf(out, "%s ", time) : 0;
	if (ret == 0)
		ret = buf_printf(out, "%s %s %s", value_string(event, "Type"), value_string(event, "Action"),
			value_string(event, "Actor.ID"));
	return ret < 0 ? ret : append_attributes(value_at(event, "Actor.Attributes"), out);
}

static int print_event(const struct template *template, json_t *event, struct err **reterr)
{
	_cleanup_(buf_finish) struct buf line = BUF_INIT(PRINT_MAX);
	const struct template_input input = { .data = event, .labels = value_at(event, "Actor.Attributes") };
	int ret = template ? template_run(template, &input, &line, reterr) : 0;
	if (ret < 0)
		return ret;
	if (!template && append_event(event, &line) < 0)
		return err_oom(reterr);
	return print_line(reterr, "%s", line.data ? line.data : "");
}

static int build_path(const struct events_options *options, struct buf *path, struct err **reterr)
{
	if (buf_puts(path, "/events") < 0)
		return err_oom(reterr);
	int ret = timestamp_append(path, "since", options->since, reterr);
	if (ret == 0)
		ret = timestamp_append(path, "until", options->until, reterr);
	return ret < 0 ? ret : filters_append(options->filters, path, reterr);
}

static int events_run(const struct invocation *invocation, struct err **reterr)
{
	const struct events_options *options = invocation->options;
	_autofree_(template) struct template *template = NULL;
	_cleanup_(buf_finish) struct buf path = BUF_INIT(CLIENT_PATH_MAX);
	const char *format = options->format && strcmp(options->format, "json") == 0 ? "{{json .}}" : options->format;
	if (format && *format && template_parse(format, &template, reterr) < 0) {
		print_error("Error parsing format: %s", err_message(reterr ? *reterr : NULL));
		return EXIT_BAD_TEMPLATE;
	}
	int ret = build_path(options, &path, reterr);
	if (ret < 0)
		return ret;

	const struct request request = { .method = "GET", .path = path.data };
	_autofree_(response) struct response *response = NULL;
	ret = client_request(invocation->client, &request, &response, reterr);
	while (ret == 0) {
		_autojson_ json_t *event = NULL;
		ret = response_next(response, &event, reterr);
		if (ret <= 0)
			return ret;
		ret = print_event(template, event, reterr);
	}
	return ret;
}

const struct command events_command = {
	.names = { "system events", "events" },
	.usage = "[OPTIONS]",
	.summary = "Print what happens, as it happens",
	.options = { { &table } },
	.options_size = sizeof(struct events_options),
	.flags = COMMAND_ENGINE,
	.run = events_run,
};
