#include "engine/mounts.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/strv.h"
#include "engine/validate.h"
#include "engine/volumes.h"
#include "spec/defaults.h"

#define MOUNTS_MAX 1000
/* What Docker's inspect shows of a volume for which nothing was asked. */
#define VOLUME_MODE_DEFAULT "z"

/* --- places --- */

char *mounts_clean_path(const char *path)
{
	char *clean = malloc(strlen(path) + 2);
	size_t len = 0;
	if (!clean)
		return NULL;
	while (*path) {
		size_t part = strcspn(path, "/");
		if (part == 2 && path[0] == '.' && path[1] == '.') {
			while (len > 0 && clean[--len] != '/')
				;
		} else if (part > 0 && !(part == 1 && path[0] == '.')) {
			clean[len++] = '/';
			memcpy(clean + len, path, part);
			len += part;
		}
		path += part;
		path += strspn(path, "/");
	}
	if (len == 0)
		clean[len++] = '/';
	clean[len] = '\0';
	return clean;
}

static const struct mount_point *find_place(const struct container_record *record, const char *destination)
{
	for (size_t i = 0; i < record->mount_count; i++) {
		if (strcmp(record->mounts[i].destination, destination) == 0)
			return &record->mounts[i];
	}
	return NULL;
}

static int check_place(const char *destination, struct err **reterr)
{
	if (destination[0] != '/')
		return err_set(reterr, ERR_INVALID, 0, "invalid mount path: '%s' mount path must be absolute",
			destination);
	if (!validate_is_plain(destination))
		return err_set(reterr, ERR_INVALID, 0, "invalid mount path: it has a control character");
	return 0;
}

/* Appends an empty mount point for this place; it is the record's. */
static int add_place(struct container_record *record, const char *type, const char *destination,
	struct mount_point **ret, struct err **reterr)
{
	int r = check_place(destination, reterr);
	if (r < 0)
		return r;
	_cleanup_free_ char *clean = mounts_clean_path(destination);
	if (!clean)
		return err_oom(reterr);
	if (strcmp(clean, "/") == 0)
		return err_set(reterr, ERR_INVALID, 0, "invalid specification: destination can't be '/'");
	if (find_place(record, clean))
		return err_set(reterr, ERR_INVALID, 0, "Duplicate mount point: %s", clean);
	if (record->mount_count == MOUNTS_MAX)
		return err_set(reterr, ERR_INVALID, 0, "more than %d mounts", MOUNTS_MAX);
	struct mount_point *mounts = realloc(record->mounts, (record->mount_count + 1) * sizeof(*mounts));
	if (!mounts)
		return err_oom(reterr);
	record->mounts = mounts;
	struct mount_point *mount = &mounts[record->mount_count++];
	*mount = (struct mount_point){ .rw = true };
	mount->type = strdup(type);
	mount->destination = TAKE(clean);
	if (!mount->type)
		return err_oom(reterr);
	*ret = mount;
	return 0;
}

static int set_text(char **member, const char *value, struct err **reterr)
{
	free(*member);
	*member = strdup(value);
	return *member ? 0 : err_oom(reterr);
}

/* --- -v source:place:mode --- */

static bool is_propagation(const char *word)
{
	static const char *const words[] = { "private", "rprivate", "shared", "rshared", "slave", "rslave" };
	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		if (strcmp(word, words[i]) == 0)
			return true;
	}
	return false;
}

