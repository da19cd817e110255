#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/strv.h"
#include "cli/client.h"
#include "cli/filters.h"
#include "cli/humanize.h"
#include "cli/listing.h"
#include "cli/object.h"
#include "cli/print.h"
#include "cli/values.h"
#include "cli/verbs.h"
#include "codec/json.h"
#include "codec/reference.h"

#define AGE "{{if .CreatedSince}}{{.CreatedSince}}{{else}}N/A{{end}}"

struct images_options {
	bool all;
	bool digests;
	char **filters;
	const char *format;
	bool no_trunc;
	bool quiet;
	bool tree;
};

#define OPTION(...) OPTION_IN(struct images_options, __VA_ARGS__)
static const struct option_spec specs[] = {
	OPTION("all", 'a', OPTION_BOOL, all, "Show images that only others are built on, too"),
	OPTION("digests", 0, OPTION_BOOL, digests, "Show digests"),
	OPTION("filter", 'f', OPTION_LIST, filters,
		"Show only those that match (dangling=true, reference=debian*, label=key...)", .word = "filter"),
	OPTION("format", 0, OPTION_STRING, format, "Print as \"json\", by a template, or as \"table TEMPLATE\""),
	OPTION("no-trunc", 0, OPTION_BOOL, no_trunc, "Don't shorten what is shown"),
	OPTION("quiet", 'q', OPTION_BOOL, quiet, "Print IDs only"),
	OPTION("tree", 0, OPTION_BOOL, tree, "Show the platforms of each image below it"),
};
static const struct option_table table = OPTION_TABLE(specs);

static const struct listing_column columns[] = {
	{ "Containers", "CONTAINERS" },
	{ "CreatedAt", "CREATED AT" },
	{ "CreatedSince", "CREATED" },
	{ "Digest", "DIGEST" },
	{ "ID", "IMAGE ID" },
	{ "Repository", "REPOSITORY" },
	{ "SharedSize", "SHARED SIZE" },
	{ "Size", "SIZE" },
	{ "Tag", "TAG" },
	{ "UniqueSize", "UNIQUE SIZE" },
	{ "VirtualSize", "SIZE" },
};
static const struct listing_kind kind = { .table = "{{.Repository}}\\t{{.Tag}}\\t{{.ID}}\\t" AGE "\\t{{.Size}}",
	.quiet = "{{.ID}}",
	.columns = columns,
	.column_count = ARRAY_SIZE(columns) };
static const struct listing_kind kind_with_digests = {
	.table = "{{.Repository}}\\t{{.Tag}}\\t{{.Digest}}\\t{{.ID}}\\t" AGE "\\t{{.Size}}",
	.quiet = "{{.ID}}",
	.columns = columns,
	.column_count = ARRAY_SIZE(columns)
};

/* What one list needs to make its rows. */
struct rows {
	struct listing *listing;
	const struct images_options *options;
	bool digests; /* a row for each */
};

static void put_size(struct object *row, const char *key, int64_t bytes, int digits)
{
	char text[HUMAN_MAX];
	human_size((double)bytes, digits, text);
	object_put_string(row, key, bytes < 0 ? "N/A" : text);
}

static void put_age(struct object *row, int64_t created)
{
	char text[HUMAN_MAX];
	human_duration(clock_realtime_ns() / NS_PER_SEC - created, text);
	_cleanup_free_ char *age = NULL;
	if (asprintf(&age, "%s ago", text) < 0)
		row->failed = true;
	else
		object_put_string(row, "CreatedSince", age);
}

