#include "engine/network_check.h"

#include <errno.h>
#include <string.h>

#include "base/parse.h"
#include "base/strv.h"
#include "engine/networks.h"
#include "network/cni.h"
#include "spec/lease.h"

#define POOLS_MAX      32
#define NAME_MAX_BYTES 255
#define MTU_MIN        68
#define MTU_MAX        65535

static bool is_set(const char *text)
{
	return text && text[0];
}

/* --- addresses --- */

static int check_subnet(const char *text, struct inet_subnet *ret, struct err **reterr)
{
	char should[INET_SUBNET_SIZE];
	if (!is_set(text) || inet_parse_subnet(text, ret) < 0)
		return err_set(reterr, ERR_INVALID, 0, "invalid subnet %s: invalid CIDR block notation",
			text ? text : "");
	struct inet_subnet base = { .address = inet_subnet_base(ret), .prefix = ret->prefix };
	if (inet_equal(&base.address, &ret->address))
		return 0;
	inet_print_subnet(&base, should);
	return err_set(reterr, ERR_INVALID, 0, "invalid subnet %s: it should be %s", text, should);
}

static const char *family_name(const struct inet_subnet *subnet)
{
	return subnet->address.is_v6 ? "IPv6" : "IPv4";
}

static int check_range(const char *text, const struct inet_subnet *subnet, const char *subnet_text, struct err **reterr)
{
	struct inet_subnet range;
	if (!is_set(text))
		return 0;
	if (inet_parse_subnet(text, &range) < 0)
		return err_set(reterr, ERR_INVALID, 0, "invalid ip-range %s: invalid CIDR block notation", text);
	if (range.address.is_v6 != subnet->address.is_v6)
		return err_set(reterr, ERR_INVALID, 0, "invalid ip-range %s: parent subnet is an %s block", text,
			family_name(subnet));
	if (range.prefix < subnet->prefix)
		return err_set(reterr, ERR_INVALID, 0,
			"invalid ip-range %s: CIDR block is bigger than its parent subnet %s", text, subnet_text);
	if (!inet_subnet_has(subnet, &range.address))
		return err_set(reterr, ERR_INVALID, 0, "invalid ip-range %s: parent subnet %s doesn't contain ip-range",
			text, subnet_text);
	return 0;
}

static int check_inside(const char *what, const char *text, const struct inet_subnet *subnet, const char *subnet_text,
	struct err **reterr)
{
	struct inet_address address;
	if (inet_parse(text, &address) < 0)
		return err_set(reterr, ERR_INVALID, 0, "invalid %s %s: invalid address", what, text);
	if (address.is_v6 != subnet->address.is_v6)
		return err_set(reterr, ERR_INVALID, 0, "invalid %s %s: parent subnet is an %s block", what, text,
			family_name(subnet));
	if (!inet_subnet_has(subnet, &address))
		return err_set(reterr, ERR_INVALID, 0, "invalid %s %s: parent subnet %s doesn't contain this address",
			what, text, subnet_text);
	return 0;
}

static int check_pool(const struct network_ipam_pool *pool, bool ipv4, bool ipv6, struct err **reterr)
{
	struct inet_subnet subnet;
	struct map_entry *entry;
	int r = check_subnet(pool->subnet, &subnet, reterr);
	if (r < 0)
		return r;
	if (!subnet.address.is_v6 && !ipv4)
		return err_set(reterr, ERR_INVALID, 0, "invalid subnet %s: IPv4 is not enabled on the network",
			pool->subnet);
	if (subnet.address.is_v6 && !ipv6)
		return err_set(reterr, ERR_INVALID, 0,
			"invalid subnet %s: IPv6 is not enabled on the network (use --ipv6)", pool->subnet);
	r = check_range(pool->ip_range, &subnet, pool->subnet, reterr);
	if (r == 0 && is_set(pool->gateway))
		r = check_inside("gateway", pool->gateway, &subnet, pool->subnet, reterr);
	if (r < 0 || !pool->aux_addresses)
		return r;
	map_foreach (entry, pool->aux_addresses) {
		r = check_inside("auxiliary address", entry->value, &subnet, pool->subnet, reterr);
		if (r < 0)
			return r;
	}
	return 0;
}