/* "ro,z,rslave": each kind once. */
static int read_mode(const char *mode, bool is_volume, struct mount_point *mount, struct err **reterr)
{
	static const char *const labels[] = { "z", "Z" }, *const consistencies[] = { "consistent", "cached",
		"delegated" };
	_autofree_(strv) char **words = strv_split(mode, ',');
	unsigned rights = 0, propagations = 0, others = 0;
	if (!words)
		return err_oom(reterr);
	int r = set_text(&mount->mode, mode, reterr);
	strv_foreach (word, words) {
		bool known = false;
		for (size_t i = 0; i < ARRAY_SIZE(labels); i++)
			known = known || strcmp(*word, labels[i]) == 0;
		for (size_t i = 0; i < ARRAY_SIZE(consistencies); i++)
			known = known || strcmp(*word, consistencies[i]) == 0;
		if (strcmp(*word, "ro") == 0 || strcmp(*word, "rw") == 0) {
			mount->rw = (*word)[1] == 'w';
			rights++;
		} else if (is_propagation(*word) && !is_volume) {
			propagations++;
			if (r == 0)
				r = set_text(&mount->propagation, *word, reterr);
		} else if (strcmp(*word, "nocopy") == 0 && is_volume) {
			others++;
		} else if (!known) {
			return err_set(reterr, ERR_INVALID, 0, "invalid mode: %s", mode);
		}
	}
	if (rights > 1 || propagations > 1 || others > 1)
		return err_set(reterr, ERR_INVALID, 0, "invalid mode: %s", mode);
	return r;
}

static int add_bind_or_volume(struct container_record *record, const char *source, const char *destination,
	const char *mode, struct err **reterr)
{
	struct mount_point *mount;
	bool is_volume = source[0] != '/';
	int r = is_volume ? volume_name_check(source, reterr) : 0;
	if (r == 0)
		r = add_place(record, is_volume ? "volume" : "bind", destination, &mount, reterr);
	if (r == 0)
		r = set_text(is_volume ? &mount->name : &mount->source, source, reterr);
	if (r == 0 && !is_volume)
		r = set_text(&mount->propagation, "rprivate", reterr);
	if (r == 0 && is_volume)
		r = set_text(&mount->mode, VOLUME_MODE_DEFAULT, reterr);
	return r < 0 || !mode ? r : read_mode(mode, is_volume, mount, reterr);
}

static int add_spec(struct container_record *record, const char *spec, struct err **reterr)
{
	_autofree_(strv) char **parts = strv_split(spec, ':');
	size_t count = strv_count(parts);
	if (!parts)
		return err_oom(reterr);
	if (count < 2 || count > 3 || !parts[0][0] || !parts[1][0] || (count == 3 && !parts[2][0]))
		return err_set(reterr, ERR_INVALID, 0, "invalid volume specification: '%s'", spec);
	if (!validate_is_plain(spec))
		return err_set(reterr, ERR_INVALID, 0, "invalid volume specification: it has a control character");
	int r = add_bind_or_volume(record, parts[0], parts[1], parts[2], reterr);
	return r == -EINVAL ? err_wrap(reterr, r, "invalid volume specification: '%s'", spec) : r;
}

/* --- --mount --- */

static int refuse(const struct mount_config *config, const char *what, struct err **reterr)
{
	return err_set(reterr, ERR_INVALID, 0, "invalid mount config for type \"%s\": %s",
		config->type ? config->type : "", what);
}

/* Lexically: whether it stays where it starts. What links do, the monitor sees. */
static bool is_local(const char *path)
{
	int depth = 0;
	if (path[0] == '/' || !validate_is_plain(path))
		return false;
	while (*path && depth >= 0) {
		size_t len = strcspn(path, "/");
		if (len == 2 && path[0] == '.' && path[1] == '.')
			depth--;
		else if (len > 0 && !(len == 1 && path[0] == '.'))
			depth++;
		path += len;
		path += strspn(path, "/");
	}
	return depth >= 0;
}

static int check_volume_options(const struct mount_config *config, struct err **reterr)
{
	const char *subpath = config->volume->subpath ? config->volume->subpath : "";
	const struct mount_driver *driver = config->volume->driver;
	if (subpath[0] && !(config->source && config->source[0]))
		return refuse(config, "must not set Subpath when using anonymous volumes", reterr);
	if (!is_local(subpath))
		return refuse(config, "subpath must be a relative path within the volume", reterr);
	/* No 404, which the client would take for the image's. */
	if (driver && driver->name && driver->name[0] && strcmp(driver->name, "local") != 0)
		return err_set(reterr, ERR_INVALID, 0, "error looking up volume plugin %s: plugin \"%s\" not found",
			driver->name, driver->name);
	return 0;
}

