/* Exec: created and asked about here; started by the container's monitor, to which the client is handed over. */
#include "api/hand_over.h"
#include "api/params.h"
#include "api/request.h"
#include "api/routes.h"
#include "engine/execs.h"
#include "engine/lifecycle.h"

#define TERMINAL_CELLS_MAX UINT16_MAX

static void on_created(void *user, json_t *result, const struct err *err)
{
	respond_result(user, err ? -err->errnum : 0, 201, json_incref(result), err);
}

static void create(struct request *request)
{
	_autofree_(err) struct err *err = NULL;
	struct exec_config config = { 0 };
	struct container *container = NULL;
	int r = container_find(request->engine, request->params[0], &container, &err);
	r = r ?: request_read_body(request, &exec_config_table, false, &config, &err);
	if (r < 0)
		respond_error(request, err);
	else
		execs_create(container, &config, on_created, request);
	json_finish(&exec_config_table, &config);
}

static void start(struct request *request)
{
	_autofree_(err) struct err *err = NULL;
	struct exec_start body = { 0 };
	struct container *container = NULL;
	int r = execs_find(request->engine, request->params[0], &container, &err);
	r = r ?: lifecycle_need_active(container, &err);
	r = r ?: request_read_body(request, &exec_start_table, true, &body, &err);
	if (r < 0) {
		respond_error(request, err);
		return;
	}
	bool sized = body.console_size_count == 2;
	struct handover_exec_start parameters = {
		.exec = request->params[0],
		.detach = body.detach,
		.tty = body.tty,
		.console_height = sized ? body.console_size[0] : 0,
		.console_width = sized ? body.console_size[1] : 0,
	};
	struct handover handover = { .kind = (char *)handover_kind_name(HANDOVER_EXEC_START),
		.exec_start = &parameters };
	hand_over_to_monitor(request, container, &handover);
	json_finish(&exec_start_table, &body);
}

static void on_inspected(void *user, json_t *result, const struct err *err)
{
	respond_result(user, err ? -err->errnum : 0, 200, json_incref(result), err);
}

static void inspect(struct request *request)
{
	execs_inspect(request->engine, request->params[0], on_inspected, request);
}

static void on_resized(void *user, json_t *result, const struct err *err)
{
	(void)result;
	if (err)
		respond_error(user, err);
	else
		respond_empty(user, 200);
}

static void resize(struct request *request)
{
	_autofree_(err) struct err *err = NULL;
	struct container *container = NULL;
	int64_t width, height;
	int r = execs_find(request->engine, request->params[0], &container, &err);
	r = r ?: param_int(request->query, "h", 0, 0, TERMINAL_CELLS_MAX, &height, &err);
	r = r ?: param_int(request->query, "w", 0, 0, TERMINAL_CELLS_MAX, &width, &err);
	if (r < 0)
		respond_error(request, err);
	else
		lifecycle_resize(container, request->params[0], width, height, on_resized, request);
}

static const struct route routes[] = {
	{ "POST", "/containers/{}/exec", 0, 0, create },
	{ "POST", "/exec/{}/start", 0, 0, start },
	{ "POST", "/exec/{}/resize", 0, 0, resize },
	{ "GET", "/exec/{}/json", 0, 0, inspect },
};
const struct route_table exec_routes = ROUTE_TABLE(routes);
