#include "network/bridge.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "network/lacking.h"
#include "network/sysctls.h"
#include "sys/links.h"

static bool is_set(const char *text)
{
	return text && text[0];
}

static int refuse(const struct netlink *netlink, int r, const char *name, const char *what, struct err **reterr)
{
	if (lacking(r, "bridge", reterr))
		return r;
	if (netlink->complaint[0])
		return err_errno(reterr, r, "bridge %s: %s (%s)", name, what, netlink->complaint);
	return err_errno(reterr, r, "bridge %s: %s", name, what);
}

/* 1: it is there and ours; 0: it is not there. */
static int look(struct netlink *netlink, const char *name, const char *owner, bool foreign, struct link_info *ret,
	struct err **reterr)
{
	int r = link_find(netlink, name, ret);
	if (r == -ENODEV)
		return 0;
	if (r < 0)
		return refuse(netlink, r, name, "cannot look for it", reterr);
	if (strcmp(ret->kind, "bridge") != 0)
		return err_set(reterr, ERR_CONFLICT, EEXIST, "the interface %s exists and is no bridge", name);
	if (!foreign && strcmp(ret->alias, owner) != 0)
		return err_set(reterr, ERR_CONFLICT, EEXIST, "the bridge %s exists and is not of this engine's making",
			name);
	return 1;
}

/* Its own, or it would have its lowest port's, and its containers' neighbour would change with every one that comes. */
static bool choose_mac(const struct lease_bridge *bridge, uint8_t mac[INET_MAC_BYTES])
{
	const char *text = is_set(bridge->ipv4.address) ? bridge->ipv4.address : bridge->ipv6.address;
	struct inet_address address;
	if (!is_set(text) || inet_parse(text, &address) < 0)
		return false;
	mac[0] = 0x02;
	mac[1] = 0x42;
	memcpy(mac + 2, address.bytes + inet_bytes(&address) - 4, 4);
	return true;
}

static int make_link(struct netlink *netlink, const struct lease_bridge *bridge, const char *owner, struct err **reterr)
{
	_cleanup_(netlink_request_finish) struct netlink_request request = NETLINK_REQUEST;
	uint8_t mac[INET_MAC_BYTES];
	const struct link_new link = {
		.kind = "bridge", .mac = choose_mac(bridge, mac) ? mac : NULL, .name = bridge->bridge, .netns_fd = -1
	};
	link_put_new(&request, &link);
	link_put_alias(&request, bridge->bridge, owner);
	int r = netlink_transact(netlink, &request);
	return r < 0 ? refuse(netlink, r, bridge->bridge, "cannot make it", reterr) : 0;
}

/* --- settings --- */

/* Forwarding makes a host deaf to router advertisements, unless it is told to go on listening. */
static int keep_listening(const struct link_info *link, void *user)
{
	(void)user;
	if (sysctls_get("ipv6", link->name, "accept_ra") == 1)
		sysctls_set("ipv6", link->name, "accept_ra", "2");
	return 0;
}

static int forward_v4(void)
{
	return sysctls_set_all("ipv4/ip_forward", "1");
}

static int forward_v6(struct netlink *netlink)
{
	int r = links_each(netlink, keep_listening, NULL);
	return r < 0 ? r : sysctls_set_all("ipv6/conf/all/forwarding", "1");
}

/* It is the whole host's, so whoever reads the log hears of it. */
static int forward(struct netlink *netlink, const struct lease_bridge *bridge, bool is_v6)
{
	const char *family = is_v6 ? "ipv6" : "ipv4";
	if (sysctls_get(family, "all", "forwarding") == 1)
		return 0;
	if (bridge->no_forward) {
		log_warn(
			"network %s has no way out: forwarding of %s is off on this host, and left so (ip-forward=false)",
			bridge->network, family);
		return 0;
	}
	log_info("forwarding of %s is switched on on this host, for network %s", family, bridge->network);
	return is_v6 ? forward_v6(netlink) : forward_v4();
}

static int configure(struct netlink *netlink, const struct lease_bridge *bridge, struct err **reterr)
{
	const char *name = bridge->bridge;
	bool has_v4 = is_set(bridge->ipv4.address), has_v6 = is_set(bridge->ipv6.address), is_own = !bridge->foreign;
	const struct {
		bool wanted;
		const char *family, *setting, *value;
	} settings[] = {
		{ is_own && !has_v6, "ipv6", "disable_ipv6", "1" },
		{ has_v6, "ipv6", "disable_ipv6", "0" },
		{ is_own && has_v6, "ipv6", "accept_ra", "0" },
		{ is_own && has_v6, "ipv6", "accept_dad", "0" },
		{ has_v4 && !bridge->internal, "ipv4", "route_localnet", "1" },
	};
	for (size_t i = 0; i < ARRAY_SIZE(settings); i++) {
		if (!settings[i].wanted)
			continue;
		int r = sysctls_set(settings[i].family, name, settings[i].setting, settings[i].value);
		if (r < 0 && (r != -ENOENT || strcmp(settings[i].value, "1") != 0))
			return err_errno(reterr, r, "bridge %s: cannot set %s", name, settings[i].setting);
	}
	int r = has_v4 && !bridge->internal ? forward(netlink, bridge, false) : 0;
	if (r == 0 && has_v6 && !bridge->internal)
		r = forward(netlink, bridge, true);
	return r < 0 ? err_errno(reterr, r, "cannot have packets forwarded") : 0;
}

