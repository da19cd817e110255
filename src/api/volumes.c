/* /volumes */
#include "engine/volumes.h"

#include "api/params.h"
#include "api/request.h"
#include "api/routes.h"
#include "api/sizes.h"
#include "spec/system_info.h"

static void list(struct request *request)
{
	_autofree_(err) struct err *err = NULL;
	_autofree_(filters) struct filters *filters = param_filters(request, volumes_list_filters);
	json_t *document = NULL;
	if (!filters)
		return;
	int r = volumes_list(request->engine->volumes, filters, &document, &err);
	respond_result(request, r, 200, document, err);
}

static void create(struct request *request)
{
	_autofree_(err) struct err *err = NULL;
	struct volume_create body = { 0 };
	struct volume *volume = NULL;
	json_t *document = NULL;
	int r = request_read_body(request, &volume_create_table, true, &body, &err);
	r = r
		    ?: volumes_create(request->engine->volumes, body.name, body.driver, body.labels, body.driver_opts,
			       &volume, &err);
	r = r ?: volumes_inspect(request->engine->volumes, volume->name, &document, &err);
	json_finish(&volume_create_table, &body);
	respond_result(request, r, 201, document, err);
}

static void inspect(struct request *request)
{
	_autofree_(err) struct err *err = NULL;
	json_t *document = NULL;
	int r = volumes_inspect(request->engine->volumes, request->params[0], &document, &err);
	respond_result(request, r, 200, document, err);
}

static void remove_one(struct request *request)
{
	_autofree_(err) struct err *err = NULL;
	bool force = query_bool(request->query, "force", false);
	if (volumes_remove(request->engine->volumes, request->params[0], force, &err) < 0)
		respond_error(request, err);
	else
		respond_empty(request, 204);
}

static void prune_sized(struct request *request, const struct sizes *sizes)
{
	_autofree_(err) struct err *err = NULL;
	_autofree_(filters) struct filters *filters = param_filters(request, volumes_prune_filters);
	json_t *document = NULL;
	if (!filters)
		return;
	int r = volumes_prune(request->engine->volumes, filters, request->api_minor < 42, sizes, &document, &err);
	respond_result(request, r, 200, document, err);
}

static void prune(struct request *request)
{
	with_sizes(request, &(struct sizes_wish){ .volumes = true }, prune_sized);
}

static const struct route routes[] = {
	{ "GET", "/volumes", 0, 0, list },
	{ "POST", "/volumes/create", 0, 0, create },
	{ "POST", "/volumes/prune", 25, 0, prune },
	{ "GET", "/volumes/{}", 0, 0, inspect },
	{ "DELETE", "/volumes/{}", 0, 0, remove_one },
};
const struct route_table volume_routes = ROUTE_TABLE(routes);
