#include "sys/conntrack.h"

#include <errno.h>
#include <string.h>

#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <sys/socket.h>

/* Of CTA_FILTER's flags, which no header has: the source address counts. */
#define FILTER_SOURCE 1
/* Deleted at a time; the next dump shows what is left. */
#define FORGET_MAX 4096

/* So many times FORGET_MAX are more connections than a kernel remembers. */
#define ROUNDS_MAX 1024

struct found {
	struct netlink_request delete;
	const struct inet_address *address;
	uint16_t tuple;   /* CTA_TUPLE_ORIG or CTA_TUPLE_REPLY, whose source the address is */
	conntrack_fn *fn; /* NULL: all */
	void *user;
};

static void begin(struct netlink_request *request, uint16_t type, uint8_t family)
{
	const struct nfgenmsg header = { .nfgen_family = family, .version = NFNETLINK_V0 };
	netlink_begin(request, (uint16_t)(NFNL_SUBSYS_CTNETLINK << 8 | type), 0, &header, sizeof(header));
}

/* One direction: where it comes from and where it goes. */
struct tuple {
	struct inet_address from;
	struct conntrack_place to;
};

static int read_address(const struct nlattr *v4, const struct nlattr *v6, struct inet_address *ret)
{
	const struct nlattr *text = v6 ? v6 : v4;
	*ret = (struct inet_address){ .is_v6 = v6 };
	if (!text || netlink_len(text) != inet_bytes(ret))
		return -EBADMSG;
	memcpy(ret->bytes, netlink_data(text), netlink_len(text));
	return 0;
}

static int read_tuple(const struct nlattr *attribute, struct tuple *ret)
{
	const struct nlattr *parts[CTA_TUPLE_MAX + 1], *ip[CTA_IP_MAX + 1], *proto[CTA_PROTO_MAX + 1];
	int r = netlink_attributes(netlink_data(attribute), netlink_len(attribute), parts, CTA_TUPLE_MAX);
	if (r < 0 || !parts[CTA_TUPLE_IP] || !parts[CTA_TUPLE_PROTO])
		return r < 0 ? r : -EBADMSG;
	r = netlink_attributes(netlink_data(parts[CTA_TUPLE_IP]), netlink_len(parts[CTA_TUPLE_IP]), ip, CTA_IP_MAX);
	if (r == 0)
		r = netlink_attributes(netlink_data(parts[CTA_TUPLE_PROTO]), netlink_len(parts[CTA_TUPLE_PROTO]), proto,
			CTA_PROTO_MAX);
	if (r == 0)
		r = read_address(ip[CTA_IP_V4_SRC], ip[CTA_IP_V6_SRC], &ret->from);
	if (r == 0)
		r = read_address(ip[CTA_IP_V4_DST], ip[CTA_IP_V6_DST], &ret->to.address);
	if (r < 0 || !proto[CTA_PROTO_NUM] || netlink_len(proto[CTA_PROTO_NUM]) < 1)
		return r < 0 ? r : -EBADMSG;
	ret->to.protocol = *(const uint8_t *)netlink_data(proto[CTA_PROTO_NUM]);
	ret->to.port = 0;
	if (proto[CTA_PROTO_DST_PORT] && netlink_len(proto[CTA_PROTO_DST_PORT]) == 2) {
		const uint8_t *port = netlink_data(proto[CTA_PROTO_DST_PORT]);
		ret->to.port = (uint16_t)(port[0] << 8 | port[1]);
	}
	return 0;
}

static int take(const struct nlmsghdr *message, void *user)
{
	struct found *found = user;
	struct tuple tuple;
	const struct nlattr *table[CTA_MAX + 1];
	int r = netlink_message_attributes(message, sizeof(struct nfgenmsg), table, CTA_MAX);
	if (r < 0 || !table[CTA_TUPLE_ORIG] || !table[found->tuple] || found->delete.count >= FORGET_MAX)
		return r;
	r = read_tuple(table[found->tuple], &tuple);
	if (r < 0 || !inet_equal(&tuple.from, found->address) || (found->fn && !found->fn(&tuple.to, found->user)))
		return r;
	begin(&found->delete, IPCTNL_MSG_CT_DELETE, ((const struct nfgenmsg *)NLMSG_DATA(message))->nfgen_family);
	netlink_put(&found->delete, CTA_TUPLE_ORIG | NLA_F_NESTED, netlink_data(table[CTA_TUPLE_ORIG]),
		netlink_len(table[CTA_TUPLE_ORIG]));
	if (table[CTA_ID])
		netlink_put(&found->delete, CTA_ID, netlink_data(table[CTA_ID]), netlink_len(table[CTA_ID]));
	return 0;
}

