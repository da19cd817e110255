#include <string.h>

#include "base/clock.h"
#include "cli/client.h"
#include "cli/container_row.h"
#include "cli/humanize.h"
#include "cli/listing.h"
#include "cli/object.h"
#include "cli/print.h"
#include "cli/values.h"
#include "cli/verbs.h"
#include "codec/json.h"
#include "codec/reference.h"

struct df_options {
	const char *format;
	bool verbose;
};

#define OPTION(...) OPTION_IN(struct df_options, __VA_ARGS__)
static const struct option_spec specs[] = {
	OPTION("format", 0, OPTION_STRING, format, "Print as \"json\", by a template, or as \"table TEMPLATE\""),
	OPTION("verbose", 'v', OPTION_BOOL, verbose, "Show each image, container and volume"),
};
static const struct option_table table = OPTION_TABLE(specs);

#define KIND(columns_, table_)                                                                 \
 {                                                                                             \
  .table = (table_), .quiet = "", .columns = (columns_), .column_count = ARRAY_SIZE(columns_), \
 }

/* ---- the sums */

static const struct listing_column sum_columns[] = {
	{ "Active", "ACTIVE" },
	{ "Reclaimable", "RECLAIMABLE" },
	{ "Size", "SIZE" },
	{ "TotalCount", "TOTAL" },
	{ "Type", "TYPE" },
};
static const struct listing_kind sum_kind = KIND(sum_columns,
	"{{.Type}}\\t{{.TotalCount}}\\t{{.Active}}\\t{{.Size}}\\t{{.Reclaimable}}");

struct sum {
	const char *type;
	size_t count;
	size_t active;
	int64_t bytes;
	int64_t reclaimable;
};

/* What images in use have for themselves can't be had back; what they share is counted once, in the whole. */
static struct sum sum_images(const json_t *usage)
{
	struct sum sum = { .type = "Images", .bytes = value_int(usage, "LayersSize") };
	size_t i;
	const json_t *image;
	sum.reclaimable = sum.bytes;
	json_array_foreach (value_at(usage, "Images"), i, image) {
		sum.count++;
		if (value_int(image, "Containers") <= 0)
			continue;
		sum.active++;
		sum.reclaimable -= value_int(image, "Size") - value_int(image, "SharedSize");
	}
	return sum;
}

static bool is_active(const json_t *container)
{
	const char *state = value_string(container, "State");
	return strcmp(state, "running") == 0 || strcmp(state, "paused") == 0 || strcmp(state, "restarting") == 0;
}

static struct sum sum_containers(const json_t *usage)
{
	struct sum sum = { .type = "Containers" };
	size_t i;
	const json_t *container;
	json_array_foreach (value_at(usage, "Containers"), i, container) {
		int64_t bytes = value_int(container, "SizeRw");
		sum.count++;
		sum.bytes += bytes;
		if (is_active(container))
			sum.active++;
		else
			sum.reclaimable += bytes;
	}
	return sum;
}

static struct sum sum_volumes(const json_t *usage)
{
	struct sum sum = { .type = "Local Volumes" };
	size_t i;
	const json_t *volume;
	json_array_foreach (value_at(usage, "Volumes"), i, volume) {
		int64_t bytes = value_int(volume, "UsageData.Size");
		bool used = value_int(volume, "UsageData.RefCount") > 0;
		sum.count++;
		sum.active += used;
		sum.bytes += bytes > 0 ? bytes : 0;
		sum.reclaimable += bytes > 0 && !used ? bytes : 0;
	}
	return sum;
}

static int add_sum(struct listing *listing, const struct sum *sum, struct err **reterr)
{
	char count[HUMAN_MAX], active[HUMAN_MAX], size[HUMAN_MAX], reclaimable[HUMAN_MAX], text[2 * HUMAN_MAX];
	_cleanup_(object_finish) struct object row;
	_autojson_ json_t *json = NULL;
	snprintf(count, sizeof count, "%zu", sum->count);
	snprintf(active, sizeof active, "%zu", sum->active);
	human_size((double)sum->bytes, 4, size);
	human_size((double)sum->reclaimable, 4, reclaimable);
	if (sum->bytes > 0)
		snprintf(text, sizeof text, "%s (%lld%%)", reclaimable,
			(long long)(sum->reclaimable * 100 / sum->bytes));
	else
		snprintf(text, sizeof text, "%s", reclaimable);
	object_init(&row);
	object_put_string(&row, "Active", active);
	object_put_string(&row, "Reclaimable", text);
	object_put_string(&row, "Size", size);
	object_put_string(&row, "TotalCount", count);
	object_put_string(&row, "Type", sum->type);
	int ret = object_take(&row, &json, reterr);
	return ret < 0 ? ret : listing_add(listing, json, NULL, reterr);
}

