#include "engine/network_default.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "engine/network_check.h"
#include "spec/lease.h"
#include "sys/links.h"

#define DEFAULT_EXEC_ROOT "/run/tare"
#define DEFAULT_BRIDGE    "tare0"
#define DEFAULT_MTU       1500

static bool has_named(const struct settings *settings)
{
	return settings->bridge && strcmp(settings->bridge, SETTINGS_NO_BRIDGE) != 0;
}

/* Two engines of one machine have two bridges. */
static void bridge_name(const struct engine *engine, char out[LEASE_INTERFACE_SIZE])
{
	if (has_named(&engine->settings))
		snprintf(out, LEASE_INTERFACE_SIZE, "%s", engine->settings.bridge);
	else if (strcmp(engine->exec_root, DEFAULT_EXEC_ROOT) == 0)
		snprintf(out, LEASE_INTERFACE_SIZE, "%s", DEFAULT_BRIDGE);
	else
		snprintf(out, LEASE_INTERFACE_SIZE, "%s-%.8s", DEFAULT_BRIDGE, engine->id);
}

static const char *truth(const struct json_opt_bool *value)
{
	return settings_truth(value) ? "true" : "false";
}

static int fill_options(const struct engine *engine, struct network_info *info)
{
	const struct settings *settings = &engine->settings;
	char name[LEASE_INTERFACE_SIZE], mtu[24];
	bridge_name(engine, name);
	snprintf(mtu, sizeof(mtu), "%lld", (long long)(settings->mtu ? settings->mtu : DEFAULT_MTU));
	const char *host_ip = settings->ip ? settings->ip : "0.0.0.0";
	const char *const options[][2] = { { "com.docker.network.bridge.default_bridge", "true" },
		{ "com.docker.network.bridge.enable_icc", truth(&settings->icc) },
		{ "com.docker.network.bridge.enable_ip_masquerade", truth(&settings->ip_masq) },
		{ NETWORK_OPTION_HOST_IP, host_ip }, { "com.docker.network.driver.mtu", mtu },
		{ NETWORK_OPTION_BRIDGE_NAME, name } };
	int r = 0;
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(options); i++)
		r = network_info_set_option(info, options[i][0], options[i][1]);
	return r;
}

static void drop_pool(struct network_ipam *ipam, bool is_v6)
{
	const struct network_ipam_pool *pool = network_pool_of(ipam, is_v6);
	if (!pool)
		return;
	size_t i = (size_t)(pool - ipam->config);
	network_pool_finish(&ipam->config[i]);
	memmove(&ipam->config[i], &ipam->config[i + 1], (ipam->config_count - i - 1) * sizeof(*pool));
	ipam->config_count--;
}

/* `bip` is the bridge's own address; without one the part that is for containers is the whole subnet. */
static int make_pool(const char *bip, const char *cidr, struct network_ipam_pool *ret)
{
	struct inet_subnet subnet;
	char text[INET_SUBNET_SIZE], gateway[INET_TEXT_SIZE];
	int r = inet_parse_subnet(bip ? bip : cidr, &subnet);
	if (r < 0)
		return r;
	struct inet_address own = subnet.address;
	subnet.address = inet_subnet_base(&subnet);
	if (!bip)
		own = inet_add(&subnet.address, 1);
	inet_print_subnet(&subnet, text);
	inet_print(&own, gateway);
	ret->subnet = strdup(text);
	ret->gateway = strdup(gateway);
	ret->ip_range = bip && cidr ? strdup(cidr) : NULL;
	return ret->subnet && ret->gateway && (!(bip && cidr) || ret->ip_range) ? 0 : -ENOMEM;
}

