/* network create, ls, rm, connect, disconnect. (inspect.c has inspect, prune.c prune.) */
#include <stdlib.h>
#include <string.h>

#include "base/inet.h"
#include "base/strv.h"
#include "cli/client.h"
#include "cli/each.h"
#include "cli/filters.h"
#include "cli/listing.h"
#include "cli/object.h"
#include "cli/print.h"
#include "cli/values.h"
#include "cli/verbs.h"
#include "codec/json.h"

/* create */

struct create_options {
	bool attachable;
	char **aux_addresses;
	const char *config_from;
	bool config_only;
	const char *driver;
	char **gateways;
	bool ingress;
	bool internal;
	char **ranges;
	const char *ipam_driver;
	char **ipam_options;
	struct option_bool ipv4;
	struct option_bool ipv6;
	char **labels;
	char **driver_options;
	const char *scope;
	char **subnets;
};

#define OPTION(...) OPTION_IN(struct create_options, __VA_ARGS__)
static const struct option_spec create_specs[] = {
	OPTION("attachable", 0, OPTION_BOOL, attachable, "Mark the network as one that services may attach to"),
	OPTION("aux-address", 0, OPTION_LIST, aux_addresses, "Address that no container gets (name=address)",
		.word = "map"),
	OPTION("config-from", 0, OPTION_STRING, config_from, "Network whose configuration is taken over"),
	OPTION("config-only", 0, OPTION_BOOL, config_only, "Make a configuration for others, and no network"),
	OPTION("driver", 'd', OPTION_STRING, driver, "Kind of network: bridge, macvlan, ipvlan, cni",
		.fallback = "bridge"),
	OPTION("gateway", 0, OPTION_STRINGS, gateways, "Gateway of a subnet"),
	OPTION("ingress", 0, OPTION_BOOL, ingress, "Make the routing mesh of a swarm"),
	OPTION("internal", 0, OPTION_BOOL, internal, "Let nothing out of the network and nothing in"),
	OPTION("ip-range", 0, OPTION_STRINGS, ranges, "Part of a subnet that containers' addresses come from"),
	OPTION("ipam-driver", 0, OPTION_STRING, ipam_driver, "Who gives out addresses", .fallback = "default"),
	OPTION("ipam-opt", 0, OPTION_LIST, ipam_options, "Set an option of who gives out addresses (key=value)",
		.word = "map"),
	OPTION("ipv4", 0, OPTION_OPT_BOOL, ipv4, "Give containers IPv4 addresses (the default)"),
	OPTION("ipv6", 0, OPTION_OPT_BOOL, ipv6, "Give containers IPv6 addresses"),
	OPTION("label", 0, OPTION_LIST, labels, "Set a label (key=value)"),
	OPTION("opt", 'o', OPTION_LIST, driver_options, "Set an option of the driver (key=value)", .word = "map"),
	OPTION("scope", 0, OPTION_STRING, scope, "The network's scope: local"),
	OPTION("subnet", 0, OPTION_STRINGS, subnets, "Subnet, as address/prefix: of a bridge one of each family"),
};
#undef OPTION
static const struct option_table create_table = OPTION_TABLE(create_specs);

static bool subnet_has(const char *subnet_text, const char *text)
{
	struct inet_subnet subnet, range;
	struct inet_address address;
	if (inet_parse_subnet(subnet_text, &subnet) < 0)
		return false;
	if (inet_parse_subnet(text, &range) == 0)
		return inet_subnet_has(&subnet, &range.address);
	return inet_parse(text, &address) == 0 && inet_subnet_has(&subnet, &address);
}

