/*
 * A network is given by its name, or with fields of its own: "name=front,alias=web,ip=10.0.0.5". The older options for
 * addresses and aliases go to the first network, and conflict with its own fields.
 */
#include "cli/endpoints.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include <arpa/inet.h>

#include "base/parse.h"
#include "base/strv.h"
#include "cli/object.h"
#include "cli/text.h"
#include "codec/json.h"

struct endpoint {
	char *network;
	char **aliases;
	char **links;
	char **driver_options;
	char **link_local_ips;
	char *ip;
	char *ip6;
	char *mac_address;
	int64_t gateway_priority;
};

static void endpoint_finish(struct endpoint *endpoint)
{
	free(endpoint->network);
	strv_free(endpoint->aliases);
	strv_free(endpoint->links);
	strv_free(endpoint->driver_options);
	strv_free(endpoint->link_local_ips);
	free(endpoint->ip);
	free(endpoint->ip6);
	free(endpoint->mac_address);
}

static bool is_user_defined(const char *network)
{
	static const char *const built_in[] = { "default", "bridge", "host", "none" };
	for (size_t i = 0; i < ARRAY_SIZE(built_in); i++) {
		if (strcmp(built_in[i], network) == 0)
			return false;
	}
	return strncmp(network, "container:", 10) != 0;
}

static int check_address(const char *text, int family, struct err **reterr)
{
	struct in6_addr address;
	if (inet_pton(family, text, &address) == 1)
		return 0;
	return err_set(reterr, ERR_INVALID, 0, "invalid IP%s address: %s", family == AF_INET ? "v4" : "v6", text);
}

static int check_any_address(const char *text, struct err **reterr)
{
	return check_address(text, strchr(text, ':') ? AF_INET6 : AF_INET, reterr);
}

/* Six, eight or twenty bytes in hexadecimal with colons or dashes between them. */
static bool is_mac_address(const char *text)
{
	size_t len = strlen(text);
	if (len != 17 && len != 23 && len != 59)
		return false;
	for (size_t i = 0; i < len; i++) {
		bool separator = i % 3 == 2;
		if (separator ? text[i] != text[2] || !strchr(":-", text[i]) : !isxdigit((unsigned char)text[i]))
			return false;
	}
	return true;
}

static int replace(char **field, const char *value, struct err **reterr)
{
	free(*field);
	*field = strdup(value);
	return *field ? 0 : err_oom(reterr);
}

static int set_field(struct endpoint *endpoint, const char *key, const char *value, struct err **reterr)
{
	int ret = 0;
	if (strcmp(key, "name") == 0)
		return replace(&endpoint->network, value, reterr);
	if (strcmp(key, "alias") == 0)
		return strv_append(&endpoint->aliases, value) < 0 ? err_oom(reterr) : 0;
	if (strcmp(key, "driver-opt") == 0) {
		if (!strchr(value, '=') || *value == '=')
			return err_set(reterr, ERR_INVALID, 0, "invalid key value pair format in driver options");
		return strv_append(&endpoint->driver_options, value) < 0 ? err_oom(reterr) : 0;
	}
	if (strcmp(key, "ip") == 0) {
		ret = check_address(value, AF_INET, reterr);
		return ret < 0 ? ret : replace(&endpoint->ip, value, reterr);
	}
	if (strcmp(key, "ip6") == 0) {
		ret = check_address(value, AF_INET6, reterr);
		return ret < 0 ? ret : replace(&endpoint->ip6, value, reterr);
	}
	if (strcmp(key, "link-local-ip") == 0) {
		ret = check_any_address(value, reterr);
		return ret < 0 ? ret : strv_append(&endpoint->link_local_ips, value) < 0 ? err_oom(reterr) : 0;
	}
	if (strcmp(key, "mac-address") == 0)
		return replace(&endpoint->mac_address, value, reterr);
	if (strcmp(key, "gw-priority") == 0) {
		if (parse_i64(value, INT32_MIN, INT32_MAX, &endpoint->gateway_priority) < 0)
			return err_set(reterr, ERR_INVALID, 0, "invalid gw-priority (%s): expected a whole number",
				value);
		return 0;
	}
	return err_set(reterr, ERR_INVALID, 0, "invalid field key %s", key);
}

static int parse_fields(struct endpoint *endpoint, const char *spec, struct err **reterr)
{
	_autofree_(strv) char **fields = NULL;
	if (text_split_csv(spec, &fields) < 0)
		return err_set(reterr, ERR_INVALID, 0, "broken quotes");
	strv_foreach (field, fields) {
		char *key = *field;
		char *value = text_cut(key, '=');
		if (!value || !*key)
			return err_set(reterr, ERR_INVALID, 0, "invalid field %s", key);
		int ret = set_field(endpoint, key, value, reterr);
		if (ret < 0)
			return ret;
	}
	if (!endpoint->network || !*endpoint->network)
		return err_set(reterr, ERR_INVALID, 0, "network name/id is not specified");
	return 0;
}

static int parse_network(struct endpoint *endpoint, const char *spec, struct err **reterr)
{
	if (!strchr(spec, '='))
		return replace(&endpoint->network, spec, reterr);
	int ret = parse_fields(endpoint, spec, reterr);
	return ret < 0 ? err_wrap(reterr, ret, "invalid argument \"%s\" for \"--network\" flag", spec) : 0;
}

