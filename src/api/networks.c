/* /networks */
#include "engine/networks.h"

#include <stdlib.h>
#include <string.h>

#include "api/params.h"
#include "api/request.h"
#include "api/routes.h"
#include "engine/connect.h"
#include "engine/network_make.h"

static void list(struct request *request)
{
	_autofree_(err) struct err *err = NULL;
	_autofree_(filters) struct filters *filters = param_filters(request, networks_list_filters);
	json_t *document = NULL;
	if (!filters)
		return;
	int r = networks_list(request->engine->networks, filters, &document, &err);
	respond_result(request, r, 200, document, err);
}

/* The network of the path; answers and returns NULL if there is none. */
static struct network *find(struct request *request)
{
	struct network *network = NULL;
	_autofree_(err) struct err *err = NULL;
	if (networks_find(request->engine->networks, request->params[0], &network, &err) == 0)
		return network;
	respond_error(request, err);
	return NULL;
}

static void inspect(struct request *request)
{
	_autofree_(err) struct err *err = NULL;
	const char *scope = query_get(request->query, "scope");
	json_t *document = NULL;
	struct network *network;
	int r = networks_find(request->engine->networks, request->params[0], &network, &err);
	if (r == 0 && scope && *scope && strcmp(scope, "local") != 0)
		r = err_set(&err, ERR_NOT_FOUND, 0, "network %s not found", request->params[0]);
	if (r == 0)
		r = network_document(network, true, &document, &err);
	respond_result(request, r, 200, document, err);
}

/* --- create: answered when the bridge is there --- */

struct creation {
	struct request *request;
	char id[NETWORK_ID_SIZE];
};

static void answer_created(struct request *request, const char *id)
{
	respond_json(request, 201, json_pack("{s:s, s:s}", "Id", id, "Warning", ""));
}

/* A network that can't be made is none. */
static void on_made(void *user, const struct err *err)
{
	struct creation *creation = user;
	struct networks *networks = creation->request->engine->networks;
	struct network *network = networks_by_id(networks, creation->id);
	if (!err && network) {
		network_tell(network, "create", NULL);
		answer_created(creation->request, creation->id);
	} else {
		respond_error(creation->request, err);
		if (network)
			networks_drop(network);
	}
	free(creation);
}

static int make(struct request *request, struct network *network, struct err **reterr)
{
	struct creation *creation = malloc(sizeof(*creation));
	if (!creation)
		return err_oom(reterr);
	creation->request = request;
	strcpy(creation->id, network->info.id);
	int r = network_make(network, on_made, creation, reterr);
	if (r <= 0)
		free(creation);
	return r;
}

static void create(struct request *request)
{
	_autofree_(err) struct err *err = NULL;
	struct network_create body = { 0 };
	struct network *network = NULL;
	int r = request_read_body(request, &network_create_table, false, &body, &err);
	r = r ?: networks_create(request->engine->networks, &body, &network, &err);
	json_finish(&network_create_table, &body);
	if (r < 0) {
		respond_error(request, err);
		return;
	}
	r = make(request, network, &err);
	if (r == 0) {
		network_tell(network, "create", NULL);
		answer_created(request, network->info.id);
	} else if (r < 0) {
		networks_drop(network);
		respond_error(request, err);
	}
}

static void remove_one(struct request *request)
{
	_autofree_(err) struct err *err = NULL;
	struct network *network = find(request);
	if (!network)
		return;
	int r = network_check_unused(network, &err);
	r = r ?: networks_remove(network, &err);
	if (r < 0)
		respond_error(request, err);
	else
		respond_empty(request, 204);
}

static void prune(struct request *request)
{
	_autofree_(err) struct err *err = NULL;
	_autofree_(filters) struct filters *filters = param_filters(request, networks_prune_filters);
	json_t *document = NULL;
	if (!filters)
		return;
	int r = networks_prune(request->engine->networks, filters, &document, &err);
	respond_result(request, r, 200, document, err);
}

/* --- connect, disconnect --- */

static void on_changed(void *user, json_t *result, const struct err *err)
{
	(void)result;
	if (err)
		respond_error(user, err);
	else
		respond_empty(user, 200);
}

static void change(struct request *request, bool connects)
{
	_autofree_(err) struct err *err = NULL;
	struct network_connect body = { 0 };
	struct container *container = NULL;
	struct network *network = NULL;
	int r = request_read_body(request, &network_connect_table, false, &body, &err);
	r = r ?: networks_find(request->engine->networks, request->params[0], &network, &err);
	r = r ?: container_find(request->engine, body.container ? body.container : "", &container, &err);
	if (r < 0)
		respond_error(request, err);
	else if (connects)
		connect_container(container, network, body.endpoint, on_changed, request);
	else
		disconnect_container(container, network, on_changed, request);
	json_finish(&network_connect_table, &body);
}

static void connect_one(struct request *request)
{
	change(request, true);
}

static void disconnect_one(struct request *request)
{
	change(request, false);
}

static const struct route routes[] = {
	{ "GET", "/networks", 0, 0, list },
	{ "POST", "/networks/create", 0, 0, create },
	{ "POST", "/networks/prune", 25, 0, prune },
	{ "GET", "/networks/{}", 0, 0, inspect },
	{ "DELETE", "/networks/{}", 0, 0, remove_one },
	{ "POST", "/networks/{}/connect", 0, 0, connect_one },
	{ "POST", "/networks/{}/disconnect", 0, 0, disconnect_one },
};
const struct route_table network_routes = ROUTE_TABLE(routes);