/* Puts each value into the pool whose subnet has it: a gateway or a range, of which a pool has one. */
static int place(json_t *pools, const char *key, char *const *values, const char *what, struct err **reterr)
{
	strv_foreach (value, values) {
		json_t *pool, *found = NULL;
		size_t i;
		json_array_foreach (pools, i, pool) {
			if (!found && subnet_has(value_string(pool, "Subnet"), *value))
				found = pool;
		}
		if (!found)
			return err_set(reterr, ERR_INVALID, 0, "no matching subnet for %s %s", what, *value);
		if (json_object_get(found, key))
			return err_set(reterr, ERR_INVALID, 0,
				"cannot configure multiple %ss (%s, %s) on the same subnet (%s)", what, *value,
				value_string(found, key), value_string(found, "Subnet"));
		if (json_object_set_new(found, key, object_string(*value)) < 0)
			return err_oom(reterr);
	}
	return 0;
}

static int place_aux(json_t *pools, char *const *assignments, struct err **reterr)
{
	strv_foreach (assignment, assignments) {
		const char *equals = strchr(*assignment, '=');
		json_t *pool;
		size_t i;
		bool placed = false;
		if (!equals)
			return err_set(reterr, ERR_INVALID, 0, "%s must be formatted as key=value", *assignment);
		json_array_foreach (pools, i, pool) {
			if (placed || !subnet_has(value_string(pool, "Subnet"), equals + 1))
				continue;
			_cleanup_free_ char *name = strndup(*assignment, (size_t)(equals - *assignment));
			if (!json_object_get(pool, "AuxiliaryAddresses"))
				json_object_set_new(pool, "AuxiliaryAddresses", json_object());
			if (!name || json_object_set_new(json_object_get(pool, "AuxiliaryAddresses"), name,
					     object_string(equals + 1)) < 0)
				return err_oom(reterr);
			placed = true;
		}
		if (!placed)
			return err_set(reterr, ERR_INVALID, 0, "no matching subnet for aux-address %s", equals + 1);
	}
	return 0;
}

static int make_pools(const struct create_options *options, json_t *pools, struct err **reterr)
{
	if (!options->subnets && (options->ranges || options->gateways))
		return err_set(reterr, ERR_INVALID, 0, "every ip-range or gateway must have a corresponding subnet");
	strv_foreach (subnet, options->subnets) {
		if (json_array_append_new(pools, json_pack("{s:o}", "Subnet", object_string(*subnet))) < 0)
			return err_oom(reterr);
	}
	int ret = place(pools, "IPRange", options->ranges, "range", reterr);
	if (ret == 0)
		ret = place(pools, "Gateway", options->gateways, "gateway", reterr);
	return ret < 0 ? ret : place_aux(pools, options->aux_addresses, reterr);
}

static void put_opt_bool(struct object *network, const char *key, const struct option_bool *option)
{
	if (option->set)
		object_put(network, key, json_boolean(option->value));
}

static json_t *make_ipam(const struct create_options *options, json_t *pools)
{
	struct object ipam;
	object_init(&ipam);
	object_put_string(&ipam, "Driver", options->ipam_driver);
	object_put_map(&ipam, "Options", options->ipam_options);
	object_put_filled(&ipam, "Config", json_incref(pools));
	return ipam.failed ? NULL : ipam.json;
}

static int network_create_run(const struct invocation *invocation, struct err **reterr)
{
	const struct create_options *options = invocation->options;
	_autojson_ json_t *pools = json_array(), *body = NULL, *answer = NULL;
	int ret = make_pools(options, pools, reterr);
	if (ret < 0)
		return ret;
	_cleanup_(object_finish) struct object network;
	object_init(&network);
	object_put_string(&network, "Name", invocation->args[0]);
	object_put_string(&network, "Driver", options->driver);
	object_put_string(&network, "Scope", options->scope);
	put_opt_bool(&network, "EnableIPv4", &options->ipv4);
	put_opt_bool(&network, "EnableIPv6", &options->ipv6);
	object_put(&network, "IPAM", make_ipam(options, pools));
	object_put_bool(&network, "Internal", options->internal);
	object_put_bool(&network, "Attachable", options->attachable);
	object_put_bool(&network, "Ingress", options->ingress);
	object_put_bool(&network, "ConfigOnly", options->config_only);
	if (options->config_from)
		object_put(&network, "ConfigFrom", json_pack("{s:o}", "Network", object_string(options->config_from)));
	object_put_map(&network, "Options", options->driver_options);
	object_put_map(&network, "Labels", options->labels);
	ret = object_take(&network, &body, reterr);
	if (ret == 0)
		ret = client_call(invocation->client, "POST", "/networks/create", body, &answer, reterr);
	return ret < 0 ? ret : print_line(reterr, "%s", value_string(answer, "Id"));
}