const struct network_ipam_pool *network_pool_of(const struct network_ipam *ipam, bool is_v6)
{
	struct inet_subnet subnet;
	for (size_t i = 0; ipam && i < ipam->config_count; i++) {
		const char *text = ipam->config[i].subnet;
		if (is_set(text) && inet_parse_subnet(text, &subnet) == 0 && subnet.address.is_v6 == is_v6)
			return &ipam->config[i];
	}
	return NULL;
}

/* A pool that names nothing is none at all. */
static bool is_empty(const struct network_ipam_pool *pool)
{
	return !is_set(pool->subnet) && !is_set(pool->ip_range) && !is_set(pool->gateway) &&
	       (!pool->aux_addresses || map_count(pool->aux_addresses) == 0);
}

/* Those before it: a bridge has one of each family, as Docker's has, and none may be part of another. */
static int check_beside(const struct network_create *create, size_t i, struct err **reterr)
{
	const struct network_ipam *ipam = create->ipam;
	struct inet_subnet own, other;
	if (inet_parse_subnet(ipam->config[i].subnet, &own) < 0)
		return 0;
	for (size_t k = 0; k < i; k++) {
		const char *text = ipam->config[k].subnet;
		if (!is_set(text) || inet_parse_subnet(text, &other) < 0 || other.address.is_v6 != own.address.is_v6)
			continue;
		if (strcmp(create->driver, "bridge") == 0)
			return err_set(reterr, ERR_FORBIDDEN, 0, "bridge driver doesn't support multiple subnets");
		if (inet_subnet_overlaps(&own, &other))
			return err_set(reterr, ERR_FORBIDDEN, 0, NETWORK_OVERLAP_TEXT);
	}
	return 0;
}

static int check_ipam(const struct network_create *create, struct err **reterr)
{
	const struct network_ipam *ipam = create->ipam;
	bool ipv4 = !create->enable_ipv4.set || create->enable_ipv4.value;
	bool ipv6 = create->enable_ipv6.set && create->enable_ipv6.value;
	if (!ipam)
		return 0;
	if (is_set(ipam->driver) && strcmp(ipam->driver, "default") != 0 && strcmp(ipam->driver, "null") != 0)
		return err_set(reterr, ERR_NOT_FOUND, 0, "invalid ipam driver: \"%s\" not found", ipam->driver);
	if (ipam->config_count > POOLS_MAX)
		return err_set(reterr, ERR_INVALID, 0, "a network has at most %d subnets", POOLS_MAX);
	for (size_t i = 0; i < ipam->config_count; i++) {
		if (is_empty(&ipam->config[i]))
			continue;
		int r = check_pool(&ipam->config[i], ipv4, ipv6, reterr);
		if (r < 0)
			return err_wrap(reterr, r, "invalid network config");
		r = check_beside(create, i, reterr);
		if (r < 0)
			return r;
	}
	return 0;
}

/* --- options --- */

static const char *option(const struct network_create *create, const char *key)
{
	return create->options ? map_get(create->options, key) : NULL;
}

static int check_truths(const struct network_create *create, struct err **reterr)
{
	static const char *const keys[] = { "com.docker.network.bridge.enable_icc",
		"com.docker.network.bridge.enable_ip_masquerade", "com.docker.network.bridge.default_bridge" };
	bool value;
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		const char *text = option(create, keys[i]);
		if (text && parse_bool(text, &value) < 0)
			return err_set(reterr, ERR_INVALID, 0, "failed to parse %s value: %s (not a boolean)", keys[i],
				text);
	}
	return 0;
}

static int check_interfaces(const struct network_create *create, struct err **reterr)
{
	static const char *const keys[] = { "com.docker.network.bridge.name", "parent" };
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		const char *text = option(create, keys[i]);
		if (is_set(text) && !lease_is_interface(text))
			return err_set(reterr, ERR_INVALID, 0, "%s: \"%s\" is no name for an interface", keys[i], text);
	}
	const char *prefix = option(create, "com.docker.network.container_iface_prefix");
	if (is_set(prefix) && (!lease_is_interface(prefix) || strlen(prefix) > LEASE_INTERFACE_SIZE - 5))
		return err_set(reterr, ERR_INVALID, 0, "invalid prefix for interfaces: \"%s\"", prefix);
	return 0;
}

