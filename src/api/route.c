#include "api/route.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "api/request.h"
#include "base/parse.h"

static int version_error(struct err **reterr, const char *version, bool too_old)
{
	if (too_old)
		return err_set(reterr, ERR_INVALID, 0,
			"client version %s is too old. Minimum supported API version is 1.%d, please upgrade your client to a newer version",
			version, API_MINOR_MIN);
	return err_set(reterr, ERR_INVALID, 0, "client version %s is too new. Maximum supported API version is %s",
		version, API_VERSION_MAX);
}

int route_version(const char **path, int *ret_minor, struct err **reterr)
{
	const char *text = *path;
	*ret_minor = API_MINOR_MAX;
	if (strncmp(text, "/v", 2) != 0 || text[2] < '0' || text[2] > '9')
		return 0;

	const char *end = strchrnul(text + 1, '/');
	char version[16];
	size_t len = (size_t)(end - text - 2);
	if (len >= sizeof version)
		return err_set(reterr, ERR_INVALID, 0, "invalid API version in the path");
	memcpy(version, text + 2, len);
	version[len] = '\0';

	char *dot = strchr(version, '.');
	uint64_t major, minor;
	if (!dot)
		return err_set(reterr, ERR_INVALID, 0, "invalid API version %s: expected major.minor", version);
	*dot = '\0';
	bool ok = parse_u64(version, 999, &major) == 0 && parse_u64(dot + 1, 9999, &minor) == 0;
	*dot = '.';
	if (!ok)
		return err_set(reterr, ERR_INVALID, 0, "invalid API version %s: expected major.minor", version);
	if (major < 1 || (major == 1 && minor < API_MINOR_MIN))
		return version_error(reterr, version, true);
	if (major > 1 || minor > API_MINOR_MAX)
		return version_error(reterr, version, false);
	*ret_minor = (int)minor;
	*path = end;
	return 0;
}

static size_t segment_len(const char *text)
{
	return strcspn(text, "/");
}

static int take_param(char **params, size_t *used, const char *text, size_t len)
{
	if (*used == REQUEST_PARAMS_MAX)
		return -E2BIG;
	params[*used] = strndup(text, len);
	return params[(*used)++] ? 1 : -ENOMEM;
}

/* "{*}" and the literal that may follow it: everything up to that literal at the path's end. */
static int match_rest(const char *suffix, const char *path, char **params, size_t *used)
{
	size_t len = strlen(path), suffix_len = strlen(suffix);
	if (len <= suffix_len || strcmp(path + len - suffix_len, suffix) != 0)
		return 0;
	return take_param(params, used, path, len - suffix_len);
}

/* 1: matches, 0: does not, or -errno. Parameters taken before a mismatch are the caller's to free. */
static int pattern_match(const char *pattern, const char *path, char **params)
{
	size_t used = 0;
	for (;;) {
		if (*pattern != '/' || *path != '/')
			return *pattern == *path;
		pattern++;
		path++;
		if (strncmp(pattern, "{*}", 3) == 0)
			return match_rest(pattern + 3, path, params, &used);

		size_t want = segment_len(pattern), have = segment_len(path);
		if (want == 2 && strncmp(pattern, "{}", 2) == 0) {
			/* "/containers//web/json": names of containers may come with their slash. */
			if (have == 0 && segment_len(path + (*path == '/')) > 0)
				have = 1 + segment_len(path + 1);
			int r = have ? take_param(params, &used, path, have) : 0;
			if (r <= 0)
				return r;
		} else if (want != have || strncmp(pattern, path, want) != 0) {
			return 0;
		}
		pattern += want;
		path += have;
	}
}

static void params_reset(char **params)
{
	for (size_t i = 0; i < REQUEST_PARAMS_MAX; i++) {
		free(params[i]);
		params[i] = NULL;
	}
}

int route_find(const struct route_table *const *tables, size_t table_count, const char *method, const char *path,
	int minor, const struct route **ret_route, char **params, struct err **reterr)
{
	if (strcmp(method, "HEAD") == 0)
		method = "GET";
	*ret_route = NULL;

	for (size_t t = 0; t < table_count; t++) {
		for (size_t i = 0; i < tables[t]->count; i++) {
			const struct route *route = &tables[t]->routes[i];
			int r = route->min_minor > minor ? 0 : pattern_match(route->pattern, path, params);
			if (r == -ENOMEM)
				return err_oom(reterr);
			if (r == 1 && strcmp(route->method, method) == 0) {
				*ret_route = route;
				return 0;
			}
			params_reset(params);
		}
	}
	return err_set(reterr, ERR_NOT_FOUND, 0, "page not found");
}