const struct command network_create_command = {
	.names = { "network create" },
	.usage = "[OPTIONS] NETWORK",
	.summary = "Make a network",
	.options = { { &create_table } },
	.options_size = sizeof(struct create_options),
	.min_args = 1,
	.max_args = 1,
	.flags = COMMAND_ENGINE,
	.run = network_create_run,
};

/* ls */

struct ls_options {
	char **filters;
	const char *format;
	bool no_trunc;
	bool quiet;
};

#define OPTION(...) OPTION_IN(struct ls_options, __VA_ARGS__)
static const struct option_spec ls_specs[] = {
	OPTION("filter", 'f', OPTION_LIST, filters,
		"Show only those that match (driver=bridge, name=front, type=custom, label=key...)", .word = "filter"),
	OPTION("format", 0, OPTION_STRING, format, "Print as \"json\", by a template, or as \"table TEMPLATE\""),
	OPTION("no-trunc", 0, OPTION_BOOL, no_trunc, "Don't shorten what is shown"),
	OPTION("quiet", 'q', OPTION_BOOL, quiet, "Print IDs only"),
};
#undef OPTION
static const struct option_table ls_table = OPTION_TABLE(ls_specs);

static const struct listing_column columns[] = {
	{ "CreatedAt", "CREATED AT" },
	{ "Driver", "DRIVER" },
	{ "ID", "NETWORK ID" },
	{ "IPv4", "IPV4" },
	{ "IPv6", "IPV6" },
	{ "Internal", "INTERNAL" },
	{ "Labels", "LABELS" },
	{ "Name", "NAME" },
	{ "Scope", "SCOPE" },
};
static const struct listing_kind kind = { .table = "{{.ID}}\\t{{.Name}}\\t{{.Driver}}\\t{{.Scope}}",
	.quiet = "{{.ID}}",
	.columns = columns,
	.column_count = ARRAY_SIZE(columns) };

/* As Go prints a time: "2026-11-28 09:26:52.466366311 +0000 UTC". */
static void created_text(const char *rfc3339, char out[static 64])
{
	const char *separator = strchr(rfc3339, 'T'), *zone = strchr(rfc3339, 'Z');
	if (separator && zone)
		snprintf(out, 64, "%.*s %.*s +0000 UTC", (int)(separator - rfc3339), rfc3339,
			(int)(zone - separator - 1), separator + 1);
	else
		snprintf(out, 64, "%.63s", rfc3339);
}

static const char *truth(const json_t *network, const char *key)
{
	return value_bool(network, key) ? "true" : "false";
}

static int add_network(struct listing *listing, const json_t *network, bool no_trunc, struct err **reterr)
{
	_cleanup_(buf_finish) struct buf labels = BUF_INIT(PRINT_MAX);
	char id[VALUE_SHORT_ID_MAX], created[64];
	if (value_join_labels(value_at(network, "Labels"), &labels) < 0)
		return err_oom(reterr);
	value_short_id(value_string(network, "Id"), id);
	created_text(value_string(network, "Created"), created);
	_cleanup_(object_finish) struct object row;
	object_init(&row);
	object_put_string(&row, "CreatedAt", created);
	object_put_string(&row, "Driver", value_string(network, "Driver"));
	object_put_string(&row, "ID", no_trunc ? value_string(network, "Id") : id);
	object_put_string(&row, "IPv4", truth(network, "EnableIPv4"));
	object_put_string(&row, "IPv6", truth(network, "EnableIPv6"));
	object_put_string(&row, "Internal", truth(network, "Internal"));
	object_put_string(&row, "Labels", labels.data ? labels.data : "");
	object_put_string(&row, "Name", value_string(network, "Name"));
	object_put_string(&row, "Scope", value_string(network, "Scope"));
	_autojson_ json_t *json = NULL;
	int ret = object_take(&row, &json, reterr);
	return ret < 0 ? ret : listing_add(listing, json, value_at(network, "Labels"), reterr);
}