static int check_options(const struct network_create *create, struct err **reterr)
{
	const char *mtu = option(create, "com.docker.network.driver.mtu"),
		   *host = option(create, NETWORK_OPTION_HOST_IP);
	struct inet_address address;
	uint64_t value;
	if (is_set(host) && inet_parse(host, &address) < 0)
		return err_set(reterr, ERR_INVALID, 0, "failed to parse " NETWORK_OPTION_HOST_IP " value: %s", host);
	if (mtu && (parse_u64(mtu, MTU_MAX, &value) < 0 || (value > 0 && value < MTU_MIN)))
		return err_set(reterr, ERR_INVALID, 0, "failed to parse com.docker.network.driver.mtu value: %s", mtu);
	static const char *const modes[] = { "com.docker.network.bridge.gateway_mode_ipv4",
		"com.docker.network.bridge.gateway_mode_ipv6" };
	for (size_t i = 0; i < ARRAY_SIZE(modes); i++) {
		const char *mode = option(create, modes[i]);
		if (is_set(mode) && strcmp(mode, "nat") != 0)
			return err_set(reterr, ERR_UNSUPPORTED, 0, "%s: \"%s\" is not supported, nat is", modes[i],
				mode);
	}
	int r = check_truths(create, reterr);
	return r < 0 ? r : check_interfaces(create, reterr);
}

static int check_modes(const struct network_create *create, struct err **reterr)
{
	static const char *const words[][5] = {
		{ "macvlan_mode", "bridge", "private", "vepa", "passthru" },
		{ "ipvlan_mode", "l2", "l3", "l3s", NULL },
		{ "ipvlan_flag", "bridge", "private", "vepa", NULL },
	};
	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		const char *mode = option(create, words[i][0]);
		bool known = !is_set(mode);
		for (size_t word = 1; word < 5 && words[i][word]; word++)
			known = known || strcmp(mode, words[i][word]) == 0;
		if (!known)
			return err_set(reterr, ERR_INVALID, 0, "requested %s '%s' is not valid", words[i][0], mode);
	}
	return 0;
}

/* --- networks of others' making --- */

static int check_cni_options(const struct network_create *create, struct err **reterr)
{
	static const char *const known[] = { "conf", "path", "timeout" };
	const struct network_ipam *ipam = create->ipam;
	struct map_entry *entry;
	uint64_t timeout_s;
	for (size_t i = 0; ipam && i < ipam->config_count; i++) {
		if (!is_empty(&ipam->config[i]))
			return err_set(reterr, ERR_INVALID, 0, "the subnets of a CNI network are its plugins' own");
	}
	if (create->internal)
		return err_set(reterr, ERR_INVALID, 0, "a CNI network is internal if its plugins make it so");
	for (size_t cursor = 0; create->options && (entry = map_next(create->options, &cursor));) {
		bool is_known = false;
		for (size_t i = 0; i < ARRAY_SIZE(known); i++)
			is_known = is_known || strcmp(known[i], entry->key) == 0;
		if (!is_known)
			return err_set(reterr, ERR_INVALID, 0,
				"unknown option %s of a CNI network: expected conf, path or timeout", entry->key);
	}
	const char *timeout = option(create, "timeout");
	if (timeout && (parse_u64(timeout, LEASE_CNI_TIMEOUT_MAX_S, &timeout_s) < 0 || timeout_s == 0))
		return err_set(reterr, ERR_INVALID, 0, "timeout: \"%s\" is not valid: expected 1 to %d seconds",
			timeout, LEASE_CNI_TIMEOUT_MAX_S);
	return 0;
}

