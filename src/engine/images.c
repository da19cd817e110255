#include "engine/images.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/strv.h"
#include "codec/reference.h"
#include "engine/container.h"
#include "engine/events.h"
#include "engine/times.h"
#include "engine/workers.h"
#include "spec/image_inspect.h"
#include "spec/platform.h"
#include "store/partial.h"

/* The last API version whose clients read VirtualSize. */
#define VIRTUAL_SIZE_MINOR 43

/* --- inspect and history --- */

static void fill_image(const struct store_image *image, int api_minor, struct image_inspect *inspect)
{
	const struct oci_image_config *config = image->config;
	*inspect = (struct image_inspect){
		.id = (char *)image->id,
		.repo_tags = image->repo_tags,
		.repo_digests = image->repo_digests,
		.parent = (char *)image->parent,
		.comment = config->comment,
		.created = config->created,
		.docker_version = config->docker_version,
		.author = config->author,
		.config = (struct oci_image_run *)&config->config,
		.architecture = config->architecture,
		.variant = config->variant,
		.os = config->os && config->os[0] ? config->os : (char *)"linux",
		.os_version = config->os_version,
		.size = image->size_bytes,
		.virtual_size = api_minor <= VIRTUAL_SIZE_MINOR ? image->size_bytes : 0,
		.graph_driver = { .name = (char *)"overlay2" },
		.rootfs = { .type = (char *)"layers", .layers = image->diff_ids },
	};
}

/* Where the layers lie: the topmost, and those below it. */
static int layer_folders(struct engine *engine, const struct store_image *image, struct map **ret, struct err **reterr)
{
	_autofree_(strv) char **paths = NULL;
	_autofree_(map) struct map *folders = map_new(free);
	int r = store_layers_paths(engine->store, image, &paths, reterr);
	if (r < 0)
		return r;
	char *upper = paths ? strdup(paths[0]) : NULL;
	if (!folders || (paths && map_set(folders, "UpperDir", upper) < 0)) {
		free(upper);
		return err_oom(reterr);
	}
	char *lower = paths && paths[1] ? strv_join(paths + 1, ":") : NULL;
	if (paths && paths[1] && (!lower || map_set(folders, "LowerDir", lower) < 0)) {
		free(lower);
		return err_oom(reterr);
	}
	*ret = TAKE(folders);
	return 0;
}

static int find_of_platform(struct engine *engine, const char *name, const char *platform, struct store_image **ret,
	struct err **reterr)
{
	_autofree_(store_image) struct store_image *image = NULL;
	struct platform wanted;
	int r = store_image_find(engine->store, name, &image, reterr);
	if (r == 0 && platform && platform[0]) {
		r = platform_parse(platform, &wanted, reterr);
		if (r == 0)
			r = platform_check(&wanted, image->config, name, reterr);
	}
	if (r == 0)
		*ret = TAKE(image);
	return r;
}

int images_inspect(struct engine *engine, const char *name, const char *platform, int api_minor, json_t **ret,
	struct err **reterr)
{
	_autofree_(store_image) struct store_image *image = NULL;
	_autofree_(map) struct map *folders = NULL;
	char tagged[CLOCK_RFC3339_MAX];
	struct image_inspect inspect;
	int r = find_of_platform(engine, name, platform, &image, reterr);
	if (r == 0)
		r = layer_folders(engine, image, &folders, reterr);
	if (r < 0)
		return r;
	fill_image(image, api_minor, &inspect);
	inspect.graph_driver.data = folders;
	clock_format_rfc3339(image->last_tagged_ns, tagged);
	inspect.metadata.last_tag_time = tagged;
	*ret = json_write(&image_inspect_table, &inspect);
	return *ret ? 0 : err_oom(reterr);
}

int images_history(struct engine *engine, const char *name, const char *platform, json_t **ret, struct err **reterr)
{
	_autofree_(store_image) struct store_image *image = NULL;
	struct store_history *entries = NULL;
	size_t count;
	int r = find_of_platform(engine, name, platform, &image, reterr);
	if (r == 0)
		r = store_image_history(image, &entries, &count, reterr);
	if (r < 0)
		return r;
	json_t *list = json_array();
	for (size_t i = 0; i < count; i++) {
		const struct image_history_item item = {
			.comment = (char *)entries[i].comment,
			.created = entries[i].created_ns == CLOCK_NEVER ? 0 : entries[i].created_ns / NS_PER_SEC,
			.created_by = (char *)entries[i].created_by,
			.id = (char *)entries[i].id,
			.size = entries[i].size_bytes,
			.tags = i == 0 ? image->repo_tags : NULL,
		};
		json_array_append_new(list, json_write(&image_history_item_table, &item));
	}
	free(entries);
	*ret = list;
	return list ? 0 : err_oom(reterr);
}