static int compare_networks(const void *a, const void *b)
{
	return strverscmp(value_string(*(json_t *const *)a, "Name"), value_string(*(json_t *const *)b, "Name"));
}

/* In the order of their names; numbers in them count as numbers. */
static int add_networks(struct listing *listing, const json_t *networks, bool no_trunc, struct err **reterr)
{
	size_t count = json_array_size(networks);
	_cleanup_free_ json_t **sorted = calloc(count + 1, sizeof(json_t *));
	if (!sorted)
		return err_oom(reterr);
	for (size_t i = 0; i < count; i++)
		sorted[i] = json_array_get(networks, i);
	qsort(sorted, count, sizeof(json_t *), compare_networks);
	int ret = 0;
	for (size_t i = 0; ret == 0 && i < count; i++)
		ret = add_network(listing, sorted[i], no_trunc, reterr);
	return ret;
}

static int network_ls_run(const struct invocation *invocation, struct err **reterr)
{
	const struct ls_options *options = invocation->options;
	_cleanup_(listing_finish) struct listing listing;
	_cleanup_(buf_finish) struct buf path = BUF_INIT(CLIENT_PATH_MAX);
	_autojson_ json_t *answer = NULL;
	int ret = listing_init(&listing, &kind, options->format, options->quiet, reterr);
	if (ret == 0 && buf_puts(&path, "/networks") < 0)
		ret = err_oom(reterr);
	if (ret == 0)
		ret = filters_append(options->filters, &path, reterr);
	if (ret == 0)
		ret = client_call(invocation->client, "GET", path.data, NULL, &answer, reterr);
	if (ret == 0)
		ret = add_networks(&listing, answer, options->no_trunc, reterr);
	return ret < 0 ? ret : listing_print(&listing, reterr);
}

const struct command network_ls_command = {
	.names = { "network ls", "network list" },
	.usage = "[OPTIONS]",
	.summary = "List networks",
	.options = { { &ls_table } },
	.options_size = sizeof(struct ls_options),
	.flags = COMMAND_ENGINE,
	.run = network_ls_run,
};

/* rm */

struct rm_options {
	bool force;
};

static const struct option_spec rm_specs[] = {
	OPTION_IN(struct rm_options, "force", 'f', OPTION_BOOL, force, "Don't fail if there is none"),
};
static const struct option_table rm_table = OPTION_TABLE(rm_specs);

static int network_rm_run(const struct invocation *invocation, struct err **reterr)
{
	const struct rm_options *options = invocation->options;
	const struct each each = {
		.method = "DELETE", .before = "/networks/", .after = "", .missing_is_fine = options->force
	};
	return each_argument(invocation, &each, reterr);
}

const struct command network_rm_command = {
	.names = { "network rm", "network remove" },
	.usage = "[OPTIONS] NETWORK [NETWORK...]",
	.summary = "Remove networks that no running container is on",
	.options = { { &rm_table } },
	.options_size = sizeof(struct rm_options),
	.min_args = 1,
	.max_args = COMMAND_ARGS_ANY,
	.arguments = ARGUMENTS_NETWORKS,
	.flags = COMMAND_ENGINE,
	.run = network_rm_run,
};

/* connect, disconnect */

struct connect_options {
	char **aliases;
	char **driver_options;
	int64_t gateway_priority;
	const char *ip;
	const char *ip6;
	char **links;
	char **link_local_ips;
};

