#include "engine/network_default.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "engine/network_check.h"
#include "spec/lease.h"

#define DEFAULT_EXEC_ROOT "/run/tare"
#define DEFAULT_BRIDGE    "tare0"
#define DEFAULT_MTU       1500

/* Two engines of one machine have two bridges. */
static void bridge_name(const struct engine *engine, char out[LEASE_INTERFACE_SIZE])
{
	if (strcmp(engine->exec_root, DEFAULT_EXEC_ROOT) == 0)
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
	const char *const options[][2] = { { "com.docker.network.bridge.default_bridge", "true" },
		{ "com.docker.network.bridge.enable_icc", truth(&settings->icc) },
		{ "com.docker.network.bridge.enable_ip_masquerade", truth(&settings->ip_masq) },
		{ "com.docker.network.bridge.host_binding_ipv4", "0.0.0.0" }, { "com.docker.network.driver.mtu", mtu },
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

int network_default_fill(const struct engine *engine, struct network_info *info)
{
	const struct settings *settings = &engine->settings;
	info->enable_ipv6 = settings->ipv6;
	if (!settings->ipv6)
		drop_pool(&info->ipam, true);
	int r = fill_options(engine, info);
	if (r == 0)
		r = fill_pool(&info->ipam, false, settings->bip, settings->fixed_cidr);
	return r < 0 ? r : fill_pool(&info->ipam, true, settings->bip6, settings->fixed_cidr_v6);
}

static bool is_same(const struct network_info *a, const struct network_info *b)
{
	_autojson_ json_t *one = json_write(&network_info_table, a), *other = json_write(&network_info_table, b);
	return one && other && json_equal(one, other);
}

static int configure(struct network *network, struct network_info *info, struct err **reterr)
{
	if (network_default_fill(network->engine, info) < 0)
		return err_oom(reterr);
	if (is_same(&network->info, info))
		return 0;
	if (network_is_used(network)) {
		log_warn("the default bridge stays as it is, not as the settings have it, while containers are on it");
		return 0;
	}
	int r = networks_check_overlap(network->engine->networks, info, reterr);
	return r < 0 ? err_wrap(reterr, r, "the default bridge") : network_replace_info(network, info, reterr);
}

int network_default_configure(struct engine *engine, struct err **reterr)
{
	struct network *network;
	struct network_info info;
	int r = networks_find(engine->networks, NETWORK_BRIDGE, &network, reterr);
	if (r < 0)
		return r;
	if (json_clone(&network_info_table, &network->info, &info) < 0)
		return err_oom(reterr);
	r = configure(network, &info, reterr);
	json_finish(&network_info_table, &info);
	return r;
}