static int check_mount(const struct mount_config *config, struct err **reterr)
{
	const char *type = config->type ? config->type : "";
	const char *source = config->source ? config->source : "";
	bool is_bind = strcmp(type, "bind") == 0, is_tmpfs = strcmp(type, "tmpfs") == 0;
	if (!is_bind && !is_tmpfs && strcmp(type, "volume") != 0)
		return refuse(config, "mount type unknown", reterr);
	if (!config->target || !config->target[0])
		return refuse(config, "field Target must not be empty", reterr);
	if (is_bind && !source[0])
		return refuse(config, "field Source must not be empty", reterr);
	if (is_bind && source[0] != '/')
		return refuse(config, "invalid mount path: mount path must be absolute", reterr);
	if (is_tmpfs && source[0])
		return refuse(config, "field Source must not be specified", reterr);
	if (!validate_is_plain(source))
		return refuse(config, "field Source has a control character", reterr);
	if ((config->bind && !is_bind) || (config->tmpfs && !is_tmpfs) || (config->volume && (is_bind || is_tmpfs)))
		return refuse(config, "options of another type", reterr);
	if (config->bind && config->bind->propagation && config->bind->propagation[0] &&
		!is_propagation(config->bind->propagation))
		return refuse(config, "invalid propagation", reterr);
	if (config->tmpfs && config->tmpfs->size_bytes < 0)
		return refuse(config, "the size must not be negative", reterr);
	return config->volume ? check_volume_options(config, reterr) : 0;
}

static int add_mount(struct container_record *record, const struct mount_config *config, struct err **reterr)
{
	struct mount_point *mount;
	const char *source = config->source ? config->source : "";
	int r = check_mount(config, reterr);
	bool is_volume = r == 0 && strcmp(config->type, "volume") == 0;
	if (r == 0 && is_volume && source[0])
		r = volume_name_check(source, reterr);
	if (r == 0)
		r = add_place(record, config->type, config->target, &mount, reterr);
	if (r < 0)
		return r;
	mount->rw = !config->read_only;
	if (strcmp(config->type, "bind") == 0) {
		const char *propagation = config->bind ? config->bind->propagation : NULL;
		r = set_text(&mount->source, source, reterr);
		if (r == 0)
			r = set_text(&mount->propagation, propagation && propagation[0] ? propagation : "rprivate",
				reterr);
	} else if (is_volume) {
		r = set_text(&mount->name, source, reterr);
		bool no_copy = config->volume && config->volume->no_copy;
		if (r == 0)
			r = set_text(&mount->mode, no_copy ? "nocopy" : VOLUME_MODE_DEFAULT, reterr);
	}
	return r;
}

/* --- --volumes-from, image's VOLUMEs --- */

static int copy_from(struct container_record *record, const struct mount_point *from, bool read_only,
	struct err **reterr)
{
	struct mount_point *mount;
	_cleanup_free_ char *place = mounts_clean_path(from->destination);
	if (!place)
		return err_oom(reterr);
	if (find_place(record, place) || strcmp(from->type, "tmpfs") == 0)
		return 0;
	int r = add_place(record, from->type, place, &mount, reterr);
	if (r == 0 && from->name)
		r = set_text(&mount->name, from->name, reterr);
	if (r == 0 && from->source && !from->name)
		r = set_text(&mount->source, from->source, reterr);
	if (r == 0 && from->propagation)
		r = set_text(&mount->propagation, from->propagation, reterr);
	if (r == 0)
		mount->rw = from->rw && !read_only;
	return r;
}

static const struct mount_config *config_of(const struct container_record *record, const char *destination)
{
	for (size_t i = 0; i < record->host.mount_count; i++) {
		_cleanup_free_ char *clean = mounts_clean_path(record->host.mounts[i].target);
		if (clean && strcmp(clean, destination) == 0)
			return &record->host.mounts[i];
	}
	return NULL;
}

const char *mounts_subpath(const struct container_record *record, const char *destination)
{
	const struct mount_config *config = config_of(record, destination);
	const char *subpath = config && config->volume ? config->volume->subpath : NULL;
	return subpath && subpath[0] ? subpath : NULL;
}

