#include "engine/volumes.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/stat.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/log.h"
#include "base/strv.h"
#include "engine/events.h"
#include "engine/sizes.h"
#include "engine/validate.h"
#include "engine/workers.h"
#include "spec/system_info.h"
#include "store/trash.h"

#define LABELS_TEXT_MAX (4 * 1024 * 1024)
#define ANONYMOUS_LABEL "com.docker.volume.anonymous"

struct volumes {
	struct engine *engine;
	struct map *by_name; /* of struct volume */
};

static void volume_free(void *data)
{
	struct volume *volume = data;
	if (!volume)
		return;
	free(volume->name);
	map_free(volume->labels);
	map_free(volume->options);
	free(volume->owner);
	free(volume);
}
DEFINE_AUTOFREE(volume, struct volume *, volume_free);

/* --- maps of strings as text --- */

static struct map *strings_copy(const struct map *from)
{
	struct map *copy = map_new(free);
	struct map_entry *entry;
	for (size_t cursor = 0; copy && from && (entry = map_next(from, &cursor));) {
		char *value = strdup(entry->value);
		if (!value || map_set(copy, entry->key, value) < 0) {
			free(value);
			map_free(copy);
			return NULL;
		}
	}
	return copy;
}

static char *strings_text(const struct map *map)
{
	if (!map)
		return NULL;
	_autojson_ json_t *object = json_object();
	struct map_entry *entry;
	map_foreach (entry, map)
		json_object_set_new(object, entry->key, json_string(entry->value));
	_cleanup_(buf_finish) struct buf text = BUF_INIT(LABELS_TEXT_MAX);
	return object && json_print_value(object, &text) == 0 ? buf_take(&text) : NULL;
}

static struct map *strings_parse(const char *text)
{
	_autojson_ json_t *object = text ? json_loads(text, 0, NULL) : NULL;
	struct map *map = object ? map_new(free) : NULL;
	const char *key;
	json_t *value;
	json_object_foreach (object, key, value) {
		char *copy = map && json_is_string(value) ? strdup(json_string_value(value)) : NULL;
		if (copy && map_set(map, key, copy) < 0)
			free(copy);
	}
	return map;
}

/* --- the registry --- */

static int load_row(const struct volume_row *row, void *user, struct err **reterr)
{
	struct volumes *volumes = user;
	_autofree_(volume) struct volume *volume = calloc(1, sizeof(*volume));
	if (!volume || !(volume->name = strdup(row->name)))
		return err_oom(reterr);
	volume->created_ns = row->created_ns;
	volume->anonymous = row->anonymous;
	volume->labels = strings_parse(row->labels);
	volume->options = strings_parse(row->options);
	volume->owner = row->owner ? strdup(row->owner) : NULL;
	if (map_set(volumes->by_name, volume->name, volume) < 0)
		return err_oom(reterr);
	volume = NULL;
	return 0;
}

int volumes_new(struct engine *engine, struct volumes **ret, struct err **reterr)
{
	struct volumes *volumes = calloc(1, sizeof(*volumes));
	if (!volumes)
		return err_oom(reterr);
	volumes->engine = engine;
	volumes->by_name = map_new(volume_free);
	int r = volumes->by_name ? records_each_volume(engine->records, load_row, volumes, reterr) : err_oom(reterr);
	if (r < 0) {
		volumes_free(volumes);
		return r;
	}
	*ret = volumes;
	return 0;
}

void volumes_free(struct volumes *volumes)
{
	if (!volumes)
		return;
	map_free(volumes->by_name);
	free(volumes);
}

struct volume *volumes_get(const struct volumes *volumes, const char *name)
{
	return map_get(volumes->by_name, name);
}

char *volumes_path(const struct volumes *volumes, const char *name)
{
	char *path;
	return asprintf(&path, "%s/volumes/%s/_data", volumes->engine->data_root, name) < 0 ? NULL : path;
}

