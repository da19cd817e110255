/* volume create, ls, rm. (inspect.c has inspect, prune.c prune.) */
#include <string.h>

#include "base/strv.h"
#include "cli/client.h"
#include "cli/each.h"
#include "cli/filters.h"
#include "cli/humanize.h"
#include "cli/listing.h"
#include "cli/object.h"
#include "cli/print.h"
#include "cli/text.h"
#include "cli/values.h"
#include "cli/verbs.h"
#include "codec/json.h"

/* create */

struct create_options {
	const char *driver;
	char **labels;
	const char *name;
	char **driver_options;
};

#define OPTION(...) OPTION_IN(struct create_options, __VA_ARGS__)
static const struct option_spec create_specs[] = {
	OPTION("driver", 'd', OPTION_STRING, driver, "Driver that makes it", .fallback = "local"),
	OPTION("label", 0, OPTION_LIST, labels, "Set a label (key=value)"),
	OPTION("name", 0, OPTION_STRING, name, "The same as the argument", .hidden = true),
	OPTION("opt", 'o', OPTION_LIST, driver_options, "Set an option of the driver (key=value)", .word = "map"),
};
#undef OPTION
static const struct option_table create_table = OPTION_TABLE(create_specs);

static int volume_create_run(const struct invocation *invocation, struct err **reterr)
{
	const struct create_options *options = invocation->options;
	if (invocation->arg_count && options->name)
		return err_set(reterr, ERR_INVALID, 0,
			"conflicting options: cannot specify a volume-name through both --name and "
			"as a positional arg");
	_cleanup_(object_finish) struct object volume;
	object_init(&volume);
	object_put_string(&volume, "Name", invocation->arg_count ? invocation->args[0] : options->name);
	object_put_string(&volume, "Driver", options->driver);
	object_put_map(&volume, "DriverOpts", options->driver_options);
	object_put_map(&volume, "Labels", options->labels);
	_autojson_ json_t *body = NULL, *answer = NULL;
	int ret = object_take(&volume, &body, reterr);
	if (ret == 0)
		ret = client_call(invocation->client, "POST", "/volumes/create", body, &answer, reterr);
	return ret < 0 ? ret : print_line(reterr, "%s", value_string(answer, "Name"));
}

const struct command volume_create_command = {
	.names = { "volume create" },
	.usage = "[OPTIONS] [VOLUME]",
	.summary = "Make a volume",
	.options = { { &create_table } },
	.options_size = sizeof(struct create_options),
	.max_args = 1,
	.flags = COMMAND_ENGINE,
	.run = volume_create_run,
};

/* ls */

struct ls_options {
	char **filters;
	const char *format;
	bool quiet;
};

#define OPTION(...) OPTION_IN(struct ls_options, __VA_ARGS__)
static const struct option_spec ls_specs[] = {
	OPTION("filter", 'f', OPTION_LIST, filters,
		"Show only those that match (dangling=true, name=data, label=key...)", .word = "filter"),
	OPTION("format", 0, OPTION_STRING, format, "Print as \"json\", by a template, or as \"table TEMPLATE\""),
	OPTION("quiet", 'q', OPTION_BOOL, quiet, "Print names only"),
};
#undef OPTION
static const struct option_table ls_table = OPTION_TABLE(ls_specs);

static const struct listing_column columns[] = {
	{ "Availability", "AVAILABILITY" },
	{ "Driver", "DRIVER" },
	{ "Group", "GROUP" },
	{ "Labels", "LABELS" },
	{ "Links", "LINKS" },
	{ "Mountpoint", "MOUNTPOINT" },
	{ "Name", "VOLUME NAME" },
	{ "Scope", "SCOPE" },
	{ "Size", "SIZE" },
	{ "Status", "STATUS" },
};
static const struct listing_kind kind = { .table = "{{.Driver}}\\t{{.Name}}",
	.quiet = "{{.Name}}",
	.columns = columns,
	.column_count = ARRAY_SIZE(columns) };