static int add_volumes_from(struct engine *engine, struct container_record *record, const char *spec,
	struct err **reterr)
{
	_autofree_(strv) char **parts = strv_split(spec, ':');
	struct container *other;
	if (!parts)
		return err_oom(reterr);
	const char *mode = parts[1] ? parts[1] : "rw";
	if (!parts[0][0] || (strcmp(mode, "ro") != 0 && strcmp(mode, "rw") != 0))
		return err_set(reterr, ERR_INVALID, 0, "invalid volumes-from specification: '%s': invalid mode: %s",
			spec, mode);
	/* The client would take a 404 for the image's and pull that. */
	if (container_find(engine, parts[0], &other, NULL) < 0)
		return err_set(reterr, ERR_INVALID, 0, "No such container: %s", parts[0]);
	int r = 0;
	for (size_t i = 0; r == 0 && i < other->record.mount_count; i++) {
		if (mounts_subpath(&other->record, other->record.mounts[i].destination))
			return err_set(reterr, ERR_INVALID, 0,
				"volumes-from %s: a part of a volume, as at %s, cannot be handed on", parts[0],
				other->record.mounts[i].destination);
		r = copy_from(record, &other->record.mounts[i], mode[1] == 'o', reterr);
	}
	return r;
}

static int add_image_volume(struct container_record *record, const char *place, struct err **reterr)
{
	struct mount_point *mount;
	_cleanup_free_ char *clean = mounts_clean_path(place);
	if (!clean)
		return err_oom(reterr);
	bool is_tmpfs = record->host.tmpfs && map_has(record->host.tmpfs, clean);
	if (find_place(record, clean) || is_tmpfs)
		return 0;
	int r = add_place(record, "volume", place, &mount, reterr);
	return r < 0 ? r : set_text(&mount->name, "", reterr);
}

/* --- volumes behind the mount points --- */

static int need_volume(struct engine *engine, const char *id, const struct container_record *record,
	struct mount_point *mount, char ***made, struct err **reterr)
{
	struct volume *volume;
	bool created;
	const struct map *labels = NULL;
	const struct mount_driver *driver = NULL;
	bool is_anonymous = !mount->name || !mount->name[0];
	for (size_t i = 0; i < record->host.mount_count; i++) {
		const struct mount_config *config = &record->host.mounts[i];
		if (config->volume && strcmp(config->target, mount->destination) == 0) {
			labels = config->volume->labels;
			driver = config->volume->driver;
		}
	}
	int r = volumes_need(engine->volumes, mount->name, driver, labels,
		is_anonymous && record->host.auto_remove ? id : NULL, &volume, &created, reterr);
	if (r == 0 && created && strv_append(made, volume->name) < 0)
		r = err_oom(reterr);
	if (r == 0 && volume_kind(volume) == VOLUME_FILESYSTEM && mounts_subpath(record, mount->destination))
		r = err_set(reterr, ERR_INVALID, 0, "volume %s is a filesystem of its own: it has no subpaths yet",
			volume->name);
	if (r == 0)
		r = set_text(&mount->name, volume->name, reterr);
	if (r == 0)
		r = set_text(&mount->driver, "local", reterr);
	if (r < 0)
		return r;
	free(mount->source);
	mount->source = volumes_path(engine->volumes, volume->name);
	return mount->source ? 0 : err_oom(reterr);
}

/* Options of -o for tmpfs: those that the kernel has, no others, since they end up in a mount. */
static int check_tmpfs(const char *options, struct err **reterr)
{
	static const char *const flags[] = { "", "defaults", "ro", "rw", "suid", "nosuid", "dev", "nodev", "exec",
		"noexec", "sync", "async", "dirsync", "atime", "noatime", "diratime", "nodiratime", "relatime",
		"norelatime", "strictatime", "nostrictatime", "private", "rprivate", "shared", "rshared", "slave",
		"rslave" };
	static const char *const keys[] = { "mode=", "uid=", "gid=", "size=", "nr_inodes=", "nr_blocks=", "mpol=" };
	_autofree_(strv) char **words = strv_split(options, ',');
	if (!words)
		return err_oom(reterr);
	strv_foreach (word, words) {
		bool known = false;
		for (size_t i = 0; i < ARRAY_SIZE(flags); i++)
			known = known || strcmp(*word, flags[i]) == 0;
		for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
			known = known || strncmp(*word, keys[i], strlen(keys[i])) == 0;
		if (!known || !validate_is_plain(*word))
			return err_set(reterr, ERR_INVALID, 0, "invalid tmpfs option \"%s\"", *word);
	}
	return 0;
}