int volume_name_check(const char *name, struct err **reterr)
{
	static const char first[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
	size_t len = strlen(name);
	size_t head = strspn(name, first);
	if (len == 1)
		return err_set(reterr, ERR_INVALID, 0,
			"create %s: volume name is too short, names should be at least two alphanumeric characters",
			name);
	if (len > VOLUME_NAME_MAX)
		return err_set(reterr, ERR_INVALID, 0, "volume name is longer than %d characters", VOLUME_NAME_MAX);
	bool valid = len > 0 && head > 0;
	for (size_t i = head; valid && i < len; i++)
		valid = strchr("_.-", name[i]) || strchr(first, name[i]);
	if (valid)
		return 0;
	return err_set(reterr, ERR_INVALID, 0,
		"create %s: \"%s\" includes invalid characters for a local volume name, only \"[a-zA-Z0-9][a-zA-Z0-9_.-]\" are "
		"allowed. If you intended to pass a host directory, use absolute path",
		name, name);
}

/* One that is there already is taken over: a crash before its row was written left it. */
static int make_folders(struct volumes *volumes, const char *name, struct err **reterr)
{
	int parent = volumes->engine->volumes_fd;
	if (mkdirat(parent, name, 0701) < 0 && errno != EEXIST)
		return err_errno(reterr, -errno, "cannot make the folder of volume %s", name);
	_autoclose_ int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || (mkdirat(fd, "_data", 0755) < 0 && errno != EEXIST))
		return err_errno(reterr, -errno, "cannot make the folder of volume %s", name);
	if (fsync(fd) < 0 || fsync(parent) < 0)
		return err_errno(reterr, -errno, "cannot make the folder of volume %s", name);
	return 0;
}

static void tell(struct volumes *volumes, const char *action, const char *name)
{
	struct map *attributes = map_new(free);
	char *driver = strdup("local");
	if (!attributes || !driver || map_set(attributes, "driver", driver) < 0)
		free(driver);
	events_tell(volumes->engine, "volume", action, name, attributes);
}

static int set_word(struct map *map, const char *key, const char *value)
{
	char *copy = strdup(value);
	int r = copy ? map_set(map, key, copy) : -ENOMEM;
	if (r < 0)
		free(copy);
	return r;
}

static void tell_mount(struct container *container, const struct mount_point *mount, bool mounted, int64_t time_ns)
{
	_autofree_(map) struct map *attributes = map_new(free);
	int r = attributes ? set_word(attributes, "container", container->id) : -ENOMEM;
	if (r == 0 && mounted)
		r = set_word(attributes, "destination", mount->destination);
	if (r == 0)
		r = set_word(attributes, "driver", "local");
	if (r == 0 && mounted)
		r = set_word(attributes, "propagation", "");
	if (r == 0 && mounted)
		r = set_word(attributes, "read/write", mount->rw ? "true" : "false");
	const struct event event = {
		.type = "volume",
		.action = mounted ? "mount" : "unmount",
		.actor = mount->name,
		.attributes = attributes,
		.time_ns = time_ns,
	};
	if (r == 0)
		events_publish(container->engine->events, &event);
}

void volumes_tell_container(struct container *container, const char *event, int64_t time_ns)
{
	bool mounted = strcmp(event, "start") == 0;
	if (!mounted && strcmp(event, "die") != 0)
		return;
	for (size_t i = 0; i < container->record.mount_count; i++) {
		const struct mount_point *mount = &container->record.mounts[i];
		if (strcmp(mount->type, "volume") == 0)
			tell_mount(container, mount, mounted, time_ns);
	}
}

static int add(struct volumes *volumes, struct volume *volume, struct err **reterr)
{
	_cleanup_free_ char *labels = strings_text(volume->labels);
	_cleanup_free_ char *options = strings_text(volume->options);
	const struct volume_row row = {
		.name = volume->name,
		.created_ns = volume->created_ns,
		.anonymous = volume->anonymous,
		.labels = labels,
		.options = options,
		.owner = volume->owner,
	};
	int r = make_folders(volumes, volume->name, reterr);
	if (r == 0)
		r = records_add_volume(volumes->engine->records, &row, reterr);
	if (r < 0)
		return r;
	if (map_set(volumes->by_name, volume->name, volume) < 0) {
		records_remove_volume(volumes->engine->records, volume->name, NULL);
		return err_oom(reterr);
	}
	tell(volumes, "create", volume->name);
	return 0;
}

/* --- the options of "local" --- */

const char *volume_option(const struct volume *volume, const char *key)
{
	const char *value = volume->options ? map_get(volume->options, key) : NULL;
	return value ? value : "";
}

