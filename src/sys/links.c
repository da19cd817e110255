#include "sys/links.h"

#include <errno.h>
#include <string.h>

#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <sys/socket.h>

#include "base/cleanup.h"

#define LINKS_TRIES  20
#define IFLA_SEGMENT 63 /* IFLA_GSO_IPV4_MAX_SIZE, which is younger than the headers may be */

static void begin_link(struct netlink_request *request, uint16_t type, uint16_t flags, int index, unsigned on,
	unsigned mask)
{
	const struct ifinfomsg info = { .ifi_index = index, .ifi_flags = on, .ifi_change = mask };
	netlink_begin(request, type, flags, &info, sizeof(info));
}

static void put_common(struct netlink_request *request, const char *name, int netns_fd, const uint8_t *mac,
	unsigned mtu)
{
	netlink_put_text(request, IFLA_IFNAME, name);
	if (netns_fd >= 0)
		netlink_put_u32(request, IFLA_NET_NS_FD, (uint32_t)netns_fd);
	if (mac)
		netlink_put(request, IFLA_ADDRESS, mac, INET_MAC_BYTES);
	if (mtu)
		netlink_put_u32(request, IFLA_MTU, mtu);
}

static void put_peer(struct netlink_request *request, const struct link_new *link)
{
	const struct ifinfomsg info = { 0 };
	size_t nest = netlink_nest(request, VETH_INFO_PEER);
	netlink_put_raw(request, &info, sizeof(info));
	put_common(request, link->peer->name, link->peer->netns_fd, link->peer->mac, link->mtu);
	netlink_nest_end(request, nest);
}

static void put_ipvlan(struct netlink_request *request, const struct link_new *link)
{
	if (link->mode != LINK_MODE_DEFAULT)
		netlink_put_u16(request, IFLA_IPVLAN_MODE, (uint16_t)(link->mode - 1));
	if (link->flags)
		netlink_put_u16(request, IFLA_IPVLAN_FLAGS, (uint16_t)link->flags);
}

static void put_kind(struct netlink_request *request, const struct link_new *link)
{
	size_t nest = netlink_nest(request, IFLA_LINKINFO);
	netlink_put_text(request, IFLA_INFO_KIND, link->kind);
	size_t data = netlink_nest(request, IFLA_INFO_DATA);
	if (link->peer)
		put_peer(request, link);
	else if (strcmp(link->kind, "macvlan") == 0 && link->mode != LINK_MODE_DEFAULT)
		netlink_put_u32(request, IFLA_MACVLAN_MODE, link->mode - 1);
	else if (strcmp(link->kind, "ipvlan") == 0)
		put_ipvlan(request, link);
	else if (strcmp(link->kind, "vlan") == 0)
		netlink_put_u16(request, IFLA_VLAN_ID, (uint16_t)link->vlan);
	netlink_nest_end(request, data);
	netlink_nest_end(request, nest);
}

void link_put_new(struct netlink_request *request, const struct link_new *link)
{
	unsigned up = link->up ? IFF_UP : 0;
	begin_link(request, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, 0, up, up);
	put_common(request, link->name, link->netns_fd, link->mac, link->mtu);
	if (link->master)
		netlink_put_u32(request, IFLA_MASTER, (uint32_t)link->master);
	if (link->parent)
		netlink_put_u32(request, IFLA_LINK, (uint32_t)link->parent);
	put_kind(request, link);
}

void link_put_alias(struct netlink_request *request, const char *name, const char *alias)
{
	begin_link(request, RTM_NEWLINK, 0, 0, 0, 0);
	netlink_put_text(request, IFLA_IFNAME, name);
	netlink_put(request, IFLA_IFALIAS, alias, strlen(alias)); /* it wants no NUL */
}

void link_put_delete(struct netlink_request *request, int index)
{
	begin_link(request, RTM_DELLINK, 0, index, 0, 0);
}

void link_put_up(struct netlink_request *request, int index, bool up)
{
	begin_link(request, RTM_NEWLINK, 0, index, up ? IFF_UP : 0, IFF_UP);
}

void link_put_rename(struct netlink_request *request, int index, const char *name)
{
	begin_link(request, RTM_NEWLINK, 0, index, 0, 0);
	netlink_put_text(request, IFLA_IFNAME, name);
}

