#include "cli/resources.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "base/parse.h"
#include "base/strv.h"
#include "cli/object.h"
#include "cli/text.h"

static int append(json_t *out, json_t *value, struct err **reterr)
{
	return json_array_append_new(out, value) < 0 ? err_oom(reterr) : 0;
}

/* Devices */

bool resources_is_cdi_device(const char *spec)
{
	const char *slash = strchr(spec, '/'), *equals = strchr(spec, '=');
	return isalpha((unsigned char)*spec) && slash && equals && slash < equals && slash[1] != '=' && equals[1];
}

static bool is_device_mode(const char *text)
{
	size_t len = strlen(text);
	if (!len || len > 3 || strspn(text, "rwm") != len)
		return false;
	return !strchr(text + 1, text[0]) && (len < 3 || text[1] != text[2]);
}

int resources_device(const char *spec, json_t *out, struct err **reterr)
{
	_autofree_(strv) char **parts = strv_split(spec, ':');
	size_t count = strv_count(parts);
	if (!parts)
		return err_oom(reterr);
	if (count > 3 || !*parts[0])
		return err_set(reterr, ERR_INVALID, 0, "bad format for path: %s", spec);
	if (count == 3 && !is_device_mode(parts[2]))
		return err_set(reterr, ERR_INVALID, 0, "bad mode specified: %s", parts[2]);

	const char *mode = "rwm", *target = parts[0];
	if (count == 2 && is_device_mode(parts[1]))
		mode = parts[1];
	else if (count >= 2)
		target = parts[1];
	if (count == 3)
		mode = parts[2];
	if (target[0] != '/')
		return err_set(reterr, ERR_INVALID, 0, "%s is not an absolute path", target);
	return append(out,
		json_pack("{s:s,s:s,s:s}", "PathOnHost", parts[0], "PathInContainer", target, "CgroupPermissions",
			mode),
		reterr);
}

/* A number, or "*". */
static bool is_device_number(const char *text, size_t len)
{
	return (len == 1 && *text == '*') || (len && strspn(text, "0123456789") >= len);
}

int resources_device_rule(const char *spec, json_t *out, struct err **reterr)
{
	size_t major = strlen(spec) > 2 ? strcspn(spec + 2, ":") : 0;
	const char *colon = major ? spec + 2 + major : "";
	size_t minor = *colon ? strcspn(colon + 1, " ") : 0;
	const char *mode = minor && colon[1 + minor] ? colon + 2 + minor : "";
	if (!*spec || !strchr("acb", *spec) || spec[1] != ' ' || !is_device_number(spec + 2, major) ||
		!is_device_number(colon + 1, minor) || !*mode || strlen(mode) > 3 ||
		strspn(mode, "rwm") != strlen(mode))
		return err_set(reterr, ERR_INVALID, 0,
			"invalid argument \"%s\" for \"--device-cgroup-rule\" flag: invalid device cgroup format '%s'",
			spec, spec);
	return append(out, object_string(spec), reterr);
}

/* Block I/O: "/dev/sda:VALUE". Returns a copy cut at the colon, or NULL with *reterr. */
static char *split_device(const char *spec, const char **ret_value, struct err **reterr)
{
	_cleanup_free_ char *device = strdup(spec);
	const char *value = device ? text_cut(device, ':') : NULL;
	if (!device)
		err_oom(reterr);
	else if (!value || !*device)
		err_set(reterr, ERR_INVALID, 0, "bad format: %s", spec);
	else if (strncmp(device, "/dev/", 5) != 0)
		err_set(reterr, ERR_INVALID, 0, "bad format for device path: %s", spec);
	else {
		*ret_value = value;
		return TAKE(device);
	}
	return NULL;
}

int resources_weight(const char *spec, json_t *out, struct err **reterr)
{
	const char *value;
	_cleanup_free_ char *device = split_device(spec, &value, reterr);
	if (!device)
		return -EINVAL;
	uint64_t weight;
	if (parse_u64(value, 1000, &weight) < 0 || (weight && weight < 10))
		return err_set(reterr, ERR_INVALID, 0, "invalid weight for device: %s", spec);
	return append(out, json_pack("{s:s,s:I}", "Path", device, "Weight", (json_int_t)weight), reterr);
}

int resources_rate(const char *spec, bool is_bytes, json_t *out, struct err **reterr)
{
	const char *value;
	_cleanup_free_ char *device = split_device(spec, &value, reterr);
	if (!device)
		return -EINVAL;
	int64_t rate;
	int ret = is_bytes ? parse_bytes(value, &rate) : parse_i64(value, 0, INT64_MAX, &rate);
	if (ret < 0 || rate < 0)
		return err_set(reterr, ERR_INVALID, 0,
			"invalid rate for device: %s. The correct format is <device-path>:<number>%s", spec,
			is_bytes ? "[<unit>]" : "");
	return append(out, json_pack("{s:s,s:I}", "Path", device, "Rate", (json_int_t)rate), reterr);
}

/* Limits */

static bool is_ulimit_name(const char *name)
{
	static const char *const names[] = { "core", "cpu", "data", "fsize", "locks", "memlock", "msgqueue", "nice",
		"nofile", "nproc", "rss", "rtprio", "rttime", "sigpending", "stack" };
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		if (strcmp(names[i], name) == 0)
			return true;
	}
	return false;
}