static bool has_word(const char *list, const char *word)
{
	_autofree_(strv) char **words = strv_split(list, ',');
	return strv_has(words, word);
}

enum volume_kind volume_kind(const struct volume *volume)
{
	const char *type = volume_option(volume, "type"), *o = volume_option(volume, "o");
	if (has_word(o, "bind") || has_word(o, "rbind"))
		return VOLUME_BIND;
	return type[0] ? VOLUME_FILESYSTEM : VOLUME_FOLDER;
}

/* In Docker's words. */
static int check_options(const char *driver, const struct map *options, struct err **reterr)
{
	static const char *const known[] = { "type", "device", "o", "size" }, *const needed[] = { "device", "type" };
	struct map_entry *entry;
	if (driver && driver[0] && strcmp(driver, "local") != 0)
		return err_set(reterr, ERR_NOT_FOUND, 0, "error looking up volume plugin %s: plugin \"%s\" not found",
			driver, driver);
	if (!options || map_count(options) == 0)
		return 0;
	for (size_t cursor = 0; (entry = map_next(options, &cursor));) {
		bool is_known = false;
		for (size_t i = 0; i < ARRAY_SIZE(known); i++)
			is_known = is_known || strcmp(entry->key, known[i]) == 0;
		if (!is_known)
			return err_set(reterr, ERR_INVALID, 0, "invalid option: \"%s\"", entry->key);
		if (!validate_is_plain(entry->value))
			return err_set(reterr, ERR_INVALID, 0, "option \"%s\" has a control character", entry->key);
	}
	if (map_has(options, "size"))
		return err_set(reterr, ERR_INVALID, 0, "quota size requested but no quota support");
	for (size_t i = 0; i < ARRAY_SIZE(needed); i++) {
		if (!map_has(options, needed[i]))
			return err_set(reterr, ERR_INVALID, 0, "missing required option: \"%s\"", needed[i]);
	}
	return 0;
}

static struct volume *volume_new(const char *name, const struct map *labels, const struct map *options,
	const char *owner)
{
	_autofree_(volume) struct volume *volume = calloc(1, sizeof(*volume));
	char random[CONTAINER_ID_SIZE];
	io_random_hex(random, (CONTAINER_ID_SIZE - 1) / 2);
	if (!volume)
		return NULL;
	volume->anonymous = !name || !name[0];
	volume->name = strdup(volume->anonymous ? random : name);
	volume->created_ns = clock_realtime_ns();
	volume->labels = labels || volume->anonymous ? strings_copy(labels) : NULL;
	volume->options = options ? strings_copy(options) : NULL;
	volume->owner = owner ? strdup(owner) : NULL;
	bool complete = volume->name && (volume->labels || (!labels && !volume->anonymous)) &&
			(volume->options || !options) && (volume->owner || !owner);
	if (complete && volume->anonymous) {
		char *empty = strdup("");
		complete = empty && map_set(volume->labels, ANONYMOUS_LABEL, empty) == 0;
		if (!complete)
			free(empty);
	}
	return complete ? TAKE(volume) : NULL;
}

int volumes_need(struct volumes *volumes, const char *name, const struct mount_driver *driver, const struct map *labels,
	const char *owner, struct volume **ret, bool *ret_created, struct err **reterr)
{
	const struct map *options = driver ? driver->options : NULL;
	struct volume *existing = name && name[0] ? volumes_get(volumes, name) : NULL;
	*ret_created = false;
	if (existing) {
		*ret = existing;
		return 0;
	}
	_autofree_(volume) struct volume *volume = volume_new(name, labels, options, owner);
	if (!volume)
		return err_oom(reterr);
	int r = volume->anonymous ? 0 : volume_name_check(volume->name, reterr);
	if (r == 0) {
		r = check_options(driver ? driver->name : NULL, options, reterr);
		r = r < 0 ? err_wrap(reterr, r, "create %s", volume->name) : 0;
	}
	if (r == 0)
		r = add(volumes, volume, reterr);
	if (r < 0)
		return r;
	*ret_created = true;
	*ret = TAKE(volume);
	return 0;
}

int volumes_create(struct volumes *volumes, const char *name, const char *driver, const struct map *labels,
	const struct map *options, struct volume **ret, struct err **reterr)
{
	const struct mount_driver wish = { .name = (char *)driver, .options = (struct map *)options };
	bool created;
	return volumes_need(volumes, name, &wish, labels, NULL, ret, &created, reterr);
}