void link_put_mac(struct netlink_request *request, int index, const uint8_t *mac)
{
	begin_link(request, RTM_NEWLINK, 0, index, 0, 0);
	netlink_put(request, IFLA_ADDRESS, mac, INET_MAC_BYTES);
}

void link_put_move(struct netlink_request *request, int index, int netns_fd, const char *name)
{
	begin_link(request, RTM_NEWLINK, 0, index, 0, 0);
	netlink_put_u32(request, IFLA_NET_NS_FD, (uint32_t)netns_fd);
	netlink_put_text(request, IFLA_IFNAME, name);
}

void link_put_mtu(struct netlink_request *request, int index, unsigned mtu)
{
	begin_link(request, RTM_NEWLINK, 0, index, 0, 0);
	netlink_put_u32(request, IFLA_MTU, mtu);
}

void link_put_segment(struct netlink_request *request, int index, unsigned segment)
{
	begin_link(request, RTM_NEWLINK, 0, index, 0, 0);
	netlink_put_u32(request, IFLA_SEGMENT, segment);
}

static void put_port_flag(struct netlink_request *request, int index, uint16_t flag, bool on)
{
	begin_link(request, RTM_NEWLINK, 0, index, 0, 0);
	size_t nest = netlink_nest(request, IFLA_LINKINFO);
	netlink_put_text(request, IFLA_INFO_SLAVE_KIND, "bridge");
	size_t data = netlink_nest(request, IFLA_INFO_SLAVE_DATA);
	netlink_put_u8(request, flag, on);
	netlink_nest_end(request, data);
	netlink_nest_end(request, nest);
}

void link_put_isolated(struct netlink_request *request, int index, bool isolated)
{
	put_port_flag(request, index, IFLA_BRPORT_ISOLATED, isolated);
}

void link_put_hairpin(struct netlink_request *request, int index, bool hairpin)
{
	put_port_flag(request, index, IFLA_BRPORT_MODE, hairpin);
}

void link_put_port_mac(struct netlink_request *request, int index, const uint8_t *mac)
{
	const struct ndmsg info = { .ndm_family = AF_BRIDGE,
		.ndm_ifindex = index,
		.ndm_state = NUD_NOARP,
		.ndm_flags = NTF_MASTER | NTF_STICKY };
	netlink_begin(request, RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, &info, sizeof(info));
	netlink_put(request, NDA_LLADDR, mac, INET_MAC_BYTES);
}

void link_put_neighbour_delete(struct netlink_request *request, int index, const struct inet_address *address)
{
	const struct ndmsg info = { .ndm_family = address->is_v6 ? AF_INET6 : AF_INET, .ndm_ifindex = index };
	netlink_begin(request, RTM_DELNEIGH, 0, &info, sizeof(info));
	netlink_put(request, NDA_DST, address->bytes, inet_bytes(address));
}

void link_put_no_autoconf(struct netlink_request *request, int index)
{
	begin_link(request, RTM_NEWLINK, 0, index, 0, 0);
	size_t nest = netlink_nest(request, IFLA_AF_SPEC);
	size_t family = netlink_nest(request, AF_INET6);
	netlink_put_u8(request, IFLA_INET6_ADDR_GEN_MODE, IN6_ADDR_GEN_MODE_NONE);
	netlink_nest_end(request, family);
	netlink_nest_end(request, nest);
}

static void put_address(struct netlink_request *request, uint16_t type, uint16_t flags, int index,
	const struct inet_subnet *subnet)
{
	const struct inet_address *address = &subnet->address;
	const struct ifaddrmsg info = { .ifa_family = address->is_v6 ? AF_INET6 : AF_INET,
		.ifa_prefixlen = (uint8_t)subnet->prefix,
		.ifa_flags = address->is_v6 ? IFA_F_NODAD : 0,
		.ifa_index = (uint32_t)index };
	netlink_begin(request, type, flags, &info, sizeof(info));
	netlink_put(request, IFA_LOCAL, address->bytes, inet_bytes(address));
	netlink_put(request, IFA_ADDRESS, address->bytes, inet_bytes(address));
	if (type == RTM_NEWADDR && !address->is_v6 && subnet->prefix < 31) {
		struct inet_address last = inet_subnet_last(subnet);
		netlink_put(request, IFA_BROADCAST, last.bytes, inet_bytes(&last));
	}
}