int mounts_resolve(struct engine *engine, const char *id, struct container_record *record, char ***made,
	struct err **reterr)
{
	int r = 0;
	strv_foreach (spec, record->host.binds) {
		r = r < 0 ? r : add_spec(record, *spec, reterr);
	}
	for (size_t i = 0; r == 0 && i < record->host.mount_count; i++)
		r = add_mount(record, &record->host.mounts[i], reterr);
	strv_foreach (spec, record->host.volumes_from) {
		r = r < 0 ? r : add_volumes_from(engine, record, *spec, reterr);
	}
	struct map_entry *entry;
	for (size_t cursor = 0; r == 0 && record->host.tmpfs && (entry = map_next(record->host.tmpfs, &cursor));) {
		r = check_place(entry->key, reterr);
		if (r == 0)
			r = check_tmpfs(entry->value, reterr);
		if (r == 0 && find_place(record, entry->key))
			r = err_set(reterr, ERR_INVALID, 0, "Duplicate mount point: %s", entry->key);
	}
	strv_foreach (place, record->config.volumes) {
		r = r < 0 ? r : add_image_volume(record, *place, reterr);
	}
	for (size_t i = 0; r == 0 && i < record->mount_count; i++) {
		if (strcmp(record->mounts[i].type, "volume") == 0)
			r = need_volume(engine, id, record, &record->mounts[i], made, reterr);
	}
	return r;
}

/* --- at the start: mounts of the OCI document --- */

static void drop_default(struct oci_spec *spec, const char *destination)
{
	for (size_t i = 0; i < spec->mount_count; i++) {
		struct oci_mount *mount = &spec->mounts[i];
		if (strcmp(mount->destination, destination) != 0)
			continue;
		free(mount->destination);
		free(mount->type);
		free(mount->source);
		strv_free(mount->options);
		memmove(mount, mount + 1, (spec->mount_count - i - 1) * sizeof(*mount));
		spec->mount_count--;
		return;
	}
}

static bool mode_has(const struct mount_point *mount, const char *word)
{
	_autofree_(strv) char **words = mount->mode ? strv_split(mount->mode, ',') : NULL;
	return strv_has(words, word);
}

/* Takes the texts of `wish`, also on failure. */
static int add_source(struct launch *launch, const char *destination, struct launch_source *wish)
{
	struct launch_source *sources = realloc(launch->sources, (launch->source_count + 1) * sizeof(*sources));
	if (!sources) {
		free(wish->subpath);
		free(wish->volume);
		return -ENOMEM;
	}
	launch->sources = sources;
	wish->destination = strdup(destination);
	sources[launch->source_count++] = *wish;
	return wish->destination ? 0 : -ENOMEM;
}

static int wish_source(struct launch *launch, const struct mount_point *mount, const struct mount_config *config,
	const struct volume *volume)
{
	const struct mount_bind_options *bind = config ? config->bind : NULL;
	const char *subpath = volume && config && config->volume ? config->volume->subpath : NULL;
	bool has_device = volume && volume_kind(volume) == VOLUME_BIND;
	struct launch_source wish = {
		.create = strcmp(mount->type, "bind") == 0 && (!config || (bind && bind->create_mountpoint)),
		.subpath = subpath && subpath[0] ? strdup(subpath) : NULL,
		.volume = has_device ? strdup(mount->source) : NULL,
	};
	wish.copy_up = volume && !wish.subpath && !mode_has(mount, "nocopy");
	if ((subpath && subpath[0] && !wish.subpath) || (has_device && !wish.volume)) {
		free(wish.subpath);
		free(wish.volume);
		return -ENOMEM;
	}
	if (!wish.create && !wish.copy_up && !wish.subpath && !wish.volume)
		return 0;
	return add_source(launch, mount->destination, &wish);
}