static bool uses(const struct container *container, const char *name)
{
	for (size_t i = 0; i < container->record.mount_count; i++) {
		const struct mount_point *mount = &container->record.mounts[i];
		if (mount->name && strcmp(mount->name, name) == 0)
			return true;
	}
	return false;
}

static const struct container *user_of(const struct volumes *volumes, const char *name, const struct container *except)
{
	const struct container *container;
	size_t cursor = 0;
	while ((container = containers_next(volumes->engine->containers, &cursor))) {
		if (container != except && uses(container, name))
			return container;
	}
	return NULL;
}

const char *volumes_next(const struct volumes *volumes, size_t *cursor)
{
	struct map_entry *entry = map_next(volumes->by_name, cursor);
	return entry ? entry->key : NULL;
}

static int destroy(struct volumes *volumes, const char *name, struct err **reterr)
{
	_cleanup_free_ char *copy = strdup(name); /* `name` may be the volume's own */
	if (!copy)
		return err_oom(reterr);
	int r = store_trash(volumes->engine->store, volumes->engine->volumes_fd, copy, reterr);
	if (r == 0)
		r = records_remove_volume(volumes->engine->records, copy, reterr);
	if (r < 0)
		return r;
	map_remove(volumes->by_name, copy);
	tell(volumes, "destroy", copy);
	workers_empty_trash(volumes->engine->workers);
	return 0;
}

int volumes_remove(struct volumes *volumes, const char *name, bool force, struct err **reterr)
{
	if (!volumes_get(volumes, name))
		return force ? 0 : err_set(reterr, ERR_NOT_FOUND, 0, "get %s: no such volume", name);
	const struct container *user = user_of(volumes, name, NULL);
	if (user)
		return err_set(reterr, ERR_CONFLICT, 0, "remove %s: volume is in use - [%s]", name, user->id);
	return destroy(volumes, name, reterr);
}

int volumes_release(struct volumes *volumes, const struct container *container, bool remove, struct err **reterr)
{
	for (size_t i = 0; remove && i < container->record.mount_count; i++) {
		const struct mount_point *mount = &container->record.mounts[i];
		const struct volume *volume = mount->name && mount->name[0] ? volumes_get(volumes, mount->name) : NULL;
		if (!volume || !volume->anonymous || user_of(volumes, volume->name, container))
			continue;
		int r = destroy(volumes, volume->name, reterr);
		if (r < 0)
			return r;
	}
	return 0;
}

int volumes_sweep(struct volumes *volumes, struct err **reterr)
{
	struct map_entry *entry;
	map_foreach (entry, volumes->by_name) {
		const struct volume *volume = entry->value;
		if (!volume->owner || containers_by_id(volumes->engine->containers, volume->owner) ||
			user_of(volumes, volume->name, NULL))
			continue;
		int r = destroy(volumes, volume->name, reterr);
		if (r < 0)
			return r;
	}
	return 0;
}

/* --- documents --- */

static json_t *document(struct volumes *volumes, const struct volume *volume, const struct volume_usage *usage)
{
	char created[CLOCK_RFC3339_MAX];
	clock_format_rfc3339(volume->created_ns / NS_PER_SEC * NS_PER_SEC, created);
	_cleanup_free_ char *path = volumes_path(volumes, volume->name);
	const struct volume_info info = {
		.created_at = created,
		.driver = (char *)"local",
		.labels = volume->labels,
		.mountpoint = path,
		.name = volume->name,
		.options = volume->options,
		.scope = (char *)"local",
		.usage = (struct volume_usage *)usage,
	};
	return path ? json_write(&volume_info_table, &info) : NULL;
}

int volumes_inspect(struct volumes *volumes, const char *name, json_t **ret, struct err **reterr)
{
	const struct volume *volume = volumes_get(volumes, name);
	if (!volume)
		return err_set(reterr, ERR_NOT_FOUND, 0, "get %s: no such volume", name);
	*ret = document(volumes, volume, NULL);
	return *ret ? 0 : err_oom(reterr);
}

const char *const volumes_list_filters[] = { "dangling", "name", "driver", "label", NULL };

