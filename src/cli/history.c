#include <string.h>

#include "base/clock.h"
#include "cli/client.h"
#include "cli/humanize.h"
#include "cli/listing.h"
#include "cli/object.h"
#include "cli/platform.h"
#include "cli/print.h"
#include "cli/values.h"
#include "cli/verbs.h"
#include "codec/json.h"

#define CREATED_BY_WIDTH 45
#define YEAR_2000        946684800

struct history_options {
	const char *format;
	bool human;
	bool no_trunc;
	const char *platform;
	bool quiet;
};

#define OPTION(...) OPTION_IN(struct history_options, __VA_ARGS__)
static const struct option_spec specs[] = {
	OPTION("format", 0, OPTION_STRING, format, "Print as \"json\", by a template, or as \"table TEMPLATE\""),
	OPTION("human", 'H', OPTION_BOOL, human, "Print sizes and times for people", .fallback = "true"),
	OPTION("no-trunc", 0, OPTION_BOOL, no_trunc, "Don't shorten what is shown"),
	OPTION("platform", 0, OPTION_STRING, platform, "Show this variant of the image (os[/arch[/variant]])"),
	OPTION("quiet", 'q', OPTION_BOOL, quiet, "Print IDs only"),
};
static const struct option_table table = OPTION_TABLE(specs);

static const struct listing_column columns[] = {
	{ "Comment", "COMMENT" },
	{ "CreatedAt", "CREATED AT" },
	{ "CreatedBy", "CREATED BY" },
	{ "CreatedSince", "CREATED" },
	{ "ID", "IMAGE" },
	{ "Size", "SIZE" },
};
static const struct listing_kind kind = {
	.table = "{{.ID}}\\t{{.CreatedSince}}\\t{{.CreatedBy}}\\t{{.Size}}\\t{{.Comment}}",
	.quiet = "{{.ID}}",
	.columns = columns,
	.column_count = ARRAY_SIZE(columns)
};
static const struct listing_kind exact_kind = {
	.table = "{{.ID}}\\t{{.CreatedAt}}\\t{{.CreatedBy}}\\t{{.Size}}\\t{{.Comment}}",
	.quiet = "{{.ID}}",
	.columns = columns,
	.column_count = ARRAY_SIZE(columns)
};

static void put_created_by(struct object *row, const json_t *step, bool truncate)
{
	_cleanup_free_ char *text = strdup(value_string(step, "CreatedBy"));
	_cleanup_(buf_finish) struct buf shown = BUF_INIT(PRINT_MAX);
	for (char *p = text; p && *p; p++)
		*p = (char)(*p == '\t' ? ' ' : *p);
	if (!text || (truncate ? value_ellipsis(text, CREATED_BY_WIDTH, &shown) : buf_puts(&shown, text)) < 0)
		row->failed = true;
	else
		object_put_string(row, "CreatedBy", shown.data);
}

static void put_created_since(struct object *row, int64_t created, const char *exact, bool human)
{
	char age[HUMAN_MAX], text[HUMAN_MAX + 8] = "N/A";
	human_duration(clock_realtime_ns() / NS_PER_SEC - created, age);
	if (human && created > YEAR_2000)
		snprintf(text, sizeof text, "%s ago", age);
	object_put_string(row, "CreatedSince", human ? text : exact);
}

static int add_step(struct listing *listing, const struct history_options *options, const json_t *step,
	struct err **reterr)
{
	char created[HUMAN_MAX], size[HUMAN_MAX], id[VALUE_SHORT_ID_MAX];
	human_time_rfc3339(value_int(step, "Created"), -1, created);
	if (options->human)
		human_size((double)value_int(step, "Size"), 3, size);
	else
		snprintf(size, sizeof size, "%lld", (long long)value_int(step, "Size"));
	value_short_id(value_string(step, "Id"), id);

	_cleanup_(object_finish) struct object row;
	object_init(&row);
	object_put_string(&row, "Comment", value_string(step, "Comment"));
	object_put_string(&row, "CreatedAt", created);
	put_created_by(&row, step, !options->no_trunc);
	put_created_since(&row, value_int(step, "Created"), created, options->human);
	object_put_string(&row, "ID", options->no_trunc ? value_string(step, "Id") : id);
	object_put_string(&row, "Size", size);
	_autojson_ json_t *json = NULL;
	int ret = object_take(&row, &json, reterr);
	return ret < 0 ? ret : listing_add(listing, json, NULL, reterr);
}

static int history_run(const struct invocation *invocation, struct err **reterr)
{
	const struct history_options *options = invocation->options;
	_cleanup_(listing_finish) struct listing listing;
	_cleanup_(buf_finish) struct buf path = BUF_INIT(CLIENT_PATH_MAX);
	_autojson_ json_t *steps = NULL;
	int ret = listing_init(&listing, options->human ? &kind : &exact_kind, options->format, options->quiet, reterr);
	if (ret == 0 && client_path(&path, "/images/", invocation->args[0], "/history") < 0)
		ret = err_oom(reterr);
	if (ret == 0 && options->platform)
		ret = platform_append(options->platform, "platform", &path, reterr);
	if (ret == 0)
		ret = client_call(invocation->client, "GET", path.data, NULL, &steps, reterr);
	size_t i;
	json_t *step;
	json_array_foreach (steps, i, step) {
		if (ret == 0)
			ret = add_step(&listing, options, step, reterr);
	}
	return ret < 0 ? ret : listing_print(&listing, reterr);
}

const struct command history_command = {
	.names = { "image history", "history" },
	.usage = "[OPTIONS] IMAGE",
	.summary = "Show the steps that made an image",
	.options = { { &table } },
	.options_size = sizeof(struct history_options),
	.min_args = 1,
	.max_args = 1,
	.arguments = ARGUMENTS_IMAGES,
	.flags = COMMAND_ENGINE,
	.run = history_run,
};