/* --- the list --- */

const char *const images_list_filters[] = { "before", "dangling", "label", "reference", "since", "until", NULL };

/* Whether "*" and "?" of `pattern` make it `text`; neither crosses a slash. Linear but for the last star's second chances. */
static bool glob(const char *pattern, const char *text)
{
	const char *star = NULL, *after_star = NULL;
	while (*text) {
		if (*pattern == '*') {
			star = ++pattern;
			after_star = text;
		} else if (*pattern == *text || (*pattern == '?' && *text != '/')) {
			pattern++;
			text++;
		} else if (star && *after_star != '/') {
			pattern = star;
			text = ++after_star;
		} else {
			return false;
		}
	}
	while (*pattern == '*')
		pattern++;
	return *pattern == '\0';
}

/* A pattern is about the name, or about name and tag or digest. */
static bool match_reference(const struct filters *filters, const char *reference)
{
	if (!filters_has(filters, "reference"))
		return true;
	const char *end = strchr(reference, '@') ?: strrchr(reference, ':');
	_cleanup_free_ char *name = end ? strndup(reference, (size_t)(end - reference)) : NULL;
	strv_foreach (pattern, filters_values(filters, "reference")) {
		if (glob(*pattern, reference) || (name && glob(*pattern, name)))
			return true;
	}
	return false;
}

/* Of an image's names only those are shown that the filter asks for; with none of them it is not shown at all. */
static int select_names(const struct filters *filters, char *const *names, char ***ret)
{
	int r = 0;
	strv_foreach (name, names) {
		if (r == 0 && match_reference(filters, *name))
			r = strv_append(ret, *name);
	}
	return r;
}

static bool match_names(const struct filters *filters, const struct store_image *image)
{
	bool matches = !filters_has(filters, "reference");
	strv_foreach (tag, image->repo_tags)
		matches = matches || match_reference(filters, *tag);
	strv_foreach (digest, image->repo_digests)
		matches = matches || match_reference(filters, *digest);
	return matches;
}

struct image_limits {
	bool dangling;
	int64_t until_ns;
	int64_t before_ns;
	int64_t since_ns;
};

static int read_limits(struct engine *engine, const struct filters *filters, struct image_limits *limits,
	struct err **reterr)
{
	const struct {
		const char *key;
		int64_t *time_ns;
	} names[] = { { "before", &limits->before_ns }, { "since", &limits->since_ns } };
	*limits = (struct image_limits){ .before_ns = INT64_MAX, .since_ns = INT64_MIN };
	int r = filters_bool(filters, "dangling", false, &limits->dangling, reterr);
	if (r == 0)
		r = times_until(filters, &limits->until_ns, reterr);
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(names); i++) {
		strv_foreach (name, filters_values(filters, names[i].key)) {
			_autofree_(store_image) struct store_image *image = NULL;
			r = r < 0 ? r : store_image_find(engine->store, *name, &image, reterr);
			if (r == 0)
				*names[i].time_ns = image->created_ns;
		}
	}
	return r;
}

static bool is_selected(const struct filters *filters, const struct image_limits *limits,
	const struct store_image *image)
{
	bool is_dangling = strv_count(image->repo_tags) == 0;
	if (filters_has(filters, "dangling") && limits->dangling != is_dangling)
		return false;
	/* One that does not say when it was made is older than all that do. */
	bool is_later = !filters_has(filters, "since") || image->created_ns > limits->since_ns;
	return image->created_ns < limits->before_ns && is_later && image->created_ns <= limits->until_ns &&
	       match_names(filters, image) && filters_match_labels(filters, "label", image->config->config.labels);
}

/* How many images have each layer, by diff ID: the map's values are counts. NULL when out of memory. */
static struct map *count_layers(struct store_image *const *images, size_t count)
{
	_autofree_(map) struct map *users = map_new(NULL);
	for (size_t i = 0; users && i < count; i++) {
		_autofree_(map) struct map *met = map_new(NULL);
		strv_foreach (diff_id, images[i]->diff_ids) {
			uintptr_t before = (uintptr_t)map_get(users, *diff_id);
			if (!met)
				return NULL;
			if (map_has(met, *diff_id))
				continue;
			if (map_set(met, *diff_id, users) < 0 || map_set(users, *diff_id, (void *)(before + 1)) < 0)
				return NULL;
		}
	}
	return TAKE(users);
}

