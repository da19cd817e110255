#include "engine/filters.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/parse.h"
#include "base/strv.h"
#include "codec/json.h"

struct filters {
	struct map *values; /* key to char ** */
};

static void free_values(void *values)
{
	strv_free(values);
}

void filters_free(struct filters *filters)
{
	if (!filters)
		return;
	map_free(filters->values);
	free(filters);
}

static bool is_known(const char *const *known, const char *key)
{
	for (; *known; known++) {
		if (strcmp(*known, key) == 0)
			return true;
	}
	return false;
}

/* {"a":true,"b":false} counts a; ["a"] counts a. */
static int read_values(const char *key, json_t *value, char ***ret, struct err **reterr)
{
	size_t index;
	const char *name;
	json_t *item;
	int r = 0;
	if (json_is_object(value)) {
		json_object_foreach (value, name, item) {
			if (r == 0 && !json_is_boolean(item))
				return err_set(reterr, ERR_INVALID, 0,
					"invalid filter '%s': its values must be true or false", key);
			if (r == 0 && json_is_true(item))
				r = strv_append(ret, name);
		}
	} else if (json_is_array(value)) {
		json_array_foreach (value, index, item) {
			if (r == 0 && !json_is_string(item))
				return err_set(reterr, ERR_INVALID, 0,
					"invalid filter '%s': its values must be strings", key);
			if (r == 0)
				r = strv_append(ret, json_string_value(item));
		}
	} else {
		return err_set(reterr, ERR_INVALID, 0, "invalid filter '%s': expected an object or an array", key);
	}
	return r < 0 ? err_oom(reterr) : 0;
}

int filters_parse(const char *text, const char *const *known, struct filters **ret, struct err **reterr)
{
	_autofree_(filters) struct filters *filters = calloc(1, sizeof(*filters));
	if (!filters || !(filters->values = map_new(free_values)))
		return err_oom(reterr);
	_autojson_ json_t *document = NULL;
	if (text && text[0]) {
		int r = json_load(text, strlen(text), &document, reterr);
		if (r < 0)
			return err_wrap(reterr, r, "invalid filter");
		if (!json_is_object(document))
			return err_set(reterr, ERR_INVALID, 0, "invalid filter: expected an object");
	}
	const char *key;
	json_t *value;
	json_object_foreach (document, key, value) {
		_autofree_(strv) char **values = NULL;
		if (!is_known(known, key))
			return err_set(reterr, ERR_INVALID, 0, "invalid filter '%s'", key);
		int r = read_values(key, value, &values, reterr);
		if (r < 0)
			return r;
		if (values && map_set(filters->values, key, values) < 0)
			return err_oom(reterr);
		values = NULL;
	}
	*ret = TAKE(filters);
	return 0;
}

bool filters_has(const struct filters *filters, const char *key)
{
	return filters && map_has(filters->values, key);
}

char *const *filters_values(const struct filters *filters, const char *key)
{
	return filters ? map_get(filters->values, key) : NULL;
}

bool filters_match(const struct filters *filters, const char *key, const char *value)
{
	return !filters_has(filters, key) || strv_has(filters_values(filters, key), value);
}

bool filters_match_prefix(const struct filters *filters, const char *key, const char *value)
{
	if (!filters_has(filters, key))
		return true;
	strv_foreach (wanted, filters_values(filters, key)) {
		if (strncmp(value, *wanted, strlen(*wanted)) == 0)
			return true;
	}
	return false;
}

bool filters_match_part(const struct filters *filters, const char *key, const char *value)
{
	if (!filters_has(filters, key))
		return true;
	strv_foreach (wanted, filters_values(filters, key)) {
		if (strstr(value, *wanted))
			return true;
	}
	return false;
}

static bool label_holds(const struct map *labels, const char *wanted)
{
	const char *equals = strchr(wanted, '=');
	if (!labels)
		return false;
	if (!equals)
		return map_has(labels, wanted);
	_cleanup_free_ char *name = strndup(wanted, (size_t)(equals - wanted));
	const char *value = name ? map_get(labels, name) : NULL;
	return value && strcmp(value, equals + 1) == 0;
}

bool filters_match_labels(const struct filters *filters, const char *key, const struct map *labels)
{
	strv_foreach (wanted, filters_values(filters, key)) {
		if (!label_holds(labels, *wanted))
			return false;
	}
	return true;
}

bool filters_refuse_labels(const struct filters *filters, const char *key, const struct map *labels)
{
	strv_foreach (wanted, filters_values(filters, key)) {
		if (label_holds(labels, *wanted))
			return false;
	}
	return true;
}

int filters_bool(const struct filters *filters, const char *key, bool fallback, bool *ret, struct err **reterr)
{
	char *const *values = filters_values(filters, key);
	*ret = fallback;
	if (!values)
		return 0;
	if (values[1] || parse_bool(values[0], ret) < 0)
		return err_set(reterr, ERR_INVALID, 0, "invalid filter '%s=[%s]'", key, values[0]);
	return 0;
}