static int check_cni_path(const char *path, struct err **reterr)
{
	if (!path)
		return 0;
	_autofree_(strv) char **folders = strv_split(path, ':');
	if (!folders)
		return err_oom(reterr);
	strv_foreach (folder, folders) {
		if ((*folder)[0] != '/')
			return err_set(reterr, ERR_INVALID, 0, "path: \"%s\" is no absolute path", *folder);
	}
	return 0;
}

int network_check_cni(struct network_create *create, struct err **reterr)
{
	_cleanup_free_ char *found = NULL;
	int r = check_cni_options(create, reterr);
	if (r == 0)
		r = check_cni_path(option(create, "path"), reterr);
	const char *conf = option(create, "conf");
	if (r == 0 && conf && conf[0] != '/')
		r = err_set(reterr, ERR_INVALID, 0, "conf: \"%s\" is no absolute path", conf);
	if (r < 0 || conf)
		return r < 0 ? r : cni_check_file(conf, reterr);
	r = cni_find_file(create->name, &found, reterr);
	if (r < 0)
		return r;
	if (!create->options && !(create->options = map_new(free)))
		return err_oom(reterr);
	if (map_set(create->options, "conf", found) < 0)
		return err_oom(reterr);
	found = NULL;
	return 0;
}

/* --- the whole --- */

static int check_name(const char *name, struct err **reterr)
{
	static const char *const predefined[] = { "bridge", "host", "none", "default" };
	if (!is_set(name) || strspn(name, " \t\n") == strlen(name))
		return err_set(reterr, ERR_INVALID, 0, "invalid network name: name is empty");
	if (strlen(name) > NAME_MAX_BYTES)
		return err_set(reterr, ERR_INVALID, 0, "invalid network name: it has more than %d bytes",
			NAME_MAX_BYTES);
	for (const char *c = name; *c; c++) {
		if ((unsigned char)*c < ' ' || *c == 127 || *c == '/')
			return err_set(reterr, ERR_INVALID, 0,
				"invalid network name: it has a control character or a slash");
	}
	if (strncmp(name, "container:", 10) == 0)
		return err_set(reterr, ERR_INVALID, 0, "invalid network name: \"%s\" is a network mode", name);
	for (size_t i = 0; i < ARRAY_SIZE(predefined); i++) {
		if (strcmp(name, predefined[i]) == 0)
			return err_set(reterr, ERR_FORBIDDEN, 0, "operation is not permitted on predefined %s network",
				name);
	}
	return 0;
}

static int check_driver(const struct network_create *create, struct err **reterr)
{
	const char *driver = create->driver;
	if (strcmp(driver, "host") == 0 || strcmp(driver, "null") == 0)
		return err_set(reterr, ERR_FORBIDDEN, 0, "only one instance of \"%s\" network is allowed", driver);
	if (strcmp(driver, "bridge") != 0 && strcmp(driver, "macvlan") != 0 && strcmp(driver, "ipvlan") != 0 &&
		strcmp(driver, NETWORK_CNI) != 0)
		return err_set(reterr, ERR_NOT_FOUND, 0,
			"could not find plugin %s in v1 plugin registry: plugin \"%s\" not found", driver, driver);
	if (is_set(create->scope) && strcmp(create->scope, "local") != 0)
		return err_set(reterr, ERR_INVALID, 0, "a network's scope can only be local: there are no swarms");
	if (create->ingress || create->config_only || (create->config_from && is_set(create->config_from->network)))
		return err_set(reterr, ERR_UNSUPPORTED, 0,
			"networks of swarms, and those made from others, are not supported");
	if (create->enable_ipv4.set && !create->enable_ipv4.value &&
		!(create->enable_ipv6.set && create->enable_ipv6.value))
		return err_set(reterr, ERR_INVALID, 0, "IPv4 or IPv6 must be enabled");
	return 0;
}

int network_check_create(const struct network_create *create, struct err **reterr)
{
	int r = check_name(create->name, reterr);
	if (r == 0)
		r = check_driver(create, reterr);
	if (r == 0)
		r = check_ipam(create, reterr);
	if (r == 0)
		r = check_options(create, reterr);
	return r < 0 ? r : check_modes(create, reterr);
}