static int conflict(struct err **reterr, const char *flag, const char *field)
{
	return err_set(reterr, ERR_INVALID, 0, "conflicting options: cannot specify both --%s and per-network %s", flag,
		field);
}

/* Adds the options that stand outside --network to the first one. */
static int apply_options(struct endpoint *endpoint, const struct container_options *options, struct err **reterr)
{
	if (endpoint->aliases && options->network_aliases)
		return conflict(reterr, "network-alias", "alias");
	if (endpoint->ip && options->ip)
		return conflict(reterr, "ip", "IPv4 address");
	if (endpoint->ip6 && options->ip6)
		return conflict(reterr, "ip6", "IPv6 address");
	if (endpoint->mac_address && options->mac_address)
		return conflict(reterr, "mac-address", "MAC address");
	if (endpoint->link_local_ips && options->link_local_ips)
		return conflict(reterr, "link-local-ip", "link-local IP addresses");

	int ret = 0;
	if (options->ip)
		ret = set_field(endpoint, "ip", options->ip, reterr);
	if (ret == 0 && options->ip6)
		ret = set_field(endpoint, "ip6", options->ip6, reterr);
	if (ret == 0 && options->mac_address)
		ret = set_field(endpoint, "mac-address", options->mac_address, reterr);
	for (char **ip = options->link_local_ips; ret == 0 && ip && *ip; ip++)
		ret = set_field(endpoint, "link-local-ip", *ip, reterr);
	if (ret < 0)
		return ret;
	if (strv_extend(&endpoint->aliases, options->network_aliases) < 0)
		return err_oom(reterr);
	/* on a network of the user's a link is an alias there; elsewhere it belongs to the container */
	if (is_user_defined(endpoint->network) && strv_extend(&endpoint->links, options->links) < 0)
		return err_oom(reterr);
	return 0;
}

static int check_endpoint(const struct endpoint *endpoint, struct err **reterr)
{
	if (!*endpoint->network)
		return err_set(reterr, ERR_INVALID, 0, "no name set for network");
	if (!is_user_defined(endpoint->network) && endpoint->aliases)
		return err_set(reterr, ERR_INVALID, 0,
			"network-scoped aliases are only supported for user-defined networks");
	if (endpoint->mac_address && !is_mac_address(endpoint->mac_address))
		return err_set(reterr, ERR_INVALID, 0, "%s is not a valid mac address", endpoint->mac_address);
	return 0;
}

static json_t *endpoint_json(const struct endpoint *endpoint)
{
	struct object settings, addresses;
	object_init(&settings);
	object_init(&addresses);
	object_put_string(&addresses, "IPv4Address", endpoint->ip);
	object_put_string(&addresses, "IPv6Address", endpoint->ip6);
	object_put_array(&addresses, "LinkLocalIPs", endpoint->link_local_ips);
	settings.failed |= addresses.failed;
	object_put_filled(&settings, "IPAMConfig", addresses.json);
	object_put_array(&settings, "Links", endpoint->links);
	object_put_array(&settings, "Aliases", endpoint->aliases);
	object_put_string(&settings, "MacAddress", endpoint->mac_address);
	object_put_map(&settings, "DriverOpts", endpoint->driver_options);
	object_put_int(&settings, "GwPriority", endpoint->gateway_priority);
	if (settings.failed)
		object_finish(&settings);
	return settings.json;
}

static int add_network(const struct container_options *options, const char *spec, size_t index, json_t *endpoints,
	char **mode, struct err **reterr)
{
	_cleanup_(endpoint_finish) struct endpoint endpoint = { NULL };
	int ret = parse_network(&endpoint, spec, reterr);
	if (ret == 0 && index == 0)
		ret = apply_options(&endpoint, options, reterr);
	if (ret == 0)
		ret = check_endpoint(&endpoint, reterr);
	if (ret < 0)
		return ret;
	if (json_object_get(endpoints, endpoint.network))
		return err_set(reterr, ERR_INVALID, 0, "network \"%s\" is specified multiple times", endpoint.network);
	if (index == 0)
		*mode = strdup(endpoint.network);
	if (index == 0 && !*mode)
		return err_oom(reterr);

	json_t *settings = endpoint_json(&endpoint);
	if (strv_count(options->networks) <= 1 && settings && !json_object_size(settings)) {
		json_decref(
			settings); /* a single network of which nothing is said: the engine knows it from the mode */
		return 0;
	}
	return json_object_set_new(endpoints, endpoint.network, settings) < 0 ? err_oom(reterr) : 0;
}

int endpoints_parse(const struct container_options *options, char **ret_mode, json_t **ret_endpoints,
	struct err **reterr)
{
	static const char *const default_networks[] = { "default", NULL };
	char *const *networks = options->networks ? options->networks : (char *const *)default_networks;
	_autojson_ json_t *endpoints = json_object();
	_cleanup_free_ char *mode = NULL;
	size_t index = 0, user_defined = 0;
	if (!endpoints)
		return err_oom(reterr);
	strv_foreach (network, networks) {
		int ret = add_network(options, *network, index++, endpoints, &mode, reterr);
		if (ret < 0)
			return ret;
		user_defined += is_user_defined(*network);
	}
	if (user_defined && user_defined != index)
		return err_set(reterr, ERR_INVALID, 0,
			"conflicting options: cannot attach both user-defined and non-user-defined network-modes");
	*ret_mode = TAKE(mode);
	*ret_endpoints = TAKE(endpoints);
	return 0;
}