void link_put_address(struct netlink_request *request, int index, const struct inet_subnet *address)
{
	put_address(request, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, index, address);
}

void link_put_address_delete(struct netlink_request *request, int index, const struct inet_subnet *address)
{
	put_address(request, RTM_DELADDR, 0, index, address);
}

void link_put_route(struct netlink_request *request, int index, const struct inet_subnet *to,
	const struct inet_address *gateway, unsigned metric)
{
	const struct rtmsg info = { .rtm_family = to->address.is_v6 ? AF_INET6 : AF_INET,
		.rtm_dst_len = (uint8_t)to->prefix,
		.rtm_table = RT_TABLE_MAIN,
		.rtm_protocol = RTPROT_BOOT,
		.rtm_scope = gateway || to->address.is_v6 ? RT_SCOPE_UNIVERSE : RT_SCOPE_LINK,
		.rtm_type = RTN_UNICAST };
	netlink_begin(request, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, &info, sizeof(info));
	if (to->prefix > 0)
		netlink_put(request, RTA_DST, to->address.bytes, inet_bytes(&to->address));
	if (gateway)
		netlink_put(request, RTA_GATEWAY, gateway->bytes, inet_bytes(gateway));
	netlink_put_u32(request, RTA_OIF, (uint32_t)index);
	if (metric)
		netlink_put_u32(request, RTA_PRIORITY, metric);
}

void link_put_default_delete(struct netlink_request *request, bool is_v6)
{
	const struct rtmsg info = {
		.rtm_family = is_v6 ? AF_INET6 : AF_INET, .rtm_table = RT_TABLE_MAIN, .rtm_scope = RT_SCOPE_NOWHERE
	};
	netlink_begin(request, RTM_DELROUTE, 0, &info, sizeof(info));
}

/* --- questions --- */

struct walk {
	link_fn *link;
	address_fn *address;
	route_fn *route;
	void *user;
};

static void copy_text(char *out, size_t size, const struct nlattr *attribute)
{
	const char *text = netlink_text(attribute);

	snprintf(out, size, "%s", text ? text : "");
}

static int read_link(const struct nlmsghdr *message, struct link_info *ret)
{
	const struct ifinfomsg *info = NLMSG_DATA(message);
	const struct nlattr *table[IFLA_SEGMENT + 1], *kind[IFLA_INFO_KIND + 1] = { 0 };
	int r = message->nlmsg_len < NLMSG_LENGTH(sizeof(*info)) ? -EBADMSG : 0;
	if (r == 0)
		r = netlink_message_attributes(message, sizeof(*info), table, IFLA_SEGMENT);
	if (r == 0 && table[IFLA_LINKINFO])
		r = netlink_attributes(netlink_data(table[IFLA_LINKINFO]), netlink_len(table[IFLA_LINKINFO]), kind,
			IFLA_INFO_KIND);
	if (r < 0)
		return r;
	*ret = (struct link_info){ .index = info->ifi_index,
		.master = (int)netlink_u32(table[IFLA_MASTER], 0),
		.parent = (int)netlink_u32(table[IFLA_LINK], 0),
		.flags = info->ifi_flags,
		.mtu = netlink_u32(table[IFLA_MTU], 0),
		.segment = netlink_u32(table[IFLA_SEGMENT], 0) };
	copy_text(ret->name, sizeof(ret->name), table[IFLA_IFNAME]);
	copy_text(ret->alias, sizeof(ret->alias), table[IFLA_IFALIAS]);
	copy_text(ret->kind, sizeof(ret->kind), kind[IFLA_INFO_KIND]);
	return 0;
}

static int take_link(const struct nlmsghdr *message, void *user)
{
	return read_link(message, user);
}

int link_find(struct netlink *netlink, const char *name, struct link_info *ret)
{
	_cleanup_(netlink_request_finish) struct netlink_request request = NETLINK_REQUEST;
	begin_link(&request, RTM_GETLINK, 0, 0, 0, 0);
	netlink_put_text(&request, IFLA_IFNAME, name);
	return netlink_get(netlink, &request, take_link, ret);
}

