#include "engine/settings_networks.h"

#include <errno.h>
#include <string.h>

#include "base/strv.h"
#include "spec/lease.h"

#define MTU_MIN    68
#define MTU_MIN_V6 1280
#define MTU_MAX    65535
/* Smaller ones have no room for a gateway and a container. */
#define POOL_SIZE_MAX_V4 30
#define POOL_SIZE_MAX_V6 126
#define DNS_TEXT_MAX     253

static int bad(struct err **reterr, const char *key, const char *value, const char *expected)
{
	return err_set(reterr, ERR_INVALID, 0, "%s: \"%.100s\" is not valid: expected %s", key, value, expected);
}

/* --- the default bridge --- */

static int check_bip(const char *key, const char *text, bool is_v6, struct inet_subnet *ret, struct err **reterr)
{
	if (inet_parse_subnet(text, ret) < 0 || ret->address.is_v6 != is_v6 || !ipam_is_host(ret, &ret->address) ||
		ret->prefix + 1 >= inet_bits(&ret->address))
		return bad(reterr, key, text,
			is_v6 ? "the bridge's IPv6 address with its prefix, such as fd00:1::1/64"
			      : "the bridge's IPv4 address with its prefix, such as 172.26.0.1/16");
	return 0;
}

static int check_bridge(const char *bip_key, const char *bip, const char *cidr_key, const char *cidr, bool is_v6,
	struct err **reterr)
{
	struct inet_subnet own, part;
	int r = bip ? check_bip(bip_key, bip, is_v6, &own, reterr) : 0;
	if (r < 0 || !cidr)
		return r;
	if (inet_parse_subnet(cidr, &part) < 0 || part.address.is_v6 != is_v6 ||
		part.prefix + 1 >= inet_bits(&part.address))
		return bad(reterr, cidr_key, cidr,
			is_v6 ? "an IPv6 subnet, such as fd00:1::/80" : "an IPv4 subnet, such as 172.26.5.0/24");
	if (bip && (part.prefix < own.prefix || !inet_subnet_has(&own, &part.address)))
		return err_set(reterr, ERR_INVALID, 0, "%s: %s is no part of %s, which is %s", cidr_key, cidr, bip,
			bip_key);
	return 0;
}

static int check_default_gateway(const char *key, const char *text, const char *bip, const char *cidr, bool is_v6,
	const struct settings *settings, struct err **reterr)
{
	struct inet_address address;
	struct inet_subnet subnet;
	const char *within = bip ? bip : cidr;
	if (!text)
		return 0;
	if (inet_parse(text, &address) < 0 || address.is_v6 != is_v6)
		return bad(reterr, key, text, is_v6 ? "an IPv6 address" : "an IPv4 address");
	if (settings->bridge)
		return 0; /* as that has it */
	if (!within)
		return err_set(reterr, ERR_INVALID, 0, "%s: needs %s or %s, which say what the bridge's subnet is", key,
			is_v6 ? "bip6" : "bip", is_v6 ? "fixed-cidr-v6" : "fixed-cidr");
	if (inet_parse_subnet(within, &subnet) < 0 || !inet_subnet_has(&subnet, &address))
		return err_set(reterr, ERR_INVALID, 0, "%s: %s is not in the bridge's subnet %s", key, text, within);
	return 0;
}

static int check_named_bridge(const struct settings *settings, struct err **reterr)
{
	if (!settings->bridge)
		return 0;
	if (!lease_is_interface(settings->bridge))
		return bad(reterr, "bridge", settings->bridge, "an interface's name, or none");
	if (settings->bip || settings->bip6)
		return err_set(reterr, ERR_INVALID, 0,
			"bridge and %s exclude each other: a bridge of the host's has its addresses",
			settings->bip ? "bip" : "bip6");
	return 0;
}

static int check_gateways(const struct settings *settings, struct err **reterr)
{
	int r = check_default_gateway("default-gateway", settings->default_gateway, settings->bip, settings->fixed_cidr,
		false, settings, reterr);
	return r < 0 ? r
		     : check_default_gateway("default-gateway-v6", settings->default_gateway_v6, settings->bip6,
			       settings->fixed_cidr_v6, true, settings, reterr);
}

static int check_default_bridge(const struct settings *settings, struct err **reterr)
{
	int r = check_bridge("bip", settings->bip, "fixed-cidr", settings->fixed_cidr, false, reterr);
	if (r == 0)
		r = check_bridge("bip6", settings->bip6, "fixed-cidr-v6", settings->fixed_cidr_v6, true, reterr);
	if (r < 0)
		return r;
	if (!settings->ipv6 && (settings->bip6 || settings->fixed_cidr_v6 || settings->default_gateway_v6))
		return err_set(reterr, ERR_INVALID, 0, "%s: needs ipv6 to be true",
			settings->bip6            ? "bip6"
			: settings->fixed_cidr_v6 ? "fixed-cidr-v6"
						  : "default-gateway-v6");
	r = check_named_bridge(settings, reterr);
	if (r == 0)
		r = check_gateways(settings, reterr);
	if (r < 0)
		return r;
	int64_t least = settings->ipv6 ? MTU_MIN_V6 : MTU_MIN;
	if (settings->mtu != 0 && (settings->mtu < least || settings->mtu > MTU_MAX))
		return err_set(reterr, ERR_INVALID, 0, "mtu: %lld is not valid: expected %lld to %d bytes",
			(long long)settings->mtu, (long long)least, MTU_MAX);
	return 0;
}

/* --- pools --- */

