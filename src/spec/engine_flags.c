#include "spec/engine_flags.h"

#include "base/cleanup.h"

const struct engine_flag engine_flags[] = {
	{ "insecure-registry", "insecure-registries", ENGINE_FLAG_LIST, "HOST",
		"plain HTTP or any certificate will do; may be repeated" },
	{ "registry-mirror", "registry-mirrors", ENGINE_FLAG_LIST, "URL",
		"ask there before Docker Hub; may be repeated" },
	{ "exec-opt", "exec-opts", ENGINE_FLAG_LIST, "native.cgroupdriver=DRIVER",
		"who makes containers' groups: cgroupfs (default), or systemd, as scopes in system.slice" },
	{ "bridge", "bridge", ENGINE_FLAG_TEXT, "NAME",
		"the default bridge is this one, which the host has, with its addresses; \"none\": there is no default bridge" },
	{ "bip", "bip", ENGINE_FLAG_TEXT, "ADDRESS/BITS", "address and subnet of the default bridge" },
	{ "bip6", "bip6", ENGINE_FLAG_TEXT, "ADDRESS/BITS", "the same of IPv6, with --ipv6" },
	{ "fixed-cidr", "fixed-cidr", ENGINE_FLAG_TEXT, "SUBNET",
		"containers on the default bridge get addresses of this part of its subnet" },
	{ "fixed-cidr-v6", "fixed-cidr-v6", ENGINE_FLAG_TEXT, "SUBNET", "the same of IPv6, with --ipv6" },
	{ "default-gateway", "default-gateway", ENGINE_FLAG_TEXT, "ADDRESS",
		"the way out of containers on the default bridge, in its subnet (default: the bridge itself)" },
	{ "default-gateway-v6", "default-gateway-v6", ENGINE_FLAG_TEXT, "ADDRESS", "the same of IPv6, with --ipv6" },
	{ "ip", "ip", ENGINE_FLAG_TEXT, "ADDRESS",
		"the host's address for ports of the default bridge's containers that name none (default 0.0.0.0: all, of IPv6 too)" },
	{ "ipv6", "ipv6", ENGINE_FLAG_TRUTH, NULL, "IPv6 on the default bridge" },
	{ "icc", "icc", ENGINE_FLAG_TRUTH, NULL, "containers on the default bridge may talk (default true)" },
	{ "ip-masq", "ip-masq", ENGINE_FLAG_TRUTH, NULL,
		"the default bridge's containers leave by the host's address (default true)" },
	{ "ip-forward", "ip-forward", ENGINE_FLAG_TRUTH, NULL,
		"switch the host's forwarding on for networks that have a way out (default true)" },
	{ "iptables", "iptables", ENGINE_FLAG_TRUTH, NULL,
		"true alone: all rules are in one table of nf_tables, nothing of iptables is touched, and networks need that table" },
	{ "ip6tables", "ip6tables", ENGINE_FLAG_TRUTH, NULL, "the same of IPv6" },
	{ "userland-proxy", "userland-proxy", ENGINE_FLAG_TRUTH, NULL,
		"without effect: the packet filter serves ports, and tare-splice what that can't ([::1]), started for the first client" },
	{ "ports-obey-input", "ports-obey-input", ENGINE_FLAG_TRUTH, NULL,
		"published ports are sockets of the host's, so its firewall's rules for input decide who gets in; containers "
		"then see their gateway as the client" },
	{ "mtu", "mtu", ENGINE_FLAG_NUMBER, "BYTES", "of the default bridge (default 1500)" },
	{ "loopback-segments", "loopback-segments", ENGINE_FLAG_NUMBER, "BYTES",
		"have lo let through at least so much of a TCP stream over IPv4 in one piece, 65536 to 524280 (Linux 6.3): with 196608, what "
		"the host's own programs send to published ports of containers that start from then on takes less processor time. Not undone "
		"when tared ends. What they send to ports that another engine publishes is then cut up in software, which takes more" },
	{ "default-address-pool", "default-address-pools", ENGINE_FLAG_POOL, "base=SUBNET,size=BITS",
		"networks without a subnet of their own get one of these; may be repeated" },
	{ "default-network-opt", "default-network-opts", ENGINE_FLAG_NESTED, "DRIVER=OPTION=VALUE",
		"option of networks that are made from then on, unless they have it themselves; may be repeated" },
	{ "dns", "dns", ENGINE_FLAG_LIST, "ADDRESS", "name server of containers that name none; may be repeated" },
	{ "dns-opt", "dns-opts", ENGINE_FLAG_LIST, "OPTION", "the same of resolver options; may be repeated" },
	{ "dns-search", "dns-search", ENGINE_FLAG_LIST, "DOMAIN", "the same of search domains; may be repeated" },
	{ "host-gateway-ip", "host-gateway-ips", ENGINE_FLAG_LIST, "ADDRESS",
		"what host-gateway means in --add-host, one of each family (default: the default bridge's)" },
	{ 0 },
};
_Static_assert(ARRAY_SIZE(engine_flags) <= ENGINE_FLAGS_MAX, "more flags than ENGINE_FLAGS_MAX");