static int64_t shared_size(const struct store_image *image, const struct map *users)
{
	int64_t bytes = 0;
	for (size_t i = 0; i < image->layer_count; i++)
		bytes += (uintptr_t)map_get(users, image->diff_ids[i]) > 1 ? image->layer_sizes[i] : 0;
	return bytes;
}

/* `users_of_layers` NULL: what is shared is not told. */
static json_t *summary_of(struct engine *engine, const struct images_wish *wish, const struct store_image *image,
	const struct map *users_of_layers)
{
	_autofree_(strv) char **tags = NULL, **digests = NULL;
	const struct container *container;
	size_t cursor = 0;
	int64_t users = 0;
	if (select_names(wish->filters, image->repo_tags, &tags) < 0 ||
		select_names(wish->filters, image->repo_digests, &digests) < 0)
		return NULL;
	while (wish->count_containers && (container = containers_next(engine->containers, &cursor)))
		users += strcmp(container->record.image_id, image->id) == 0;
	const struct image_summary summary = {
		.containers = wish->count_containers ? users : -1,
		.created = image->created_ns == CLOCK_NEVER ? 0 : image->created_ns / NS_PER_SEC,
		.id = (char *)image->id,
		.labels = image->config->config.labels,
		.parent_id = (char *)image->parent,
		.repo_digests = digests,
		.repo_tags = tags,
		.shared_size = users_of_layers ? shared_size(image, users_of_layers) : -1,
		.size = image->size_bytes,
		.virtual_size = wish->api_minor <= VIRTUAL_SIZE_MINOR ? image->size_bytes : 0,
	};
	return json_write(&image_summary_table, &summary);
}

/* Nameless, and another image says that it is made of it. */
static bool is_intermediate(struct store_image *const *images, size_t count, const struct store_image *image)
{
	for (size_t i = 0; strv_count(image->repo_tags) == 0 && i < count; i++) {
		if (strcmp(images[i]->parent, image->id) == 0)
			return true;
	}
	return false;
}

int images_list(struct engine *engine, const struct images_wish *wish, json_t **ret, struct err **reterr)
{
	_autofree_(map) struct map *users = NULL;
	struct image_limits limits;
	struct store_image **images = NULL;
	size_t count = 0;
	int r = read_limits(engine, wish->filters, &limits, reterr);
	if (r == 0)
		r = store_image_list(engine->store, &images, &count, reterr);
	if (r < 0)
		return r;
	if (wish->shared_size)
		users = count_layers(images, count);
	json_t *list = wish->shared_size && !users ? NULL : json_array();
	for (size_t i = 0; i < count; i++) {
		if (is_selected(wish->filters, &limits, images[i]) &&
			(wish->all || !is_intermediate(images, count, images[i])))
			json_array_append_new(list, summary_of(engine, wish, images[i], users));
	}
	store_images_free(images, count);
	*ret = list;
	return list ? 0 : err_oom(reterr);
}

/* --- changes --- */

static void tell(struct engine *engine, const char *action, const char *id, const char *name)
{
	struct map *attributes = map_new(free);
	char *copy = strdup(name);
	if (!attributes || !copy || map_set(attributes, "name", copy) < 0)
		free(copy);
	events_tell(engine, "image", action, id, attributes);
}

int images_tag(struct engine *engine, const char *name, const char *repository, const char *tag, struct err **reterr)
{
	_cleanup_free_ char *reference = NULL;
	_autofree_(store_image) struct store_image *image = NULL;
	if (!repository || !repository[0])
		return err_set(reterr, ERR_INVALID, 0, "refusing to create an ambiguous tag without a repository");
	bool has_tag = tag && tag[0];
	if (asprintf(&reference, "%s%s%s", repository, has_tag ? ":" : "", has_tag ? tag : "") < 0) {
		reference = NULL;
		return err_oom(reterr);
	}
	int r = store_image_find(engine->store, name, &image, reterr);
	if (r == 0)
		r = store_image_tag(engine->store, name, reference, reterr);
	if (r == 0)
		tell(engine, "tag", image->id, reference_familiar(reference));
	return r;
}

static bool is_used(const char *image_id, bool running, char ret_container[static 65], void *data)
{
	struct engine *engine = data;
	const struct container *container;
	size_t cursor = 0;
	while ((container = containers_next(engine->containers, &cursor))) {
		bool runs = container_is_running(container) || container_is_restarting(container);
		if (runs != running || strcmp(container->record.image_id, image_id) != 0)
			continue;
		memcpy(ret_container, container->id, CONTAINER_ID_SIZE);
		return true;
	}
	return false;
}