static int add_row(const struct rows *rows, const json_t *image, const char *repository, const char *tag,
	const char *digest, struct err **reterr)
{
	char text[HUMAN_MAX], id[VALUE_SHORT_ID_MAX];
	int64_t containers = value_int(image, "Containers"), size = value_int(image, "Size");
	int64_t shared = value_at(image, "SharedSize") ? value_int(image, "SharedSize") : -1;
	_cleanup_(object_finish) struct object row;
	object_init(&row);
	snprintf(text, sizeof text, "%lld", (long long)containers);
	object_put_string(&row, "Containers", containers < 0 || !value_at(image, "Containers") ? "N/A" : text);
	human_time(value_int(image, "Created"), text);
	object_put_string(&row, "CreatedAt", text);
	put_age(&row, value_int(image, "Created"));
	object_put_string(&row, "Digest", digest);
	value_short_id(value_string(image, "Id"), id);
	object_put_string(&row, "ID", rows->options->no_trunc ? value_string(image, "Id") : id);
	object_put_string(&row, "Repository", repository);
	put_size(&row, "SharedSize", shared, 4);
	put_size(&row, "Size", size, 3);
	object_put_string(&row, "Tag", tag);
	put_size(&row, "UniqueSize", shared < 0 ? -1 : size - shared, 4);
	put_size(&row, "VirtualSize", size, 4);

	_autojson_ json_t *json = NULL;
	int ret = object_take(&row, &json, reterr);
	return ret < 0 ? ret : listing_add(rows->listing, json, value_at(image, "Labels"), reterr);
}

static bool is_dangling(const json_t *image)
{
	const json_t *tags = value_at(image, "RepoTags"), *digests = value_at(image, "RepoDigests");
	const char *tag = json_string_value(json_array_get(tags, 0));
	if (!json_array_size(tags) && !json_array_size(digests))
		return true;
	return tag && strcmp(tag, "<none>:<none>") == 0;
}

/* A row for each digest of the image that is in `repository`; how many there were. */
static int add_digest_rows(const struct rows *rows, const json_t *image, const char *repository, const char *tag,
	size_t *ret_count, struct err **reterr)
{
	size_t i;
	const json_t *item;
	int ret = 0;
	*ret_count = 0;
	json_array_foreach (value_at(image, "RepoDigests"), i, item) {
		_cleanup_(reference_finish) struct reference digest = { NULL };
		const char *text = json_string_value(item);
		if (ret < 0 || !text || reference_parse(text, &digest, NULL) < 0 || !digest.digest ||
			strcmp(digest.repository, repository) != 0)
			continue;
		ret = add_row(rows, image, reference_familiar(repository), tag, digest.digest, reterr);
		++*ret_count;
	}
	return ret;
}

static int add_tag_rows(const struct rows *rows, const json_t *image, char ***repositories, struct err **reterr)
{
	size_t i, count = 0;
	const json_t *item;
	int ret = 0;
	json_array_foreach (value_at(image, "RepoTags"), i, item) {
		_cleanup_(reference_finish) struct reference tag = { NULL };
		const char *text = json_string_value(item);
		if (ret < 0 || !text || reference_parse(text, &tag, NULL) < 0 || !tag.tag)
			continue;
		if (strv_append(repositories, tag.repository) < 0)
			return err_oom(reterr);
		if (rows->digests)
			ret = add_digest_rows(rows, image, tag.repository, tag.tag, &count, reterr);
		if (ret == 0 && !count)
			ret = add_row(rows, image, reference_familiar(tag.repository), tag.tag, "<none>", reterr);
	}
	return ret;
}

/* Rows for the repositories that the image is in by digest alone. */
static int add_untagged_rows(const struct rows *rows, const json_t *image, char **repositories, struct err **reterr)
{
	size_t i;
	const json_t *item;
	int ret = 0;
	_autofree_(strv) char **seen = strv_copy(repositories);
	if (!seen)
		return err_oom(reterr);
	json_array_foreach (value_at(image, "RepoDigests"), i, item) {
		_cleanup_(reference_finish) struct reference digest = { NULL };
		const char *text = json_string_value(item);
		if (ret < 0 || !text || reference_parse(text, &digest, NULL) < 0 || !digest.digest ||
			strv_has(repositories, digest.repository))
			continue;
		if (!rows->digests && strv_has(seen, digest.repository))
			continue;
		if (strv_append(&seen, digest.repository) < 0)
			return err_oom(reterr);
		ret = add_row(rows, image, reference_familiar(digest.repository), "<none>",
			rows->digests ? digest.digest : "", reterr);
	}
	return ret;
}

