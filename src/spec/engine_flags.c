#include "spec/engine_flags.h"

#include "base/cleanup.h"

const struct engine_flag engine_flags[] = {
	{ "insecure-registry", "insecure-registries", ENGINE_FLAG_LIST, "HOST",
		"plain HTTP or any certificate will do; may be repeated" },
	{ "registry-mirror", "registry-mirrors", ENGINE_FLAG_LIST, "URL",
		"ask there before Docker Hub; may be repeated" },
	{ "bip", "bip", ENGINE_FLAG_TEXT, "ADDRESS/BITS", "address and subnet of the default bridge" },
	{ "bip6", "bip6", ENGINE_FLAG_TEXT, "ADDRESS/BITS", "the same of IPv6, with --ipv6" },
	{ "fixed-cidr", "fixed-cidr", ENGINE_FLAG_TEXT, "SUBNET",
		"containers on the default bridge get addresses of this part of its subnet" },
	{ "fixed-cidr-v6", "fixed-cidr-v6", ENGINE_FLAG_TEXT, "SUBNET", "the same of IPv6, with --ipv6" },
	{ "ipv6", "ipv6", ENGINE_FLAG_TRUTH, NULL, "IPv6 on the default bridge" },
	{ "icc", "icc", ENGINE_FLAG_TRUTH, NULL, "containers on the default bridge may talk (default true)" },
	{ "ip-masq", "ip-masq", ENGINE_FLAG_TRUTH, NULL,
		"the default bridge's containers leave by the host's address (default true)" },
	{ "ip-forward", "ip-forward", ENGINE_FLAG_TRUTH, NULL,
		"switch the host's forwarding on for networks that have a way out (default true)" },
	{ "ports-obey-input", "ports-obey-input", ENGINE_FLAG_TRUTH, NULL,
		"published ports are sockets of the host's, so its firewall's rules for input decide who gets in; containers "
		"then see their gateway as the client" },
	{ "mtu", "mtu", ENGINE_FLAG_NUMBER, "BYTES", "of the default bridge (default 1500)" },
	{ "default-address-pool", "default-address-pools", ENGINE_FLAG_POOL, "base=SUBNET,size=BITS",
		"networks without a subnet of their own get one of these; may be repeated" },
	{ "dns", "dns", ENGINE_FLAG_LIST, "ADDRESS", "name server of containers that name none; may be repeated" },
	{ "dns-opt", "dns-opts", ENGINE_FLAG_LIST, "OPTION", "the same of resolver options; may be repeated" },
	{ "dns-search", "dns-search", ENGINE_FLAG_LIST, "DOMAIN", "the same of search domains; may be repeated" },
	{ "host-gateway-ip", "host-gateway-ips", ENGINE_FLAG_LIST, "ADDRESS",
		"what host-gateway means in --add-host, one of each family (default: the default bridge's)" },
	{ 0 },
};
_Static_assert(ARRAY_SIZE(engine_flags) <= ENGINE_FLAGS_MAX, "more flags than ENGINE_FLAGS_MAX");