static int print_sums(const json_t *usage, const char *format, struct err **reterr)
{
	const struct sum sums[] = { sum_images(usage), sum_containers(usage), sum_volumes(usage),
		{ .type = "Build Cache" } };
	_cleanup_(listing_finish) struct listing listing;
	int ret = listing_init(&listing, &sum_kind, format, false, reterr);
	for (size_t i = 0; ret == 0 && i < ARRAY_SIZE(sums); i++)
		ret = add_sum(&listing, &sums[i], reterr);
	return ret < 0 ? ret : listing_print(&listing, reterr);
}

/* ---- each of them */

static const struct listing_column image_columns[] = {
	{ "Containers", "CONTAINERS" },
	{ "CreatedSince", "CREATED" },
	{ "ID", "IMAGE ID" },
	{ "Repository", "REPOSITORY" },
	{ "SharedSize", "SHARED SIZE" },
	{ "Size", "SIZE" },
	{ "Tag", "TAG" },
	{ "UniqueSize", "UNIQUE SIZE" },
};
static const struct listing_kind image_kind = KIND(image_columns,
	"{{.Repository}}\\t{{.Tag}}\\t{{.ID}}\\t{{.CreatedSince}}\\t{{.Size}}\\t{{.SharedSize}}\\t{{.UniqueSize}}\\t{{.Containers}}");

static const struct listing_column container_columns[] = {
	{ "Command", "COMMAND" },
	{ "ID", "CONTAINER ID" },
	{ "Image", "IMAGE" },
	{ "LocalVolumes", "LOCAL VOLUMES" },
	{ "Names", "NAMES" },
	{ "RunningFor", "CREATED" },
	{ "Size", "SIZE" },
	{ "Status", "STATUS" },
};
static const struct listing_kind container_kind = KIND(container_columns,
	"{{.ID}}\\t{{.Image}}\\t{{.Command}}\\t{{.LocalVolumes}}\\t{{.Size}}\\t{{.RunningFor}}\\t{{.Status}}\\t{{.Names}}");

static const struct listing_column volume_columns[] = {
	{ "Links", "LINKS" },
	{ "Name", "VOLUME NAME" },
	{ "Size", "SIZE" },
};
static const struct listing_kind volume_kind = KIND(volume_columns, "{{.Name}}\\t{{.Links}}\\t{{.Size}}");

static const struct listing_column cache_columns[] = {
	{ "CacheType", "CACHE TYPE" },
	{ "CreatedSince", "CREATED" },
	{ "ID", "CACHE ID" },
	{ "LastUsedSince", "LAST USED" },
	{ "Shared", "SHARED" },
	{ "Size", "SIZE" },
	{ "UsageCount", "USAGE" },
};
static const struct listing_kind cache_kind = KIND(cache_columns,
	"{{.ID}}\\t{{.CacheType}}\\t{{.Size}}\\t{{.CreatedSince}}\\t{{.LastUsedSince}}\\t{{.UsageCount}}\\t{{.Shared}}");

static void put_size(struct object *row, const char *key, int64_t bytes, int digits)
{
	char text[HUMAN_MAX];
	human_size((double)bytes, digits, text);
	object_put_string(row, key, text);
}

/* By the first of its names, or its digest's. */
static void put_name(struct object *row, const json_t *image)
{
	_cleanup_(reference_finish) struct reference reference = { NULL };
	const char *tag = json_string_value(json_array_get(value_at(image, "RepoTags"), 0));
	const char *name = tag ?: json_string_value(json_array_get(value_at(image, "RepoDigests"), 0));
	bool parsed = name && reference_parse(name, &reference, NULL) == 0;
	object_put_string(row, "Repository", parsed ? reference_familiar(reference.repository) : "<none>");
	object_put_string(row, "Tag", parsed && reference.tag ? reference.tag : "<none>");
}

