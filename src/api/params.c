#include "api/params.h"

#include <errno.h>
#include <string.h>

#include "base/strv.h"
#include "engine/times.h"

int param_time(const struct query *query, const char *key, int64_t fallback, int64_t *ret_ns, struct err **reterr)
{
	const char *text = query_get(query, key);
	*ret_ns = fallback;
	return !text || !*text || strcmp(text, "0") == 0 ? 0 : times_parse(text, key, ret_ns, reterr);
}

int param_int(const struct query *query, const char *key, int64_t fallback, int64_t min, int64_t max, int64_t *ret,
	struct err **reterr)
{
	int r = query_int(query, key, fallback, ret);
	if (r < 0)
		return err_set(reterr, ERR_INVALID, 0, "invalid value for \"%s\": \"%s\" is not a number", key,
			query_get(query, key));
	if (query_has(query, key) && *query_get(query, key) && (*ret < min || *ret > max))
		return err_set(reterr, ERR_INVALID, 0, "invalid value for \"%s\": \"%s\" is out of range", key,
			query_get(query, key));
	return 0;
}

struct filters *param_filters(struct request *request, const char *const *known)
{
	_autofree_(err) struct err *err = NULL;
	struct filters *filters = NULL;
	if (filters_parse(query_get(request->query, "filters"), known, &filters, &err) == 0)
		return filters;
	respond_error(request, err);
	return NULL;
}

void respond_result(struct request *request, int r, int status, json_t *document, const struct err *err)
{
	if (r < 0)
		respond_error(request, err);
	else
		respond_json(request, status, document);
}

int param_list(const struct query *query, const char *key, char ***ret)
{
	size_t cursor = 0;
	const char *value;
	while ((value = query_next(query, key, &cursor)))
		if (strv_append(ret, value) < 0)
			return -ENOMEM;
	return 0;
}
