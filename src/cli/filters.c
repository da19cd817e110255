#include "cli/filters.h"

#include <ctype.h>
#include <string.h>

#include "base/strv.h"
#include "cli/object.h"
#include "cli/text.h"
#include "codec/json.h"
#include "codec/query.h"

#define FILTERS_MAX (64 * 1024)

/* Blanks around the name and the value don't count; names are in lower case. */
static char *trim(char *text)
{
	while (isspace((unsigned char)*text))
		text++;
	size_t len = strlen(text);
	while (len && isspace((unsigned char)text[len - 1]))
		text[--len] = '\0';
	return text;
}

static int add_filter(json_t *all, const char *filter, struct err **reterr)
{
	_cleanup_free_ char *copy = strdup(filter);
	if (!copy)
		return err_oom(reterr);
	char *value = text_cut(copy, '=');
	if (!value)
		return err_set(reterr, ERR_INVALID, 0,
			"invalid argument \"%s\" for \"--filter\" flag: bad format of filter (expected name=value)",
			filter);
	char *name = trim(copy);
	for (char *p = name; *p; p++)
		*p = (char)tolower((unsigned char)*p);

	_autojson_ json_t *key = object_string(name), *text = object_string(trim(value));
	json_t *values = key ? json_object_get(all, json_string_value(key)) : NULL;
	if (key && !values) {
		values = json_object();
		if (json_object_set_new(all, json_string_value(key), values) < 0)
			return err_oom(reterr);
	}
	if (!values || !text || json_object_set_new(values, json_string_value(text), json_true()) < 0)
		return err_oom(reterr);
	return 0;
}

int filters_append(char *const *filters, struct buf *path, struct err **reterr)
{
	if (!filters || !*filters)
		return 0;
	_autojson_ json_t *all = json_object();
	if (!all)
		return err_oom(reterr);
	strv_foreach (filter, filters) {
		int ret = add_filter(all, *filter, reterr);
		if (ret < 0)
			return ret;
	}
	_cleanup_(buf_finish) struct buf text = BUF_INIT(FILTERS_MAX);
	int ret = json_print_value(all, &text);
	if (ret == 0)
		ret = query_append(path, "filters", text.data);
	return ret < 0 ? err_errno(reterr, ret, "cannot send the filters") : 0;
}