#define OPTION(...) OPTION_IN(struct connect_options, __VA_ARGS__)
static const struct option_spec connect_specs[] = {
	OPTION("alias", 0, OPTION_STRINGS, aliases, "Another name for the container on the network"),
	OPTION("driver-opt", 0, OPTION_STRINGS, driver_options,
		"Set an option of the driver for this container (key=value)"),
	OPTION("gw-priority", 0, OPTION_INT, gateway_priority,
		"The network with the highest priority is the way out; it may be negative"),
	OPTION("ip", 0, OPTION_STRING, ip, "IPv4 address on the network"),
	OPTION("ip6", 0, OPTION_STRING, ip6, "IPv6 address on the network"),
	OPTION("link", 0, OPTION_LIST, links, "Container to know by another name (container:alias)"),
	OPTION("link-local-ip", 0, OPTION_STRINGS, link_local_ips, "Link-local address on the network"),
};
#undef OPTION
static const struct option_table connect_table = OPTION_TABLE(connect_specs);

static int send_change(const struct invocation *invocation, const char *after, json_t *body, struct err **reterr)
{
	_cleanup_(buf_finish) struct buf path = BUF_INIT(CLIENT_PATH_MAX);
	if (!body || client_path(&path, "/networks/", invocation->args[0], after) < 0)
		return err_oom(reterr);
	return client_call(invocation->client, "POST", path.data, body, NULL, reterr);
}

static json_t *connect_settings(const struct connect_options *options)
{
	struct object settings, addresses;
	object_init(&settings);
	object_init(&addresses);
	object_put_string(&addresses, "IPv4Address", options->ip);
	object_put_string(&addresses, "IPv6Address", options->ip6);
	object_put_array(&addresses, "LinkLocalIPs", options->link_local_ips);
	settings.failed |= addresses.failed;
	object_put_filled(&settings, "IPAMConfig", addresses.json);
	object_put_array(&settings, "Links", options->links);
	object_put_array(&settings, "Aliases", options->aliases);
	object_put_map(&settings, "DriverOpts", options->driver_options);
	object_put_int(&settings, "GwPriority", options->gateway_priority);
	if (settings.failed)
		object_finish(&settings);
	return settings.json;
}

static int network_connect_run(const struct invocation *invocation, struct err **reterr)
{
	_autojson_ json_t *body = json_pack("{s:o, s:o}", "Container", object_string(invocation->args[1]),
		"EndpointConfig", connect_settings(invocation->options));
	return send_change(invocation, "/connect", body, reterr);
}

const struct command network_connect_command = {
	.names = { "network connect" },
	.usage = "[OPTIONS] NETWORK CONTAINER",
	.summary = "Connect a container to a network, also while it runs",
	.options = { { &connect_table } },
	.options_size = sizeof(struct connect_options),
	.min_args = 2,
	.max_args = 2,
	.arguments = ARGUMENTS_NETWORKS,
	.flags = COMMAND_ENGINE,
	.run = network_connect_run,
};

struct disconnect_options {
	bool force;
};

static const struct option_spec disconnect_specs[] = {
	OPTION_IN(struct disconnect_options, "force", 'f', OPTION_BOOL, force, "Disconnect it in any case"),
};
static const struct option_table disconnect_table = OPTION_TABLE(disconnect_specs);

static int network_disconnect_run(const struct invocation *invocation, struct err **reterr)
{
	const struct disconnect_options *options = invocation->options;
	_autojson_ json_t *body = json_pack("{s:o, s:b}", "Container", object_string(invocation->args[1]), "Force",
		(int)options->force);
	return send_change(invocation, "/disconnect", body, reterr);
}

const struct command network_disconnect_command = {
	.names = { "network disconnect" },
	.usage = "[OPTIONS] NETWORK CONTAINER",
	.summary = "Disconnect a container from a network, also while it runs",
	.options = { { &disconnect_table } },
	.options_size = sizeof(struct disconnect_options),
	.min_args = 2,
	.max_args = 2,
	.arguments = ARGUMENTS_NETWORKS,
	.flags = COMMAND_ENGINE,
	.run = network_disconnect_run,
};