/* Addresses of before: a network's settings may have changed. */
struct stale {
	const struct lease_bridge *bridge;
	int index;
	struct netlink_request request;
};

static bool is_own(const struct lease_address *own, const struct inet_subnet *address)
{
	struct inet_address parsed;
	return is_set(own->address) && inet_parse(own->address, &parsed) == 0 &&
	       inet_equal(&parsed, &address->address) && (unsigned)own->prefix == address->prefix;
}

static int note_stale(int index, const struct inet_subnet *address, void *user)
{
	struct stale *stale = user;
	const uint8_t *bytes = address->address.bytes;
	bool is_link_local = address->address.is_v6 && bytes[0] == 0xfe && (bytes[1] & 0xc0) == 0x80;
	if (index == stale->index && !is_link_local && !is_own(&stale->bridge->ipv4, address) &&
		!is_own(&stale->bridge->ipv6, address))
		link_put_address_delete(&stale->request, index, address);
	return 0;
}

static int remove_stale(struct netlink *netlink, const struct lease_bridge *bridge, int index, struct err **reterr)
{
	struct stale stale = { bridge, index, NETLINK_REQUEST };
	int r = bridge->foreign ? 0 : addresses_each(netlink, note_stale, &stale);
	if (r == 0 && stale.request.count > 0)
		r = netlink_transact(netlink, &stale.request);
	netlink_request_finish(&stale.request);
	return r < 0 ? refuse(netlink, r, bridge->bridge, "cannot remove its old addresses", reterr) : 0;
}

static int set_addresses(struct netlink *netlink, const struct lease_bridge *bridge, const struct link_info *link,
	struct err **reterr)
{
	_cleanup_(netlink_request_finish) struct netlink_request request = NETLINK_REQUEST;
	const struct lease_address *const own[] = { &bridge->ipv4, &bridge->ipv6 };
	int results[4];
	for (size_t i = 0; i < ARRAY_SIZE(own); i++) {
		struct inet_subnet subnet = { .prefix = (unsigned)own[i]->prefix };
		if (is_set(own[i]->address) && inet_parse(own[i]->address, &subnet.address) == 0)
			link_put_address(&request, link->index, &subnet);
	}
	/* Given with its making it would follow the ports' from then on. */
	if (bridge->mtu > 0 && link->mtu != (unsigned)bridge->mtu && !bridge->foreign)
		link_put_mtu(&request, link->index, (unsigned)bridge->mtu);
	link_put_up(&request, link->index, true);
	int r = netlink_transact_each(netlink, &request, results);
	for (unsigned i = 0; r == 0 && i < request.count; i++) {
		if (results[i] != -EEXIST)
			r = results[i];
	}
	return r < 0 ? refuse(netlink, r, bridge->bridge, "cannot set its addresses", reterr) : 0;
}

int bridge_make(const struct lease_bridge *bridge, const char *owner, struct err **reterr)
{
	_cleanup_(netlink_close) struct netlink netlink = NETLINK_NONE;
	struct link_info info;
	int r = netlink_open(&netlink, NETLINK_ROUTE);
	if (r < 0)
		return err_errno(reterr, r, "cannot talk to the kernel about networks");
	r = look(&netlink, bridge->bridge, owner, bridge->foreign, &info, reterr);
	if (r == 0 && bridge->foreign)
		return err_set(reterr, ERR_NOT_FOUND, ENODEV, "network %s: the host has no bridge %s", bridge->network,
			bridge->bridge);
	if (r == 0) {
		r = make_link(&netlink, bridge, owner, reterr);
		if (r == 0 && (r = link_find(&netlink, bridge->bridge, &info)) < 0)
			return refuse(&netlink, r, bridge->bridge, "cannot look for it", reterr);
	}
	if (r < 0)
		return r;
	r = configure(&netlink, bridge, reterr);
	if (r == 0)
		r = remove_stale(&netlink, bridge, info.index, reterr);
	return r < 0 ? r : set_addresses(&netlink, bridge, &info, reterr);
}

int bridge_remove(const char *name, const char *owner, struct err **reterr)
{
	_cleanup_(netlink_close) struct netlink netlink = NETLINK_NONE;
	_cleanup_(netlink_request_finish) struct netlink_request request = NETLINK_REQUEST;
	struct link_info info;
	int r = netlink_open(&netlink, NETLINK_ROUTE);
	if (r < 0)
		return err_errno(reterr, r, "cannot talk to the kernel about networks");
	r = look(&netlink, name, owner, false, &info, reterr);
	if (r <= 0)
		return r;
	link_put_delete(&request, info.index);
	r = netlink_transact(&netlink, &request);
	return r < 0 && r != -ENODEV ? refuse(&netlink, r, name, "cannot remove it", reterr) : 0;
}
