/*
 * Parts of Docker's API that this engine does not have, and that clients ask for all the same: `docker system prune` prunes a
 * build cache, `docker info` and dashboards look for a swarm and for plugins. Each is answered as by an engine that has the
 * part and has nothing in it.
 */
#include "api/params.h"
#include "api/request.h"
#include "api/routes.h"

static void no_plugins(struct request *request)
{
	respond_json(request, 200, json_array());
}

static void nothing_built(struct request *request)
{
	respond_json(request, 200, json_pack("{s:n, s:i}", "CachesDeleted", "SpaceReclaimed", 0));
}

static void no_swarm(struct request *request)
{
	_autofree_(err) struct err *err = NULL;
	err_set(&err, ERR_UNAVAILABLE, 0,
		"This node is not a swarm manager. Use \"docker swarm init\" or \"docker swarm join\" to connect this node to swarm "
		"and try again.");
	respond_error(request, err);
}

static void never_a_swarm(struct request *request)
{
	_autofree_(err) struct err *err = NULL;
	err_set(&err, ERR_UNSUPPORTED, 0, "swarm mode is not supported by this engine");
	respond_error(request, err);
}

static const struct route routes[] = {
	{ "GET", "/plugins", 0, 0, no_plugins },
	{ "POST", "/build/prune", 31, 0, nothing_built },
	{ "GET", "/swarm", 0, 0, no_swarm },
	{ "POST", "/swarm/init", 0, 0, never_a_swarm },
	{ "POST", "/swarm/join", 0, 0, never_a_swarm },
	{ "POST", "/swarm/leave", 0, 0, no_swarm },
	{ "GET", "/nodes", 0, 0, no_swarm },
	{ "GET", "/services", 0, 0, no_swarm },
	{ "GET", "/tasks", 0, 0, no_swarm },
	{ "GET", "/secrets", 0, 0, no_swarm },
	{ "GET", "/configs", 0, 0, no_swarm },
};
const struct route_table absent_routes = ROUTE_TABLE(routes);