static int add_volume(struct listing *listing, const json_t *volume, struct err **reterr)
{
	_cleanup_(buf_finish) struct buf labels = BUF_INIT(PRINT_MAX);
	char links[HUMAN_MAX] = "N/A", size[HUMAN_MAX] = "N/A";
	if (value_join_labels(value_at(volume, "Labels"), &labels) < 0)
		return err_oom(reterr);
	if (value_at(volume, "UsageData.RefCount")) {
		snprintf(links, sizeof links, "%lld", (long long)value_int(volume, "UsageData.RefCount"));
		human_size((double)value_int(volume, "UsageData.Size"), 4, size);
	}
	_cleanup_(object_finish) struct object row;
	object_init(&row);
	object_put_string(&row, "Availability", "N/A");
	object_put_string(&row, "Driver", value_string(volume, "Driver"));
	object_put_string(&row, "Group", "N/A");
	object_put_string(&row, "Labels", labels.data ? labels.data : "");
	object_put_string(&row, "Links", links);
	object_put_string(&row, "Mountpoint", value_string(volume, "Mountpoint"));
	object_put_string(&row, "Name", value_string(volume, "Name"));
	object_put_string(&row, "Scope", value_string(volume, "Scope"));
	object_put_string(&row, "Size", size);
	object_put_string(&row, "Status", "N/A");
	_autojson_ json_t *json = NULL;
	int ret = object_take(&row, &json, reterr);
	return ret < 0 ? ret : listing_add(listing, json, value_at(volume, "Labels"), reterr);
}

static int compare_volumes(const void *a, const void *b)
{
	return strverscmp(value_string(*(json_t *const *)a, "Name"), value_string(*(json_t *const *)b, "Name"));
}

/* In the order of their names; numbers in them count as numbers. */
static int add_volumes(struct listing *listing, const json_t *volumes, struct err **reterr)
{
	size_t count = json_array_size(volumes);
	_cleanup_free_ json_t **sorted = calloc(count + 1, sizeof(json_t *));
	if (!sorted)
		return err_oom(reterr);
	for (size_t i = 0; i < count; i++)
		sorted[i] = json_array_get(volumes, i);
	qsort(sorted, count, sizeof(json_t *), compare_volumes);
	int ret = 0;
	for (size_t i = 0; ret == 0 && i < count; i++)
		ret = add_volume(listing, sorted[i], reterr);
	return ret;
}

static int volume_ls_run(const struct invocation *invocation, struct err **reterr)
{
	const struct ls_options *options = invocation->options;
	_cleanup_(listing_finish) struct listing listing;
	_cleanup_(buf_finish) struct buf path = BUF_INIT(CLIENT_PATH_MAX);
	_autojson_ json_t *answer = NULL;
	int ret = listing_init(&listing, &kind, options->format, options->quiet, reterr);
	if (ret == 0 && buf_puts(&path, "/volumes") < 0)
		ret = err_oom(reterr);
	if (ret == 0)
		ret = filters_append(options->filters, &path, reterr);
	if (ret == 0)
		ret = client_call(invocation->client, "GET", path.data, NULL, &answer, reterr);
	if (ret == 0)
		ret = add_volumes(&listing, value_at(answer, "Volumes"), reterr);
	return ret < 0 ? ret : listing_print(&listing, reterr);
}

const struct command volume_ls_command = {
	.names = { "volume ls", "volume list" },
	.usage = "[OPTIONS]",
	.summary = "List volumes",
	.options = { { &ls_table } },
	.options_size = sizeof(struct ls_options),
	.flags = COMMAND_ENGINE,
	.run = volume_ls_run,
};

/* rm */

struct rm_options {
	bool force;
};

static const struct option_spec rm_specs[] = {
	OPTION_IN(struct rm_options, "force", 'f', OPTION_BOOL, force, "Don't fail if there is none"),
};
static const struct option_table rm_table = OPTION_TABLE(rm_specs);

static int volume_rm_run(const struct invocation *invocation, struct err **reterr)
{
	const struct rm_options *options = invocation->options;
	const struct each each = { .method = "DELETE",
		.before = "/volumes/",
		.after = options->force ? "?force=1" : "",
		.missing_is_fine = options->force };
	return each_argument(invocation, &each, reterr);
}

const struct command volume_rm_command = {
	.names = { "volume rm", "volume remove" },
	.usage = "[OPTIONS] VOLUME [VOLUME...]",
	.summary = "Remove volumes that no container uses",
	.options = { { &rm_table } },
	.options_size = sizeof(struct rm_options),
	.min_args = 1,
	.max_args = COMMAND_ARGS_ANY,
	.arguments = ARGUMENTS_VOLUMES,
	.flags = COMMAND_ENGINE,
	.run = volume_rm_run,
};
