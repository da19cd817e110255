/*
 * A --mount is a list of fields; a table says for each key where its value goes in the API's Mount object and how it is
 * read. Sub-objects (BindOptions ...) are made when first needed, and must fit the mount's type.
 */
#include "cli/mounts.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <strings.h>

#include "base/parse.h"
#include "base/strv.h"
#include "cli/object.h"
#include "cli/text.h"

int mounts_volume(const char *spec, json_t *binds, json_t *volumes, struct err **reterr)
{
	size_t colons = 0;
	for (const char *p = spec; *p; p++)
		colons += *p == ':';
	if (!*spec)
		return err_set(reterr, ERR_INVALID, 0, "invalid empty volume spec");
	if (*spec == ':' || spec[strlen(spec) - 1] == ':' || strstr(spec, "::"))
		return err_set(reterr, ERR_INVALID, 0, "invalid spec: %s: empty section between colons", spec);
	if (colons > 2)
		return err_set(reterr, ERR_INVALID, 0, "invalid spec: %s: too many colons", spec);
	if (colons == 0)
		return json_object_set_new(volumes, spec, json_object()) < 0 ? err_oom(reterr) : 0;

	_cleanup_free_ char *source = strdup(spec);
	const char *rest = source ? text_cut(source, ':') : NULL;
	_cleanup_free_ char *absolute = source ? text_absolute(source) : NULL;
	_cleanup_free_ char *bind = NULL;
	if (!absolute || asprintf(&bind, "%s:%s", absolute, rest) < 0 ||
		json_array_append_new(binds, object_string(bind)) < 0)
		return err_oom(reterr);
	return 0;
}

enum value_kind {
	VALUE_TEXT,
	VALUE_LOWER, /* in lower case */
	VALUE_PATH,  /* "./x" is made absolute */
	VALUE_BOOL,
	VALUE_SIZE,
	VALUE_MODE, /* octal */
	VALUE_PAIR, /* key=value into a map */
	VALUE_RECURSIVE,
};

struct mount_key {
	const char *name;
	const char *object; /* sub-object, "A" or "A.B"; NULL: the mount itself */
	const char *member;
	enum value_kind kind;
};

static const struct mount_key mount_keys[] = {
	{ "type", NULL, "Type", VALUE_LOWER },
	{ "source", NULL, "Source", VALUE_PATH },
	{ "src", NULL, "Source", VALUE_PATH },
	{ "target", NULL, "Target", VALUE_TEXT },
	{ "dst", NULL, "Target", VALUE_TEXT },
	{ "destination", NULL, "Target", VALUE_TEXT },
	{ "readonly", NULL, "ReadOnly", VALUE_BOOL },
	{ "ro", NULL, "ReadOnly", VALUE_BOOL },
	{ "consistency", NULL, "Consistency", VALUE_LOWER },
	{ "bind-propagation", "BindOptions", "Propagation", VALUE_LOWER },
	{ "bind-nonrecursive", "BindOptions", "NonRecursive", VALUE_BOOL },
	{ "bind-recursive", "BindOptions", "", VALUE_RECURSIVE },
	{ "bind-create-src", "BindOptions", "CreateMountpoint", VALUE_BOOL },
	{ "volume-subpath", "VolumeOptions", "Subpath", VALUE_TEXT },
	{ "volume-nocopy", "VolumeOptions", "NoCopy", VALUE_BOOL },
	{ "volume-label", "VolumeOptions", "Labels", VALUE_PAIR },
	{ "volume-driver", "VolumeOptions.DriverConfig", "Name", VALUE_TEXT },
	{ "volume-opt", "VolumeOptions.DriverConfig", "Options", VALUE_PAIR },
	{ "image-subpath", "ImageOptions", "Subpath", VALUE_TEXT },
	{ "tmpfs-size", "TmpfsOptions", "SizeBytes", VALUE_SIZE },
	{ "tmpfs-mode", "TmpfsOptions", "Mode", VALUE_MODE },
};

/* The member of `object`, made if it is missing. NULL when out of memory. */
static json_t *member_object(json_t *object, const char *name)
{
	json_t *member = json_object_get(object, name);
	if (!member) {
		member = json_object();
		if (json_object_set_new(object, name, member) < 0)
			return NULL;
	}
	return member;
}

/* "A.B": A, then B in it. */
static json_t *find_object(json_t *mount, const char *path)
{
	if (!path)
		return mount;
	_cleanup_free_ char *first = strdup(path);
	if (!first)
		return NULL;
	const char *second = text_cut(first, '.');
	json_t *object = member_object(mount, first);
	return object && second ? member_object(object, second) : object;
}

static int set_recursive(json_t *options, const char *value, struct err **reterr)
{
	static const struct {
		const char *value;
		const char *member;
	} choices[] = { { "enabled", NULL }, { "disabled", "NonRecursive" }, { "writable", "ReadOnlyNonRecursive" },
		{ "readonly", "ReadOnlyForceRecursive" } };
	for (size_t i = 0; i < ARRAY_SIZE(choices); i++) {
		if (strcmp(choices[i].value, value) == 0)
			return choices[i].member && json_object_set_new(options, choices[i].member, json_true()) < 0
				       ? err_oom(reterr)
				       : 0;
	}
	return err_set(reterr, ERR_INVALID, 0,
		"invalid value for bind-recursive: %s (must be \"enabled\", \"disabled\", \"writable\", or \"readonly\")",
		value);
}