static int add_image(const struct rows *rows, const json_t *image, struct err **reterr)
{
	if (is_dangling(image))
		return add_row(rows, image, "<none>", "<none>", "<none>", reterr);
	_autofree_(strv) char **repositories = NULL;
	int ret = add_tag_rows(rows, image, &repositories, reterr);
	return ret < 0 ? ret : add_untagged_rows(rows, image, repositories, reterr);
}

/* One tree: the image, its tags, and its size. */
static int print_tree(const json_t *images, struct err **reterr)
{
	size_t i, k;
	const json_t *image, *item;
	int ret = 0;
	json_array_foreach (images, i, image) {
		char id[VALUE_SHORT_ID_MAX], size[HUMAN_MAX];
		value_short_id(value_string(image, "Id"), id);
		human_size((double)value_int(image, "Size"), 3, size);
		const json_t *manifests = value_at(image, "Manifests");
		if (ret == 0)
			ret = print_line(reterr, "%s  %s", id, size);
		json_array_foreach (value_at(image, "RepoTags"), k, item) {
			if (ret == 0)
				ret = print_line(reterr, "  %s", json_string_value(item));
		}
		json_array_foreach (manifests, k, item) {
			const json_t *platform = value_at(item, "ImageData.Platform");
			if (ret == 0 && platform)
				ret = print_line(reterr, "  └─ %s/%s", value_string(platform, "os"),
					value_string(platform, "architecture"));
		}
	}
	return ret;
}

static int fetch(const struct invocation *invocation, const struct images_options *options, json_t **ret,
	struct err **reterr)
{
	_autofree_(strv) char **filters = strv_copy(options->filters);
	if (!filters || (invocation->arg_count && strv_appendf(&filters, "reference=%s", invocation->args[0]) < 0))
		return err_oom(reterr);
	_cleanup_(buf_finish) struct buf path = BUF_INIT(CLIENT_PATH_MAX);
	if (buf_printf(&path, "/images/json?all=%d%s", options->all, options->tree ? "&manifests=1" : "") < 0)
		return err_oom(reterr);
	int r = filters_append(filters, &path, reterr);
	return r < 0 ? r : client_call(invocation->client, "GET", path.data, NULL, ret, reterr);
}

static int images_run(const struct invocation *invocation, struct err **reterr)
{
	const struct images_options *options = invocation->options;
	_cleanup_(listing_finish) struct listing listing;
	_autojson_ json_t *images = NULL;
	int ret = listing_init(&listing, options->digests ? &kind_with_digests : &kind, options->format, options->quiet,
		reterr);
	if (ret == 0 && options->tree && (options->quiet || options->no_trunc || options->digests || options->format))
		ret = err_set(reterr, ERR_INVALID, 0,
			"--tree can't be combined with --quiet, --no-trunc, --digests or --format");
	if (ret == 0)
		ret = fetch(invocation, options, &images, reterr);
	if (ret == 0 && options->tree)
		return print_tree(images, reterr);

	const struct rows rows = { .listing = &listing,
		.options = options,
		.digests = options->digests || listing_uses(options->format, ".Digest") };
	size_t i;
	json_t *image;
	json_array_foreach (images, i, image) {
		if (ret == 0)
			ret = add_image(&rows, image, reterr);
	}
	return ret < 0 ? ret : listing_print(&listing, reterr);
}

const struct command images_command = {
	.names = { "image ls", "image list", "images" },
	.usage = "[OPTIONS] [REPOSITORY[:TAG]]",
	.summary = "List images",
	.options = { { &table } },
	.options_size = sizeof(struct images_options),
	.max_args = 1,
	.arguments = ARGUMENTS_IMAGES,
	.flags = COMMAND_ENGINE,
	.run = images_run,
};
