#include "cli/client.h"
#include "cli/container_row.h"
#include "cli/filters.h"
#include "cli/listing.h"
#include "cli/print.h"
#include "cli/values.h"
#include "cli/verbs.h"
#include "codec/json.h"

#define TABLE "{{.ID}}\\t{{.Image}}\\t{{.Command}}\\t{{.RunningFor}}\\t{{.Status}}\\t{{.Ports}}\\t{{.Names}}"

struct ps_options {
	bool all;
	char **filters;
	const char *format;
	int64_t last;
	bool latest;
	bool no_trunc;
	bool quiet;
	bool size;
};

#define OPTION(...) OPTION_IN(struct ps_options, __VA_ARGS__)
static const struct option_spec specs[] = {
	OPTION("all", 'a', OPTION_BOOL, all, "Show those that don't run, too"),
	OPTION("filter", 'f', OPTION_LIST, filters,
		"Show only those that match (status=exited, name=web, label=key...)", .word = "filter"),
	OPTION("format", 0, OPTION_STRING, format, "Print as \"json\", by a template, or as \"table TEMPLATE\""),
	OPTION("last", 'n', OPTION_INT, last, "Show the last ones created, whatever their state", .fallback = "-1"),
	OPTION("latest", 'l', OPTION_BOOL, latest, "Show the last one created, whatever its state"),
	OPTION("no-trunc", 0, OPTION_BOOL, no_trunc, "Don't shorten what is shown"),
	OPTION("quiet", 'q', OPTION_BOOL, quiet, "Print IDs only"),
	OPTION("size", 's', OPTION_BOOL, size, "Show how much each takes on disk"),
};
static const struct option_table table = OPTION_TABLE(specs);

static const struct listing_column columns[] = {
	{ "Command", "COMMAND" },
	{ "CreatedAt", "CREATED AT" },
	{ "ID", "CONTAINER ID" },
	{ "Image", "IMAGE" },
	{ "Labels", "LABELS" },
	{ "LocalVolumes", "LOCAL VOLUMES" },
	{ "Mounts", "MOUNTS" },
	{ "Names", "NAMES" },
	{ "Networks", "NETWORKS" },
	{ "Platform", "PLATFORM" },
	{ "Ports", "PORTS" },
	{ "RunningFor", "CREATED" },
	{ "Size", "SIZE" },
	{ "State", "STATE" },
	{ "Status", "STATUS" },
};
static const struct listing_kind kind = {
	.table = TABLE, .quiet = "{{.ID}}", .columns = columns, .column_count = ARRAY_SIZE(columns)
};
static const struct listing_kind kind_with_size = {
	.table = TABLE "\\t{{.Size}}", .quiet = "{{.ID}}", .columns = columns, .column_count = ARRAY_SIZE(columns)
};

static int fetch(const struct invocation *invocation, const struct ps_options *options, bool size, json_t **ret,
	struct err **reterr)
{
	int64_t limit = options->latest && options->last == -1 ? 1 : options->last;
	_cleanup_(buf_finish) struct buf path = BUF_INIT(CLIENT_PATH_MAX);
	int r = buf_printf(&path, "/containers/json?all=%d", options->all);
	if (r == 0 && limit > 0)
		r = buf_printf(&path, "&limit=%lld", (long long)limit);
	if (r == 0 && size)
		r = buf_puts(&path, "&size=1");
	if (r < 0)
		return err_errno(reterr, r, "cannot make the request");
	r = filters_append(options->filters, &path, reterr);
	return r < 0 ? r : client_call(invocation->client, "GET", path.data, NULL, ret, reterr);
}

static int ps_run(const struct invocation *invocation, struct err **reterr)
{
	const struct ps_options *options = invocation->options;
	bool size = options->size || (!options->quiet && listing_uses(options->format, ".Size"));
	if (options->quiet && options->format)
		print_error("WARNING: Ignoring custom format, because both --format and --quiet are set.");

	_cleanup_(listing_finish) struct listing listing;
	_autojson_ json_t *containers = NULL;
	int ret = listing_init(&listing, size ? &kind_with_size : &kind, options->format, options->quiet, reterr);
	if (ret == 0)
		ret = fetch(invocation, options, size, &containers, reterr);

	size_t i;
	json_t *container;
	json_array_foreach (containers, i, container) {
		_autojson_ json_t *row = NULL;
		if (ret == 0)
			ret = container_row(container, !options->no_trunc, &row, reterr);
		if (ret == 0)
			ret = listing_add(&listing, row, value_at(container, "Labels"), reterr);
	}
	return ret < 0 ? ret : listing_print(&listing, reterr);
}

const struct command ps_command = {
	.names = { "container ls", "container list", "container ps", "ps" },
	.usage = "[OPTIONS]",
	.summary = "List containers",
	.options = { { &table } },
	.options_size = sizeof(struct ps_options),
	.flags = COMMAND_ENGINE,
	.run = ps_run,
};