/* Appends Docker's lines to `list`, and tells of them. */
static void report_removed(struct engine *engine, const struct store_removed *removed, size_t count, json_t *list)
{
	for (size_t i = 0; i < count; i++) {
		struct image_delete_item item = { 0 };
		*(removed[i].untagged ? &item.untagged : &item.deleted) = removed[i].what;
		json_array_append_new(list, json_write(&image_delete_item_table, &item));
		if (removed[i].untagged)
			tell(engine, "untag", removed[i].image, removed[i].image); /* Docker's names it so */
		else if (strcmp(removed[i].what, removed[i].image) == 0)
			tell(engine, "delete", removed[i].image, removed[i].what);
	}
}

static int remove_one(struct engine *engine, const char *name, bool force, bool prune_parents, json_t *list,
	struct err **reterr)
{
	const struct store_remove_options options = {
		.force = force,
		.prune_parents = prune_parents,
		.is_used = is_used,
		.is_used_data = engine,
	};
	struct store_removed *removed = NULL;
	size_t count = 0;
	int r = store_image_remove(engine->store, name, &options, &removed, &count, reterr);
	if (r < 0)
		return r;
	report_removed(engine, removed, count, list);
	store_removed_free(removed, count);
	workers_empty_trash(engine->workers);
	return 0;
}

int images_remove(struct engine *engine, const char *name, bool force, bool prune_parents, json_t **ret,
	struct err **reterr)
{
	_autojson_ json_t *list = json_array();
	containers_sync(engine);
	int r = list ? remove_one(engine, name, force, prune_parents, list, reterr) : err_oom(reterr);
	if (r == 0)
		*ret = TAKE(list);
	return r;
}

const char *const images_prune_filters[] = { "dangling", "label", "label!", "until", NULL };

static bool is_prunable(struct engine *engine, const struct filters *filters, const struct image_limits *limits,
	const struct store_image *image)
{
	char user[65];
	const struct map *labels = image->config->config.labels;
	if ((limits->dangling && strv_count(image->repo_tags) > 0) || image->created_ns > limits->until_ns)
		return false;
	return filters_match_labels(filters, "label", labels) && filters_refuse_labels(filters, "label!", labels) &&
	       !is_used(image->id, true, user, engine) && !is_used(image->id, false, user, engine);
}

/* An image of several names goes with the last of them. */
static void prune_one(struct engine *engine, const struct store_image *image, json_t *list)
{
	_autofree_(err) struct err *err = NULL;
	int r = 0;
	strv_foreach (tag, image->repo_tags)
		r = r < 0 ? r : remove_one(engine, *tag, false, true, list, &err);
	if (strv_count(image->repo_tags) == 0)
		r = remove_one(engine, image->id, false, true, list, &err);
	if (r < 0)
		log_info("image %s was not pruned: %s", image->id, err_message(err));
}

int images_prune(struct engine *engine, const struct filters *filters, json_t **ret, struct err **reterr)
{
	struct image_limits limits = { 0 };
	struct store_image **images = NULL;
	size_t count = 0;
	int64_t before = 0, after = 0, partial = 0;
	containers_sync(engine);
	int r = filters_bool(filters, "dangling", true, &limits.dangling, reterr);
	if (r == 0)
		r = times_until(filters, &limits.until_ns, reterr);
	if (r == 0)
		r = store_images_size(engine->store, &before, reterr);
	if (r == 0)
		r = store_image_list(engine->store, &images, &count, reterr);
	if (r < 0)
		return r;
	json_t *list = json_array();
	for (size_t i = 0; i < count; i++) {
		if (is_prunable(engine, filters, &limits, images[i]))
			prune_one(engine, images[i], list);
	}
	store_images_free(images, count);
	if (partials_expire(engine->store, true, &partial, NULL) == 0 && partial > 0)
		workers_empty_trash(engine->workers);
	if (store_images_size(engine->store, &after, NULL) < 0)
		after = before;
	events_tell_prune(engine, "image", (uint64_t)(before - after + partial));
	bool is_empty = json_array_size(list) == 0;
	*ret = json_pack("{s:O, s:I}", "ImagesDeleted", is_empty ? json_null() : list, "SpaceReclaimed",
		(json_int_t)(before - after + partial));
	json_decref(list);
	return *ret ? 0 : err_oom(reterr);
}