static int image_row(const json_t *image, json_t **ret, struct err **reterr)
{
	char text[HUMAN_MAX + 8], id[VALUE_SHORT_ID_MAX], age[HUMAN_MAX];
	int64_t size = value_int(image, "Size"), shared = value_int(image, "SharedSize");
	_cleanup_(object_finish) struct object row;
	object_init(&row);
	snprintf(text, sizeof text, "%lld", (long long)value_int(image, "Containers"));
	object_put_string(&row, "Containers", text);
	human_duration(clock_realtime_ns() / NS_PER_SEC - value_int(image, "Created"), age);
	snprintf(text, sizeof text, "%s ago", age);
	object_put_string(&row, "CreatedSince", text);
	value_short_id(value_string(image, "Id"), id);
	object_put_string(&row, "ID", id);
	put_name(&row, image);
	put_size(&row, "SharedSize", shared, 4);
	put_size(&row, "Size", size, 3);
	put_size(&row, "UniqueSize", size - shared, 4);
	return object_take(&row, ret, reterr);
}

/* Without what it has of its image: that is the image's. */
static int own_container_row(const json_t *container, json_t **ret, struct err **reterr)
{
	_autojson_ json_t *own = json_copy((json_t *)container);
	json_object_del(own, "SizeRootFs");
	return own ? container_row(own, true, ret, reterr) : err_oom(reterr);
}

static int volume_row(const json_t *volume, json_t **ret, struct err **reterr)
{
	char links[HUMAN_MAX];
	int64_t size = value_int(volume, "UsageData.Size");
	_cleanup_(object_finish) struct object row;
	object_init(&row);
	snprintf(links, sizeof links, "%lld", (long long)value_int(volume, "UsageData.RefCount"));
	object_put_string(&row, "Links", links);
	object_put_string(&row, "Name", value_string(volume, "Name"));
	if (size < 0)
		object_put_string(&row, "Size", "N/A");
	else
		put_size(&row, "Size", size, 4);
	return object_take(&row, ret, reterr);
}

typedef int row_fn(const json_t *item, json_t **ret, struct err **reterr);

static int print_each(const struct listing_kind *kind, const json_t *items, row_fn *make, struct err **reterr)
{
	_cleanup_(listing_finish) struct listing listing;
	int ret = listing_init(&listing, kind, NULL, false, reterr);
	size_t i;
	const json_t *item;
	json_array_foreach (items, i, item) {
		_autojson_ json_t *row = NULL;
		if (ret == 0)
			ret = make(item, &row, reterr);
		if (ret == 0)
			ret = listing_add(&listing, row, NULL, reterr);
	}
	return ret < 0 ? ret : listing_print(&listing, reterr);
}

static int print_all(const json_t *usage, struct err **reterr)
{
	const struct {
		const char *heading;
		const struct listing_kind *kind;
		const json_t *items;
		row_fn *make;
	} parts[] = {
		{ "Images space usage:\n", &image_kind, value_at(usage, "Images"), image_row },
		{ "\nContainers space usage:\n", &container_kind, value_at(usage, "Containers"), own_container_row },
		{ "\nLocal Volumes space usage:\n", &volume_kind, value_at(usage, "Volumes"), volume_row },
		{ "\nBuild cache usage: 0B\n", &cache_kind, NULL, NULL },
	};
	int ret = 0;
	for (size_t i = 0; ret == 0 && i < ARRAY_SIZE(parts); i++) {
		ret = print_line(reterr, "%s", parts[i].heading);
		if (ret == 0)
			ret = print_each(parts[i].kind, parts[i].items, parts[i].make, reterr);
	}
	return ret;
}

static int df_run(const struct invocation *invocation, struct err **reterr)
{
	const struct df_options *options = invocation->options;
	_autojson_ json_t *usage = NULL;
	if (options->verbose && options->format)
		return err_set(reterr, ERR_UNSUPPORTED, 0, "--verbose can't be combined with --format");
	int ret = client_call(invocation->client, "GET", "/system/df", NULL, &usage, reterr);
	if (ret < 0)
		return ret;
	return options->verbose ? print_all(usage, reterr) : print_sums(usage, options->format, reterr);
}

const struct command system_df_command = {
	.names = { "system df" },
	.usage = "[OPTIONS]",
	.summary = "Show how much images, containers and volumes take on disk",
	.options = { { &table } },
	.options_size = sizeof(struct df_options),
	.flags = COMMAND_ENGINE,
	.run = df_run,
};
