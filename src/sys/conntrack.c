#include "sys/conntrack.h"

#include <errno.h>

#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <sys/socket.h>

/* Of CTA_FILTER's flags, which no header has: the source address counts. */
#define FILTER_SOURCE 1
/* Deleted at a time; the next dump shows what is left. */
#define FORGET_MAX 4096

struct found {
	struct netlink_request delete;
};

static void begin(struct netlink_request *request, uint16_t type, uint8_t family)
{
	const struct nfgenmsg header = { .nfgen_family = family, .version = NFNETLINK_V0 };
	netlink_begin(request, (uint16_t)(NFNL_SUBSYS_CTNETLINK << 8 | type), 0, &header, sizeof(header));
}

static int take(const struct nlmsghdr *message, void *user)
{
	struct found *found = user;
	const struct nlattr *table[CTA_MAX + 1];
	int r = netlink_message_attributes(message, sizeof(struct nfgenmsg), table, CTA_MAX);
	if (r < 0 || !table[CTA_TUPLE_ORIG] || found->delete.count >= FORGET_MAX)
		return r;
	begin(&found->delete, IPCTNL_MSG_CT_DELETE, ((const struct nfgenmsg *)NLMSG_DATA(message))->nfgen_family);
	netlink_put(&found->delete, CTA_TUPLE_ORIG | NLA_F_NESTED, netlink_data(table[CTA_TUPLE_ORIG]),
		netlink_len(table[CTA_TUPLE_ORIG]));
	if (table[CTA_ID])
		netlink_put(&found->delete, CTA_ID, netlink_data(table[CTA_ID]), netlink_len(table[CTA_ID]));
	return 0;
}

/* `tuple`: CTA_TUPLE_ORIG or CTA_TUPLE_REPLY, whose source is the address. */
static int find(struct netlink *netlink, const struct inet_address *address, uint16_t tuple, struct found *found)
{
	_cleanup_(netlink_request_finish) struct netlink_request ask = NETLINK_REQUEST;
	bool is_origin = tuple == CTA_TUPLE_ORIG;
	begin(&ask, IPCTNL_MSG_CT_GET, address->is_v6 ? AF_INET6 : AF_INET);
	size_t nest = netlink_nest(&ask, tuple);
	size_t inner = netlink_nest(&ask, CTA_TUPLE_IP);
	netlink_put(&ask, address->is_v6 ? CTA_IP_V6_SRC : CTA_IP_V4_SRC, address->bytes, inet_bytes(address));
	netlink_nest_end(&ask, inner);
	netlink_nest_end(&ask, nest);
	nest = netlink_nest(&ask, CTA_FILTER);
	netlink_put_u32(&ask, CTA_FILTER_ORIG_FLAGS, is_origin ? FILTER_SOURCE : 0);
	netlink_put_u32(&ask, CTA_FILTER_REPLY_FLAGS, is_origin ? 0 : FILTER_SOURCE);
	netlink_nest_end(&ask, nest);
	return netlink_dump(netlink, &ask, take, found);
}

int conntrack_forget(struct netlink *netlink, const struct inet_address *address)
{
	const uint16_t tuples[] = { CTA_TUPLE_ORIG, CTA_TUPLE_REPLY };
	int count = 0;
	for (size_t i = 0; i < ARRAY_SIZE(tuples); i++) {
		struct found found = { .delete = NETLINK_REQUEST };
		int r = find(netlink, address, tuples[i], &found);
		/* One that has ended meanwhile is as good as forgotten. */
		if (r >= 0 && found.delete.count > 0) {
			count += (int)found.delete.count;
			r = netlink_transact(netlink, &found.delete);
		}
		netlink_request_finish(&found.delete);
		if (r < 0 && r != -ENOENT && r != -EINTR)
			return r;
	}
	return count;
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
