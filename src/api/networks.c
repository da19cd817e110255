/*
 * Networks, as far as there are any: what a container can be attached to without a bridge. They are modes, not objects, so
 * their IDs are fixed and nothing can be changed. Making networks is refused in words that say so.
 */
#include <string.h>

#include "api/params.h"
#include "api/request.h"
#include "api/routes.h"
#include "engine/filters.h"
#include "spec/network_config.h"

#define NO_NETWORKS \
 "this engine has no bridged networks yet: containers can use the networks private (the default), none and host, or container:NAME"

struct fixed_network {
	const char *name;
	const char *id;
	const char *driver;
	const char *scope;
};

/* SHA-256 of the names. */
static const struct fixed_network networks[] = {
	{ "private", "715dc8493c36579a5b116995100f635e3572fdf8703e708ef1a08d943b36774e", "null", "local" },
	{ "host", "4740ae6347b0172c01254ff55bae5aff5199f4446e7f6d643d40185b3f475145", "host", "local" },
	{ "none", "140bedbf9c3f6d56a9846d2ba7088798683f4da0c248231336e6a05679e4fdfe", "null", "local" },
};

static const char *const filter_keys[] = { "dangling", "driver", "id", "label", "name", "scope", "type", NULL };

static json_t *network_json(const struct fixed_network *network)
{
	struct network_info info = {
		.name = (char *)network->name,
		.id = (char *)network->id,
		.created = (char *)"0001-01-01T00:00:00Z",
		.scope = (char *)network->scope,
		.driver = (char *)network->driver,
		.internal = strcmp(network->name, "host") != 0,
	};
	return json_write(&network_info_table, &info);
}

static bool is_listed(const struct fixed_network *network, const struct filters *filters)
{
	return filters_match_part(filters, "name", network->name) && filters_match_prefix(filters, "id", network->id) &&
	       filters_match(filters, "driver", network->driver) && filters_match(filters, "scope", network->scope) &&
	       filters_match(filters, "type", "builtin") && !filters_has(filters, "label");
}

static void list_networks(struct request *request)
{
	_autofree_(filters) struct filters *filters = param_filters(request, filter_keys);
	if (!filters)
		return;
	json_t *list = json_array();
	for (size_t i = 0; i < ARRAY_SIZE(networks); i++)
		if (is_listed(&networks[i], filters))
			json_array_append_new(list, network_json(&networks[i]));
	respond_json(request, 200, list);
}

static const struct fixed_network *network_find(const char *name)
{
	size_t len = strlen(name);
	for (size_t i = 0; i < ARRAY_SIZE(networks); i++)
		if (strcmp(networks[i].name, name) == 0 || (len >= 12 && strncmp(networks[i].id, name, len) == 0))
			return &networks[i];
	return NULL;
}

static void inspect_network(struct request *request)
{
	_autofree_(err) struct err *err = NULL;
	const struct fixed_network *network = network_find(request->params[0]);
	if (network) {
		respond_json(request, 200, network_json(network));
		return;
	}
	err_set(&err, ERR_NOT_FOUND, 0, "network %s not found", request->params[0]);
	respond_error(request, err);
}

static void refuse_change(struct request *request)
{
	_autofree_(err) struct err *err = NULL;
	err_set(&err, ERR_UNSUPPORTED, 0, NO_NETWORKS);
	respond_error(request, err);
}

static void remove_network(struct request *request)
{
	_autofree_(err) struct err *err = NULL;
	const struct fixed_network *network = network_find(request->params[0]);
	if (network)
		err_set(&err, ERR_FORBIDDEN, 0, "%s is a pre-defined network and cannot be removed", network->name);
	else
		err_set(&err, ERR_NOT_FOUND, 0, "network %s not found", request->params[0]);
	respond_error(request, err);
}

static void prune_networks(struct request *request)
{
	respond_json(request, 200, json_pack("{s:n}", "NetworksDeleted"));
}

static const struct route routes[] = {
	{ "GET", "/networks", 0, 0, list_networks },
	{ "POST", "/networks/create", 0, 0, refuse_change },
	{ "POST", "/networks/prune", 25, 0, prune_networks },
	{ "GET", "/networks/{}", 0, 0, inspect_network },
	{ "DELETE", "/networks/{}", 0, 0, remove_network },
	{ "POST", "/networks/{}/connect", 0, 0, refuse_change },
	{ "POST", "/networks/{}/disconnect", 0, 0, refuse_change },
};
const struct route_table network_routes = ROUTE_TABLE(routes);