int volumes_list(struct volumes *volumes, const struct filters *filters, json_t **ret, struct err **reterr)
{
	bool dangling;
	int r = filters_bool(filters, "dangling", false, &dangling, reterr);
	if (r < 0)
		return r;
	_autojson_ json_t *list = json_array();
	struct map_entry *entry;
	map_foreach (entry, volumes->by_name) {
		const struct volume *volume = entry->value;
		if (!filters_match_part(filters, "name", volume->name) || !filters_match(filters, "driver", "local") ||
			!filters_match_labels(filters, "label", volume->labels))
			continue;
		if (filters_has(filters, "dangling") && dangling == (user_of(volumes, volume->name, NULL) != NULL))
			continue;
		json_array_append_new(list, document(volumes, volume, NULL));
	}
	*ret = json_pack("{s:O, s:n}", "Volumes", list, "Warnings");
	return *ret ? 0 : err_oom(reterr);
}

static bool is_running_elsewhere(const struct volumes *volumes, const char *name, const struct container *except)
{
	const struct container *container;
	size_t cursor = 0;
	while ((container = containers_next(volumes->engine->containers, &cursor))) {
		if (container != except && container_is_running(container) && uses(container, name))
			return true;
	}
	return false;
}

int volumes_check_start(struct container *container, struct err **reterr)
{
	static const char *const in_memory[] = { "tmpfs", "ramfs" };
	const struct volumes *volumes = container->engine->volumes;
	for (size_t i = 0; i < container->record.mount_count; i++) {
		const struct mount_point *mount = &container->record.mounts[i];
		const struct volume *volume = mount->name && mount->name[0] ? volumes_get(volumes, mount->name) : NULL;
		if (!volume || volume_kind(volume) != VOLUME_FILESYSTEM)
			continue;
		for (size_t k = 0; k < ARRAY_SIZE(in_memory); k++) {
			if (strcmp(volume_option(volume, "type"), in_memory[k]) == 0 &&
				is_running_elsewhere(volumes, volume->name, container))
				return err_set(reterr, ERR_CONFLICT, 0,
					"volume %s is a %s that another running container has: it cannot be shared",
					volume->name, in_memory[k]);
		}
	}
	return 0;
}

static int64_t count_users(const struct volumes *volumes, const char *name)
{
	const struct container *container;
	size_t cursor = 0;
	int64_t users = 0;
	while ((container = containers_next(volumes->engine->containers, &cursor)))
		users += uses(container, name);
	return users;
}

int volumes_usage(struct volumes *volumes, const struct sizes *sizes, json_t **ret, struct err **reterr)
{
	json_t *list = json_array();
	struct map_entry *entry;
	map_foreach (entry, volumes->by_name) {
		const struct volume *volume = entry->value;
		const struct volume_usage usage = {
			.ref_count = count_users(volumes, volume->name),
			.size = sizes_of_volume(sizes, volume->name),
		};
		json_array_append_new(list, document(volumes, volume, &usage));
	}
	*ret = list;
	return list ? 0 : err_oom(reterr);
}

const char *const volumes_prune_filters[] = { "label", "label!", "all", NULL };

int volumes_prune(struct volumes *volumes, const struct filters *filters, bool named_too, const struct sizes *sizes,
	json_t **ret, struct err **reterr)
{
	bool all;
	int64_t reclaimed = 0;
	int r = filters_bool(filters, "all", named_too, &all, reterr);
	if (r < 0)
		return r;
	_autojson_ json_t *deleted = json_array();
	struct map_entry *entry;
	map_foreach (entry, volumes->by_name) {
		const struct volume *volume = entry->value;
		if ((!all && !volume->anonymous) || user_of(volumes, volume->name, NULL) ||
			!filters_match_labels(filters, "label", volume->labels) ||
			!filters_refuse_labels(filters, "label!", volume->labels))
			continue;
		json_array_append_new(deleted, json_string(volume->name));
		int64_t bytes = sizes_of_volume(sizes, volume->name);
		reclaimed += bytes > 0 ? bytes : 0;
		r = destroy(volumes, volume->name, reterr);
		if (r < 0)
			return r;
	}
	events_tell_prune(volumes->engine, "volume", (uint64_t)reclaimed);
	*ret = json_pack("{s:O, s:I}", "VolumesDeleted", deleted, "SpaceReclaimed", (json_int_t)reclaimed);
	return *ret ? 0 : err_oom(reterr);
}