static int parse_ulimit(const char *spec, json_t *out, struct err **reterr)
{
	_cleanup_free_ char *name = strdup(spec);
	if (!name)
		return err_oom(reterr);
	char *soft_text = text_cut(name, '=');
	if (!soft_text)
		return err_set(reterr, ERR_INVALID, 0, "invalid ulimit argument: %s", spec);
	if (!is_ulimit_name(name))
		return err_set(reterr, ERR_INVALID, 0, "invalid ulimit type: %s", name);
	const char *hard_text = text_cut(soft_text, ':');
	int64_t soft, hard;
	if (parse_i64(soft_text, -1, INT64_MAX, &soft) < 0 ||
		parse_i64(hard_text ? hard_text : soft_text, -1, INT64_MAX, &hard) < 0)
		return err_set(reterr, ERR_INVALID, 0, "invalid limit in %s: expected soft[:hard], numbers or -1",
			spec);
	if (hard != -1 && (soft == -1 || soft > hard))
		return err_set(reterr, ERR_INVALID, 0,
			"ulimit soft limit must be less than or equal to hard limit: %lld > %lld", (long long)soft,
			(long long)hard);
	return append(out, json_pack("{s:s,s:I,s:I}", "Name", name, "Hard", (json_int_t)hard, "Soft", (json_int_t)soft),
		reterr);
}

int resources_ulimit(const char *spec, json_t *out, struct err **reterr)
{
	int ret = parse_ulimit(spec, out, reterr);
	return ret < 0 ? err_wrap(reterr, ret, "invalid argument \"%s\" for \"--ulimit\" flag", spec) : 0;
}

/* GPUs */

static int parse_gpu_count(const char *text, json_t *request, struct err **reterr)
{
	int64_t count = -1;
	if (strcmp(text, "all") != 0 && parse_i64(text, INT32_MIN, INT32_MAX, &count) < 0)
		return err_set(reterr, ERR_INVALID, 0, "invalid count (%s): value must be either \"all\" or an integer",
			text);
	return json_object_set_new(request, "Count", json_integer(count)) < 0 ? err_oom(reterr) : 0;
}

/* "a,b" as ["a", "b"]; `last`, if any, is appended. */
static json_t *split_list(const char *text, const char *last)
{
	_autofree_(strv) char **parts = strv_split(text, ',');
	if (!parts || (last && strv_append(&parts, last) < 0))
		return NULL;
	return text_array(parts);
}

static int parse_gpu_options(const char *value, json_t *request, struct err **reterr)
{
	_autofree_(strv) char **fields = NULL;
	if (text_split_csv(value, &fields) < 0)
		return err_set(reterr, ERR_INVALID, 0, "failed to read gpu options: %s", value);
	return json_object_set_new(request, "Options", text_map(fields)) < 0 ? err_oom(reterr) : 0;
}

static int parse_gpu_field(char *field, json_t *request, struct err **reterr)
{
	const char *value = text_cut(field, '=');
	const char *key = !value                               ? "Count"
			  : strcmp(field, "count") == 0        ? "Count"
			  : strcmp(field, "driver") == 0       ? "Driver"
			  : strcmp(field, "device") == 0       ? "DeviceIDs"
			  : strcmp(field, "capabilities") == 0 ? "Capabilities"
			  : strcmp(field, "options") == 0      ? "Options"
							       : NULL;
	if (!key)
		return err_set(reterr, ERR_INVALID, 0, "unexpected key '%s' in '%s=%s'", field, field, value);
	if (json_object_get(request, key))
		return err_set(reterr, ERR_INVALID, 0, "gpu request key '%s' can be specified only once", field);
	if (strcmp(key, "Count") == 0)
		return parse_gpu_count(value ? value : field, request, reterr);
	if (strcmp(key, "Options") == 0)
		return parse_gpu_options(value, request, reterr);
	json_t *parsed = NULL;
	if (strcmp(key, "Driver") == 0)
		parsed = object_string(value);
	else if (strcmp(key, "DeviceIDs") == 0)
		parsed = split_list(value, NULL);
	else
		parsed = json_pack("[o]", split_list(value, "gpu"));
	return json_object_set_new(request, key, parsed) < 0 ? err_oom(reterr) : 0;
}

static int set_gpu_defaults(json_t *request, struct err **reterr)
{
	int ret = 0;
	if (!json_object_get(request, "Count") && !json_object_get(request, "DeviceIDs"))
		ret |= json_object_set_new(request, "Count", json_integer(1));
	if (!json_object_get(request, "Capabilities"))
		ret |= json_object_set_new(request, "Capabilities", json_pack("[[s]]", "gpu"));
	if (!json_object_get(request, "Options"))
		ret |= json_object_set_new(request, "Options", json_object());
	return ret < 0 ? err_oom(reterr) : 0;
}

int resources_gpu(const char *spec, json_t *out, struct err **reterr)
{
	_autofree_(strv) char **fields = NULL;
	int ret = text_split_csv(spec, &fields);
	json_t *request = json_object();
	if (ret == -ENOMEM || json_array_append_new(out, request) < 0)
		return err_oom(reterr);
	if (ret < 0)
		ret = err_set(reterr, ERR_INVALID, 0, "broken quotes");
	for (char **field = fields; ret == 0 && *field; field++)
		ret = parse_gpu_field(*field, request, reterr);
	if (ret == 0)
		ret = set_gpu_defaults(request, reterr);
	return ret < 0 ? err_wrap(reterr, ret, "invalid argument \"%s\" for \"--gpus\" flag", spec) : 0;
}