static int fill_pool(struct network_ipam *ipam, bool is_v6, const char *bip, const char *cidr)
{
	struct network_ipam_pool pool = { 0 };
	if (!bip && !cidr)
		return 0;
	drop_pool(ipam, is_v6);
	struct network_ipam_pool *grown = reallocarray(ipam->config, ipam->config_count + 1, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	ipam->config = grown;
	int r = make_pool(bip, cidr, &pool);
	if (r < 0)
		network_pool_finish(&pool);
	else
		ipam->config[ipam->config_count++] = pool;
	return r;
}

/* --- the host's own bridge --- */

/* The first address of each family, as bip would say it. */
struct host_bridge {
	int index;
	char own[2][INET_SUBNET_SIZE];
};

static int note_address(int index, const struct inet_subnet *address, void *user)
{
	struct host_bridge *bridge = user;
	const uint8_t *bytes = address->address.bytes;
	bool is_v6 = address->address.is_v6, is_link_local = is_v6 && bytes[0] == 0xfe && (bytes[1] & 0xc0) == 0x80;
	if (index == bridge->index && !is_link_local && !bridge->own[is_v6][0])
		inet_print_subnet(address, bridge->own[is_v6]);
	return 0;
}

static int look_at(const struct settings *settings, struct host_bridge *ret, struct err **reterr)
{
	_cleanup_(netlink_close) struct netlink netlink = NETLINK_NONE;
	struct link_info info;
	int r = netlink_open(&netlink, NETLINK_ROUTE);
	if (r == 0)
		r = link_find(&netlink, settings->bridge, &info);
	if (r == -ENODEV)
		return err_set(reterr, ERR_INVALID, ENODEV, "bridge: the host has no bridge %s", settings->bridge);
	if (r == 0 && strcmp(info.kind, "bridge") != 0)
		return err_set(reterr, ERR_INVALID, 0, "bridge: the interface %s is no bridge", settings->bridge);
	if (r == 0) {
		ret->index = info.index;
		r = addresses_each(&netlink, note_address, ret);
	}
	if (r < 0)
		return err_errno(reterr, r, "bridge: cannot look at %s", settings->bridge);
	if (!ret->own[false][0] && !settings->fixed_cidr)
		return err_set(reterr, ERR_INVALID, 0, "bridge: %s has no IPv4 address: give it one, or say fixed-cidr",
			settings->bridge);
	return 0;
}

/* --- the whole --- */

/* NULL: none any more. */
static int set_way_out(struct network_ipam *ipam, bool is_v6, const char *address, struct err **reterr)
{
	struct network_ipam_pool *pool = (struct network_ipam_pool *)network_pool_of(ipam, is_v6);
	struct inet_address parsed;
	struct inet_subnet subnet;
	if (!address) {
		if (pool && pool->aux_addresses)
			map_remove(pool->aux_addresses, NETWORK_WAY_OUT(is_v6));
		return 0;
	}
	if (!pool || inet_parse_subnet(pool->subnet, &subnet) < 0 || inet_parse(address, &parsed) < 0 ||
		!inet_subnet_has(&subnet, &parsed))
		return err_set(reterr, ERR_INVALID, 0, "%s: %s is not in the bridge's subnet",
			is_v6 ? "default-gateway-v6" : "default-gateway", address);
	if (!pool->aux_addresses && !(pool->aux_addresses = map_new(free)))
		return err_oom(reterr);
	char *copy = strdup(address);
	if (!copy || map_set(pool->aux_addresses, NETWORK_WAY_OUT(is_v6), copy) < 0) {
		free(copy);
		return err_oom(reterr);
	}
	return 0;
}

static const char *first_of(const char *own, const char *otherwise)
{
	return own ? own : otherwise[0] ? otherwise : NULL;
}

int network_default_fill(const struct engine *engine, struct network_info *info, struct err **reterr)
{
	const struct settings *settings = &engine->settings;
	const char *before = info->options ? map_get(info->options, NETWORK_OPTION_BRIDGE_NAME) : NULL;
	struct host_bridge host = { 0 };
	char name[LEASE_INTERFACE_SIZE];
	int r = has_named(settings) ? look_at(settings, &host, reterr) : 0;
	if (r < 0)
		return r;
	bridge_name(engine, name);
	info->enable_ipv6 = settings->ipv6;
	for (int is_v6 = 0; is_v6 < 2; is_v6++) {
		if ((is_v6 && !settings->ipv6) || (before && strcmp(before, name) != 0))
			drop_pool(&info->ipam, is_v6);
	}
	if (fill_options(engine, info) < 0 ||
		fill_pool(&info->ipam, false, first_of(settings->bip, host.own[false]), settings->fixed_cidr) < 0 ||
		(settings->ipv6 && fill_pool(&info->ipam, true, first_of(settings->bip6, host.own[true]),
					   settings->fixed_cidr_v6) < 0))
		return err_oom(reterr);
	r = set_way_out(&info->ipam, false, settings->default_gateway, reterr);
	return r < 0 ? r : set_way_out(&info->ipam, true, settings->default_gateway_v6, reterr);
}

static bool is_same(const struct network_info *a, const struct network_info *b)
{
	_autojson_ json_t *one = json_write(&network_info_table, a), *other = json_write(&network_info_table, b);
	return one && other && json_equal(one, other);
}

static int configure(struct network *network, struct network_info *info, struct err **reterr)
{
	int r = network_default_fill(network->engine, info, reterr);
	if (r < 0)
		return r;
	if (is_same(&network->info, info))
		return 0;
	if (network_is_used(network)) {
		log_warn("the default bridge stays as it is, not as the settings have it, while containers are on it");
		return 0;
	}
	r = networks_check_overlap(network->engine->networks, info, reterr);
	return r < 0 ? err_wrap(reterr, r, "the default bridge") : network_replace_info(network, info, reterr);
}

static void hide(struct network *network)
{
	if (network_is_used(network))
		log_warn("the default bridge stays, though the settings want none, while containers are on it");
	else
		networks_hide(network);
}

int network_default_configure(struct engine *engine, struct err **reterr)
{
	struct network *network;
	struct network_info info;
	int r = networks_find(engine->networks, NETWORK_BRIDGE, &network, reterr);
	if (r < 0)
		return r;
	if (engine->settings.bridge && !has_named(&engine->settings)) {
		hide(network);
		return 0;
	}
	if (json_clone(&network_info_table, &network->info, &info) < 0)
		return err_oom(reterr);
	r = configure(network, &info, reterr);
	json_finish(&network_info_table, &info);
	return r;
}