/* Only for the sake of speed, and what comes is looked at here: an IPv6 address in a filter does not find its connections (seen with
 * Linux 6.18), so there is none for it. */
static void put_filter(struct netlink_request *ask, const struct found *found)
{
	bool is_origin = found->tuple == CTA_TUPLE_ORIG;
	if (found->address->is_v6)
		return;
	size_t nest = netlink_nest(ask, found->tuple);
	size_t inner = netlink_nest(ask, CTA_TUPLE_IP);
	netlink_put(ask, CTA_IP_V4_SRC, found->address->bytes, inet_bytes(found->address));
	netlink_nest_end(ask, inner);
	netlink_nest_end(ask, nest);
	nest = netlink_nest(ask, CTA_FILTER);
	netlink_put_u32(ask, CTA_FILTER_ORIG_FLAGS, is_origin ? FILTER_SOURCE : 0);
	netlink_put_u32(ask, CTA_FILTER_REPLY_FLAGS, is_origin ? 0 : FILTER_SOURCE);
	netlink_nest_end(ask, nest);
}

static int find(struct netlink *netlink, struct found *found)
{
	_cleanup_(netlink_request_finish) struct netlink_request ask = NETLINK_REQUEST;
	begin(&ask, IPCTNL_MSG_CT_GET, found->address->is_v6 ? AF_INET6 : AF_INET);
	put_filter(&ask, found);
	return netlink_dump(netlink, &ask, take, found);
}

/* Returns how many. */
static int forget(struct netlink *netlink, const struct inet_address *address, uint16_t tuple, conntrack_fn *fn,
	void *user)
{
	struct found found = { NETLINK_REQUEST, address, tuple, fn, user };
	int r = find(netlink, &found), count = (int)found.delete.count;
	/* One that has ended meanwhile is as good as forgotten. */
	if (r >= 0 && count > 0)
		r = netlink_transact(netlink, &found.delete);
	netlink_request_finish(&found.delete);
	return r < 0 && r != -ENOENT && r != -EINTR ? r : count;
}

int conntrack_forget(struct netlink *netlink, const struct inet_address *address)
{
	int began = forget(netlink, address, CTA_TUPLE_ORIG, NULL, NULL);
	int sent = began < 0 ? began : forget(netlink, address, CTA_TUPLE_REPLY, NULL, NULL);
	return sent < 0 ? sent : began + sent;
}

int conntrack_forget_some(struct netlink *netlink, const struct inet_address *address, conntrack_fn *fn, void *user)
{
	int count = 0, round = 0, r;
	do {
		r = forget(netlink, address, CTA_TUPLE_ORIG, fn, user);
		count += r > 0 ? r : 0;
	} while (r >= FORGET_MAX && ++round < ROUNDS_MAX);
	return r < 0 ? r : count;
}

static int take_count(const struct nlmsghdr *message, void *user)
{
	const struct nlattr *table[CTA_STATS_GLOBAL_MAX + 1];
	uint32_t *count = user;
	int r = netlink_message_attributes(message, sizeof(struct nfgenmsg), table, CTA_STATS_GLOBAL_MAX);
	if (r == 0)
		*count = netlink_u32(table[CTA_STATS_GLOBAL_ENTRIES], 1); /* of either order, 0 is 0 */
	return r;
}

bool conntrack_is_empty(struct netlink *netlink)
{
	_cleanup_(netlink_request_finish) struct netlink_request ask = NETLINK_REQUEST;
	uint32_t count = 1;
	begin(&ask, IPCTNL_MSG_CT_GET_STATS, AF_UNSPEC);
	return netlink_get(netlink, &ask, take_count, &count) == 0 && count == 0;
}
