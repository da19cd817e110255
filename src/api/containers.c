/* /containers: list, create, and what is asked of or changed on one without its monitor's streams. */
#include "api/hand_over.h"
#include "api/params.h"
#include "api/request.h"
#include "api/routes.h"
#include "api/sizes.h"
#include "base/strv.h"
#include "engine/change.h"
#include "engine/create.h"
#include "engine/inspect.h"
#include "engine/remove.h"
#include "engine/update.h"

static void list_sized(struct request *request, const struct sizes *sizes)
{
	_autofree_(err) struct err *err = NULL;
	_autofree_(filters) struct filters *filters = param_filters(request, inspect_list_filters);
	json_t *document = NULL;
	if (!filters)
		return;
	struct inspect_list wish = {
		.all = query_bool(request->query, "all", false),
		.filters = filters,
		.sizes = sizes,
	};
	int r = param_int(request->query, "limit", 0, INT32_MIN, INT32_MAX, &wish.limit, &err);
	if (wish.limit < 0)
		wish.limit = 0; /* `ps --last -1` is all */
	r = r ?: inspect_containers(request->engine, &wish, &document, &err);
	respond_result(request, r, 200, document, err);
}

static void list(struct request *request)
{
	if (query_bool(request->query, "size", false))
		with_sizes(request, &(struct sizes_wish){ .containers = true }, list_sized);
	else
		list_sized(request, NULL);
}

static json_t *created(const struct container *container, char *const *warnings)
{
	json_t *list = json_array();
	strv_foreach (warning, warnings)
		json_array_append_new(list, json_string(*warning));
	return json_pack("{s:s, s:o}", "Id", container->id, "Warnings", list);
}

static void create(struct request *request)
{
	_autofree_(err) struct err *err = NULL;
	_autofree_(strv) char **warnings = NULL;
	struct container_create body = { 0 };
	struct container *container = NULL;

	int r = request_check_body(request, &err);
	r = r ?: container_create_parse(request->body, request->body_len, &body, &err);
	r = r
		    ?: create_container(request->engine, query_get(request->query, "name"),
			       query_get(request->query, "platform"), &body, &container, &warnings, &err);
	json_finish(&container_create_table, &body);
	respond_result(request, r, 201, r < 0 ? NULL : created(container, warnings), err);
}

static void inspect_sized(struct request *request, const struct sizes *sizes)
{
	_autofree_(err) struct err *err = NULL;
	struct container *container = NULL;
	json_t *document = NULL;
	int r = container_find(request->engine, request->params[0], &container, &err);
	r = r ?: inspect_container(container, sizes, &document, &err);
	respond_result(request, r, 200, document, err);
}

static void inspect(struct request *request)
{
	_autofree_(err) struct err *err = NULL;
	struct container *container = NULL;
	if (!query_bool(request->query, "size", false))
		inspect_sized(request, NULL);
	else if (container_find(request->engine, request->params[0], &container, &err) < 0)
		respond_error(request, err);
	else
		with_sizes(request, &(struct sizes_wish){ .container = container }, inspect_sized);
}

static void rename_container(struct request *request)
{
	_autofree_(err) struct err *err = NULL;
	struct container *container = NULL;
	const char *name = query_get(request->query, "name");
	int r = container_find(request->engine, request->params[0], &container, &err);
	r = r ?: change_name(container, name ?: "", &err);
	if (r < 0)
		respond_error(request, err);
	else
		respond_empty(request, 204);
}

static void on_updated(void *user, json_t *result, const struct err *err)
{
	respond_result(user, err ? -err->errnum : 0, 200, json_incref(result), err);
}

static void update(struct request *request)
{
	_autofree_(err) struct err *err = NULL;
	struct container_update body = { 0 };
	struct container *container = NULL;
	int r = container_find(request->engine, request->params[0], &container, &err);
	r = r ?: request_read_body(request, &container_update_table, false, &body, &err);
	if (r < 0)
		respond_error(request, err);
	else
		update_container(container, &body, on_updated, request);
	json_finish(&container_update_table, &body);
}

static void prune_sized(struct request *request, const struct sizes *sizes)
{
	_autofree_(err) struct err *err = NULL;
	_autofree_(filters) struct filters *filters = param_filters(request, remove_prune_filters);
	json_t *document = NULL;
	if (!filters)
		return;
	int r = remove_prune(request->engine, filters, sizes, &document, &err);
	respond_result(request, r, 200, document, err);
}

static void prune(struct request *request)
{
	with_sizes(request, &(struct sizes_wish){ .containers = true }, prune_sized);
}

static const struct route routes[] = {
	{ "GET", "/containers/json", 0, 0, list },
	{ "POST", "/containers/create", 0, 0, create },
	{ "POST", "/containers/prune", 25, 0, prune },
	{ "GET", "/containers/{}/json", 0, 0, inspect },
	{ "POST", "/containers/{}/rename", 0, 0, rename_container },
	{ "POST", "/containers/{}/update", 0, 0, update },
};
const struct route_table container_routes = ROUTE_TABLE(routes);