static int tell_link(const struct nlmsghdr *message, void *user)
{
	const struct walk *walk = user;
	struct link_info link;
	int r = message->nlmsg_type == RTM_NEWLINK ? read_link(message, &link) : -EBADMSG;
	return r < 0 ? r : walk->link(&link, walk->user);
}

int links_each(struct netlink *netlink, link_fn *fn, void *user)
{
	struct walk walk = { .link = fn, .user = user };
	int r = -EINTR;
	for (int i = 0; r == -EINTR && i < LINKS_TRIES; i++) {
		_cleanup_(netlink_request_finish) struct netlink_request request = NETLINK_REQUEST;
		begin_link(&request, RTM_GETLINK, 0, 0, 0, 0);
		r = netlink_dump(netlink, &request, tell_link, &walk);
	}
	return r;
}

/* -ENOENT: there is none. */
static int read_address(const struct nlattr *attribute, uint8_t family, struct inet_address *ret)
{
	*ret = (struct inet_address){ .is_v6 = family == AF_INET6 };
	if (!attribute)
		return -ENOENT;
	if (netlink_len(attribute) != inet_bytes(ret))
		return -EBADMSG;
	memcpy(ret->bytes, netlink_data(attribute), inet_bytes(ret));
	return 0;
}

static int tell_address(const struct nlmsghdr *message, void *user)
{
	const struct walk *walk = user;
	const struct ifaddrmsg *info = NLMSG_DATA(message);
	const struct nlattr *table[IFA_LOCAL + 1];
	struct inet_subnet subnet = { .prefix = info->ifa_prefixlen };
	if (info->ifa_family != AF_INET && info->ifa_family != AF_INET6)
		return 0;
	int r = netlink_message_attributes(message, sizeof(*info), table, IFA_LOCAL);
	if (r == 0)
		r = read_address(table[table[IFA_LOCAL] ? IFA_LOCAL : IFA_ADDRESS], info->ifa_family, &subnet.address);
	return r < 0 ? r : walk->address((int)info->ifa_index, &subnet, walk->user);
}

int addresses_each(struct netlink *netlink, address_fn *fn, void *user)
{
	_cleanup_(netlink_request_finish) struct netlink_request request = NETLINK_REQUEST;
	const struct ifaddrmsg info = { .ifa_family = AF_UNSPEC };
	struct walk walk = { .address = fn, .user = user };
	netlink_begin(&request, RTM_GETADDR, 0, &info, sizeof(info));
	return netlink_dump(netlink, &request, tell_address, &walk);
}

static int tell_route(const struct nlmsghdr *message, void *user)
{
	const struct walk *walk = user;
	const struct rtmsg *info = NLMSG_DATA(message);
	const struct nlattr *table[RTA_TABLE + 1];
	struct inet_subnet to = { .prefix = info->rtm_dst_len };
	struct inet_address gateway;
	if ((info->rtm_family != AF_INET && info->rtm_family != AF_INET6) || info->rtm_type != RTN_UNICAST)
		return 0;
	int r = netlink_message_attributes(message, sizeof(*info), table, RTA_TABLE);
	if (r < 0 || netlink_u32(table[RTA_TABLE], info->rtm_table) != RT_TABLE_MAIN)
		return r;
	r = read_address(table[RTA_DST], info->rtm_family, &to.address);
	if (r < 0 && (r != -ENOENT || to.prefix > 0))
		return r;
	r = read_address(table[RTA_GATEWAY], info->rtm_family, &gateway);
	if (r < 0 && r != -ENOENT)
		return r;
	return walk->route(&to, r == 0 ? &gateway : NULL, (int)netlink_u32(table[RTA_OIF], 0), walk->user);
}

int routes_each(struct netlink *netlink, route_fn *fn, void *user)
{
	_cleanup_(netlink_request_finish) struct netlink_request request = NETLINK_REQUEST;
	const struct rtmsg info = { .rtm_family = AF_UNSPEC };
	struct walk walk = { .route = fn, .user = user };
	netlink_begin(&request, RTM_GETROUTE, 0, &info, sizeof(info));
	return netlink_dump(netlink, &request, tell_route, &walk);
}