static json_t *lower_string(const char *text)
{
	_cleanup_free_ char *lower = strdup(text);
	for (char *p = lower; p && *p; p++)
		*p = (char)tolower((unsigned char)*p);
	return lower ? object_string(lower) : NULL;
}

static json_t *path_string(const char *text)
{
	_cleanup_free_ char *path = text_absolute(text);
	return path ? object_string(path) : NULL;
}

/* Octal digits; -1 if it is none. */
static json_int_t parse_mode(const char *text)
{
	char *end;
	errno = 0;
	unsigned long mode = strtoul(text, &end, 8);
	return !*text || *end || errno || mode > UINT32_MAX || !isdigit((unsigned char)*text) ? -1 : (json_int_t)mode;
}

static int invalid_value(const struct mount_key *key, const char *value, struct err **reterr)
{
	return err_set(reterr, ERR_INVALID, 0, "invalid value for %s: %s", key->name, value);
}

static int set_pair(json_t *object, const struct mount_key *key, const char *value, struct err **reterr)
{
	_cleanup_free_ char *name = strdup(value);
	json_t *map = member_object(object, key->member);
	if (!name || !map)
		return err_oom(reterr);
	const char *assigned = text_cut(name, '=');
	return json_object_set_new(map, name, object_string(assigned ? assigned : "")) < 0 ? err_oom(reterr) : 0;
}

/* `value` is NULL for a bare key. */
static int set_key(json_t *mount, const struct mount_key *key, const char *value, struct err **reterr)
{
	json_t *object = find_object(mount, key->object), *result = NULL;
	int64_t size;
	bool flag = true;
	if (!object)
		return err_oom(reterr);
	switch (key->kind) {
	case VALUE_TEXT: result = object_string(value); break;
	case VALUE_LOWER: result = lower_string(value); break;
	case VALUE_PATH: result = path_string(value); break;
	case VALUE_BOOL:
		if (value && parse_bool(value, &flag) < 0)
			return err_set(reterr, ERR_INVALID, 0, "invalid value for %s: invalid boolean value (\"%s\")",
				key->name, value);
		result = json_boolean(flag);
		break;
	case VALUE_SIZE:
		if (parse_bytes(value, &size) < 0)
			return invalid_value(key, value, reterr);
		result = json_integer(size);
		break;
	case VALUE_MODE:
		if (parse_mode(value) < 0)
			return invalid_value(key, value, reterr);
		result = json_integer(parse_mode(value));
		break;
	case VALUE_PAIR: return set_pair(object, key, value, reterr);
	case VALUE_RECURSIVE: return set_recursive(object, value, reterr);
	}
	return json_object_set_new(object, key->member, result) < 0 ? err_oom(reterr) : 0;
}

static int set_field(json_t *mount, const char *field, struct err **reterr)
{
	_cleanup_free_ char *name = strdup(field);
	if (!name)
		return err_oom(reterr);
	const char *value = text_cut(name, '=');
	if (*name && (isspace((unsigned char)*name) || isspace((unsigned char)name[strlen(name) - 1])))
		return err_set(reterr, ERR_INVALID, 0, "invalid option '%s' in '%s': option should not have whitespace",
			name, field);
	if (value && !*value)
		return err_set(reterr, ERR_INVALID, 0, "invalid value for '%s': value is empty", name);

	for (size_t i = 0; i < ARRAY_SIZE(mount_keys); i++) {
		if (strcasecmp(mount_keys[i].name, name) != 0)
			continue;
		if (!value && mount_keys[i].kind != VALUE_BOOL)
			break;
		return set_key(mount, &mount_keys[i], value, reterr);
	}
	if (!value)
		return err_set(reterr, ERR_INVALID, 0, "invalid field '%s' must be a key=value pair", field);
	return err_set(reterr, ERR_INVALID, 0, "unexpected key '%s' in '%s'", name, field);
}

/* Options of another type than the mount's are a mistake worth telling. */
static int check_mount(json_t *mount, struct err **reterr)
{
	static const struct {
		const char *type;
		const char *options;
		const char *prefix;
	} kinds[] = { { "bind", "BindOptions", "bind" }, { "volume", "VolumeOptions", "volume" },
		{ "tmpfs", "TmpfsOptions", "tmpfs" }, { "image", "ImageOptions", "image" } };

	const char *type = json_string_value(json_object_get(mount, "Type"));
	if (!json_object_get(mount, "Target"))
		return err_set(reterr, ERR_INVALID, 0, "target is required");
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		if (json_object_get(mount, kinds[i].options) && strcmp(kinds[i].type, type) != 0)
			return err_set(reterr, ERR_INVALID, 0, "cannot mix '%s-*' options with mount type '%s'",
				kinds[i].prefix, type);
	}
	return 0;
}

int mounts_mount(const char *spec, json_t *mounts, struct err **reterr)
{
	_autofree_(strv) char **fields = NULL;
	int ret = text_split_csv(spec, &fields);
	if (ret < 0)
		return ret == -ENOMEM ? err_oom(reterr)
				      : err_set(reterr, ERR_INVALID, 0, "broken quotes in '%s'", spec);

	json_t *mount = json_pack("{s:s}", "Type", "volume");
	if (json_array_append_new(mounts, mount) < 0)
		return err_oom(reterr);
	for (char **field = fields; ret == 0 && *field; field++)
		ret = set_field(mount, *field, reterr);
	if (ret == 0)
		ret = check_mount(mount, reterr);
	return ret < 0 ? err_wrap(reterr, ret, "invalid argument \"%s\" for \"--mount\" flag", spec) : 0;
}
