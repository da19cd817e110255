/* What is asked of the engine itself. */
#include <string.h>

#include "api/params.h"
#include "api/request.h"
#include "api/routes.h"
#include "api/sizes.h"
#include "doctor/doctor.h"
#include "engine/engine.h"
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

/* Several types may be named; none is all of them. */
static int read_usage_wish(const struct request *request, struct usage_wish *wish, struct err **reterr)
{
	const struct {
		const char *type;
		bool *wanted;
	} types[] = { { "image", &wish->images }, { "container", &wish->containers }, { "volume", &wish->volumes },
		{ "build-cache", &wish->build_cache } };
	bool all = !query_has(request->query, "type");
	size_t cursor = 0;
	const char *type;
	*wish = (struct usage_wish){ .api_minor = request->api_minor };
	for (size_t i = 0; i < ARRAY_SIZE(types); i++)
		*types[i].wanted = all;
	while ((type = query_next(request->query, "type", &cursor))) {
		size_t i = 0;
		while (i < ARRAY_SIZE(types) && strcmp(types[i].type, type) != 0)
			i++;
		if (i == ARRAY_SIZE(types))
			return err_set(reterr, ERR_INVALID, 0, "unknown object type: %s", type);
		*types[i].wanted = true;
	}
	return 0;
}

static void disk_usage_sized(struct request *request, const struct sizes *sizes)
{
	_autofree_(err) struct err *err = NULL;
	struct usage_wish wish;
	json_t *document = NULL;
	int r = read_usage_wish(request, &wish, &err);
	r = r ?: info_disk_usage(request->engine, &wish, sizes, &document, &err);
	respond_result(request, r, 200, document, err);
}

static void disk_usage(struct request *request)
{
	_autofree_(err) struct err *err = NULL;
	struct usage_wish wish;
	if (read_usage_wish(request, &wish, &err) < 0) {
		respond_error(request, err);
		return;
	}
	with_sizes(request, &(struct sizes_wish){ .containers = wish.containers, .volumes = wish.volumes },
		disk_usage_sized);
}

/* Not of Docker's. */
static void doctor(struct request *request)
{
	_autofree_(err) struct err *err = NULL;
	const struct doctor_options options = { request->engine->data_root, request->engine->exec_root };
	json_t *document = NULL;
	int r = doctor_examine(&options, &document, &err);
	respond_result(request, r, 200, document, err);
}

static const struct route routes[] = {
	{ "GET", "/_ping", 0, 0, ping },
	{ "GET", "/version", 0, 0, version },
	{ "GET", "/info", 0, 0, info },
	{ "GET", "/system/df", 25, 0, disk_usage },
	{ "GET", "/tare/doctor", 0, 0, doctor },
};
const struct route_table system_routes = ROUTE_TABLE(routes);