static int check_pool(const struct info_address_pool *pool, struct err **reterr)
{
	struct inet_subnet base;
	if (inet_parse_subnet(pool->base, &base) < 0)
		return bad(reterr, "default-address-pools", pool->base, "a subnet as the base");
	int64_t most = base.address.is_v6 ? POOL_SIZE_MAX_V6 : POOL_SIZE_MAX_V4;
	if (pool->size < base.prefix || pool->size > most)
		return err_set(reterr, ERR_INVALID, 0,
			"default-address-pools: subnets of size %lld can't be cut from %s: expected %u to %lld",
			(long long)pool->size, pool->base, base.prefix, (long long)most);
	return 0;
}

static int check_pools(const struct settings *settings, struct err **reterr)
{
	int r = 0;
	if (settings->pool_count > SETTINGS_POOLS_MAX)
		return err_set(reterr, ERR_INVALID, 0, "default-address-pools: at most %d", SETTINGS_POOLS_MAX);
	for (size_t i = 0; r == 0 && i < settings->pool_count; i++)
		r = check_pool(&settings->pools[i], reterr);
	return r;
}

size_t settings_supplies(const struct settings *settings, bool is_v6, struct ipam_supply out[SETTINGS_POOLS_MAX])
{
	size_t count = 0;
	for (size_t i = 0; i < settings->pool_count; i++) {
		struct inet_subnet base;
		if (inet_parse_subnet(settings->pools[i].base, &base) < 0 || base.address.is_v6 != is_v6)
			continue;
		base.address = inet_subnet_base(&base);
		out[count++] = (struct ipam_supply){ .base = base, .size = (unsigned)settings->pools[i].size };
	}
	return count;
}

/* --- names --- */

static int check_words(const char *key, char *const *words, struct err **reterr)
{
	strv_foreach (word, words) {
		size_t len = strlen(*word);
		bool is_plain = len > 0 && len <= DNS_TEXT_MAX;
		for (const char *c = *word; *c; c++)
			is_plain = is_plain && *c > ' ' && *c != 127;
		if (!is_plain)
			return bad(reterr, key, *word, "a word");
	}
	return 0;
}

static int check_servers(char *const *servers, struct err **reterr)
{
	struct inet_address address;
	strv_foreach (server, servers) {
		if (inet_parse(*server, &address) < 0)
			return bad(reterr, "dns", *server, "an IP address");
	}
	return 0;
}

static int check_host_gateways(struct settings *settings, struct err **reterr)
{
	struct inet_address address;
	bool has[2] = { false };
	if (settings->host_gateway_ip && strv_count(settings->host_gateway_ips) > 0)
		return err_set(reterr, ERR_INVALID, 0, "host-gateway-ip and host-gateway-ips exclude each other");
	if (settings->host_gateway_ip && strv_append(&settings->host_gateway_ips, settings->host_gateway_ip) < 0)
		return err_oom(reterr);
	strv_foreach (text, settings->host_gateway_ips) {
		if (inet_parse(*text, &address) < 0)
			return bad(reterr, "host-gateway-ips", *text, "an IP address");
		if (has[address.is_v6])
			return err_set(reterr, ERR_INVALID, 0, "host-gateway-ips: only one IPv%c address can be given",
				address.is_v6 ? '6' : '4');
		has[address.is_v6] = true;
	}
	return 0;
}

static int check_segments(int64_t bytes, struct err **reterr)
{
	if (bytes == 0 || (bytes >= LEASE_SEGMENT_USUAL && bytes <= LEASE_SEGMENT_MAX))
		return 0;
	return err_set(reterr, ERR_INVALID, 0, "loopback-segments: %lld is not valid: expected %d to %d bytes",
		(long long)bytes, LEASE_SEGMENT_USUAL, LEASE_SEGMENT_MAX);
}

/* --- what is taken for Docker's sake --- */

static int check_iptables(const struct settings *settings, struct err **reterr)
{
	const char *key = !settings_truth(&settings->iptables)    ? "iptables"
			  : !settings_truth(&settings->ip6tables) ? "ip6tables"
								  : NULL;
	return key ? err_set(reterr, ERR_INVALID, 0,
			     "%s: can't be false: nothing of iptables is touched, but published ports and what keeps networks "
			     "apart are one table of nf_tables (ports-obey-input has ports obey the host's own rules)",
			     key)
		   : 0;
}

static int check_network_options(const json_t *all, struct err **reterr)
{
	const char *driver, *option;
	json_t *options, *value;
	if (all && !json_is_object(all))
		return err_set(reterr, ERR_INVALID, 0, "default-network-opts: expected an object");
	json_object_foreach ((json_t *)all, driver, options) {
		if (!json_is_object(options))
			return err_set(reterr, ERR_INVALID, 0, "default-network-opts: %s: expected an object", driver);
		json_object_foreach (options, option, value) {
			if (!json_is_string(value))
				return err_set(reterr, ERR_INVALID, 0,
					"default-network-opts: %s: %s: expected a string", driver, option);
		}
	}
	return 0;
}

static int check_host_address(const char *text, struct err **reterr)
{
	struct inet_address address;
	return text && inet_parse(text, &address) < 0 ? bad(reterr, "ip", text, "an IP address") : 0;
}

int settings_check_networks(struct settings *settings, struct err **reterr)
{
	int r = check_default_bridge(settings, reterr);
	if (r == 0)
		r = check_pools(settings, reterr);
	if (r == 0)
		r = check_host_address(settings->ip, reterr);
	if (r == 0)
		r = check_segments(settings->loopback_segments, reterr);
	if (r == 0)
		r = check_iptables(settings, reterr);
	if (r == 0)
		r = check_network_options(settings->network_options, reterr);
	if (r == 0)
		r = check_servers(settings->dns, reterr);
	if (r == 0)
		r = check_words("dns-opts", settings->dns_options, reterr);
	if (r == 0)
		r = check_words("dns-search", settings->dns_search, reterr);
	return r < 0 ? r : check_host_gateways(settings, reterr);
}
