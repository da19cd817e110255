/* What is asked of the engine itself. */
#include "api/params.h"
#include "api/request.h"
#include "api/routes.h"
#include "engine/info.h"

/* Builder-Version 1: the classic builder, until there is a BuildKit to speak to. */
static void ping(struct request *request)
{
	request_add_header(request, "Builder-Version", "1");
	request_add_header(request, "Swarm", "inactive");
	request_add_header(request, "Cache-Control", "no-cache, no-store, must-revalidate");
	request_add_header(request, "Pragma", "no-cache");
	respond_text(request, 200, "text/plain; charset=utf-8", "OK");
}

static void version(struct request *request)
{
	_autofree_(err) struct err *err = NULL;
	json_t *document = NULL;
	int r = info_version(request->engine, &document, &err);
	respond_result(request, r, 200, document, err);
}

static void info(struct request *request)
{
	_autofree_(err) struct err *err = NULL;
	json_t *document = NULL;
	int r = info_system(request->engine, &document, &err);
	respond_result(request, r, 200, document, err);
}

static void disk_usage(struct request *request)
{
	_autofree_(err) struct err *err = NULL;
	json_t *document = NULL;
	int r = info_disk_usage(request->engine, &document, &err);
	respond_result(request, r, 200, document, err);
}

static const struct route routes[] = {
	{ "GET", "/_ping", 0, 0, ping },
	{ "GET", "/version", 0, 0, version },
	{ "GET", "/info", 0, 0, info },
	{ "GET", "/system/df", 25, 0, disk_usage },
};
const struct route_table system_routes = ROUTE_TABLE(routes);