/* What -o o=... says, without what says only that it is a bind. */
static int volume_words(const struct volume *volume, char ***options)
{
	_autofree_(strv) char **words = strv_split(volume_option(volume, "o"), ',');
	int r = words ? 0 : -ENOMEM;
	strv_foreach (word, words) {
		if (r == 0 && (*word)[0] && strcmp(*word, "bind") != 0 && strcmp(*word, "rbind") != 0)
			r = strv_append(options, *word);
	}
	return r;
}

static bool is_plain_bind(const struct volume *volume)
{
	_autofree_(strv) char **words = volume ? strv_split(volume_option(volume, "o"), ',') : NULL;
	return volume && volume_kind(volume) == VOLUME_BIND && !strv_has(words, "rbind");
}

static int launch_bind(struct launch *launch, const struct mount_point *mount, const struct mount_config *config,
	const struct volume *volume)
{
	const struct mount_bind_options *bind = config ? config->bind : NULL;
	const char *propagation = mount->propagation && mount->propagation[0] ? mount->propagation : "rprivate";
	bool recursive = !is_plain_bind(volume) && (!bind || !bind->non_recursive);
	bool has_device = volume && volume_kind(volume) == VOLUME_BIND;
	_autofree_(strv) char **options = NULL;
	int r = strv_append(&options, recursive ? "rbind" : "bind");
	if (r == 0 && has_device)
		r = volume_words(volume, &options);
	/* Read-only all the way down, unless asked otherwise: a mount below a read-only bind is no hole in it. */
	if (r == 0 && !mount->rw)
		r = strv_append(&options, bind && (bind->read_only_non_recursive || !recursive) ? "ro" : "rro");
	else if (r == 0 && !strv_has(options, "ro"))
		r = strv_append(&options, "rw");
	if (r == 0)
		r = strv_append(&options, propagation);
	if (r == 0)
		r = defaults_add_mount(&launch->oci, mount->destination, "bind",
			has_device ? volume_option(volume, "device") : mount->source, (const char *const *)options);
	return r < 0 ? r : wish_source(launch, mount, config, volume);
}

static int launch_filesystem(struct launch *launch, const struct mount_point *mount, const struct volume *volume)
{
	_autofree_(strv) char **options = NULL;
	int r = volume_words(volume, &options);
	if (r == 0)
		r = strv_append(&options, mount->rw ? "rprivate" : "ro");
	return r < 0 ? r
		     : defaults_add_mount(&launch->oci, mount->destination, volume_option(volume, "type"),
			       volume_option(volume, "device"), (const char *const *)options);
}

static const struct volume *volume_of(const struct container *container, const struct mount_point *mount)
{
	bool is_volume = strcmp(mount->type, "volume") == 0 && mount->name;
	return is_volume ? volumes_get(container->engine->volumes, mount->name) : NULL;
}

const char *mounts_host_source(const struct container *container, const struct mount_point *mount)
{
	const struct volume *volume = volume_of(container, mount);
	enum volume_kind kind = volume ? volume_kind(volume) : VOLUME_FOLDER;
	if (strcmp(mount->type, "tmpfs") == 0 || kind == VOLUME_FILESYSTEM)
		return NULL;
	return kind == VOLUME_BIND ? volume_option(volume, "device") : mount->source;
}

/* nosuid, nodev and noexec, unless the options say the contrary. */
static int add_tmpfs(struct launch *launch, const char *destination, char *const *given)
{
	static const char *const defaults[][2] = { { "noexec", "exec" }, { "nosuid", "suid" }, { "nodev", "dev" } };
	_autofree_(strv) char **options = NULL;
	int r = 0;
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(defaults); i++) {
		if (!strv_has(given, defaults[i][0]) && !strv_has(given, defaults[i][1]))
			r = strv_append(&options, defaults[i][0]);
	}
	strv_foreach (option, given) {
		if (r == 0 && (*option)[0] && strcmp(*option, "defaults") != 0)
			r = strv_append(&options, *option);
	}
	if (r < 0)
		return r;
	return defaults_add_mount(&launch->oci, destination, "tmpfs", "tmpfs", (const char *const *)options);
}

static int launch_tmpfs(struct launch *launch, const struct mount_point *mount, const struct mount_config *config)
{
	const struct mount_tmpfs_options *tmpfs = config ? config->tmpfs : NULL;
	_autofree_(strv) char **options = NULL;
	int r = mount->rw ? 0 : strv_append(&options, "ro");
	if (r == 0 && tmpfs && tmpfs->size_bytes > 0)
		r = strv_appendf(&options, "size=%lld", (long long)tmpfs->size_bytes);
	if (r == 0 && tmpfs && tmpfs->mode > 0)
		r = strv_appendf(&options, "mode=%llo", (unsigned long long)tmpfs->mode & 07777);
	size_t index;
	json_t *option;
	json_array_foreach (tmpfs ? tmpfs->options : NULL, index, option) {
		const char *key = json_string_value(json_array_get(option, 0));
		const char *value = json_string_value(json_array_get(option, 1));
		if (r == 0 && key)
			r = value ? strv_appendf(&options, "%s=%s", key, value) : strv_append(&options, key);
	}
	return r < 0 ? r : add_tmpfs(launch, mount->destination, options);
}

/* Fewer components first: a place below another is mounted after it. */
static int compare_depth(const void *a, const void *b)
{
	const struct mount_point *const *left = a, *const *right = b;
	size_t depths[2] = { 0, 0 };
	const char *const paths[2] = { (*left)->destination, (*right)->destination };
	for (int side = 0; side < 2; side++) {
		for (const char *at = paths[side]; *at; at++)
			depths[side] += *at == '/';
	}
	return depths[0] != depths[1] ? (depths[0] < depths[1] ? -1 : 1) : strcmp(paths[0], paths[1]);
}

const struct mount_point **mounts_sorted(const struct container_record *record)
{
	const struct mount_point **sorted = calloc(record->mount_count + 1, sizeof(*sorted));
	for (size_t i = 0; sorted && i < record->mount_count; i++)
		sorted[i] = &record->mounts[i];
	if (sorted)
		qsort(sorted, record->mount_count, sizeof(*sorted), compare_depth);
	return sorted;
}

static int launch_point(const struct container *container, const struct mount_point *mount, struct launch *launch)
{
	const struct mount_config *config = config_of(&container->record, mount->destination);
	const struct volume *volume = volume_of(container, mount);
	drop_default(&launch->oci, mount->destination);
	if (strcmp(mount->type, "tmpfs") == 0)
		return launch_tmpfs(launch, mount, config);
	if (volume && volume_kind(volume) == VOLUME_FILESYSTEM)
		return launch_filesystem(launch, mount, volume);
	return launch_bind(launch, mount, config, volume);
}

static int launch_points(const struct container *container, struct launch *launch)
{
	const struct container_record *record = &container->record;
	const struct mount_point **sorted = mounts_sorted(record);
	int r = sorted ? 0 : -ENOMEM;
	for (size_t i = 0; r == 0 && i < record->mount_count; i++)
		r = launch_point(container, sorted[i], launch);
	free(sorted);
	return r;
}

int mounts_launch(const struct container *container, struct launch *launch, struct err **reterr)
{
	const struct container_record *record = &container->record;
	struct map_entry *entry;
	int r = 0;
	for (size_t cursor = 0; r == 0 && record->host.tmpfs && (entry = map_next(record->host.tmpfs, &cursor));) {
		_autofree_(strv) char **options = strv_split(entry->value, ',');
		drop_default(&launch->oci, entry->key);
		r = options ? add_tmpfs(launch, entry->key, options) : -ENOMEM;
	}
	if (r == 0)
		r = launch_points(container, launch);
	return r < 0 ? err_errno(reterr, r, "cannot list the container's mounts") : 0;
}
