#include "sys/nflog.h"

#include <endian.h>
#include <errno.h>
#include <string.h>

#include <linux/in.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_log.h>
#include <sys/socket.h>

#define IPV4_HEADER_MIN 20
#define IPV6_HEADER     40

int nflog_open(struct netlink *netlink, uint16_t group)
{
	_cleanup_(netlink_request_finish) struct netlink_request request = NETLINK_REQUEST;
	const struct nfgenmsg header = { .version = NFNETLINK_V0, .res_id = htobe16(group) };
	const struct nfulnl_msg_config_cmd bind = { NFULNL_CFG_CMD_BIND };
	const struct nfulnl_msg_config_mode mode = { .copy_range = htobe32(NFLOG_BYTES),
		.copy_mode = NFULNL_COPY_PACKET };
	int r = netlink_open(netlink, NETLINK_NETFILTER);
	if (r < 0)
		return r;
	netlink_begin(&request, NFNL_SUBSYS_ULOG << 8 | NFULNL_MSG_CONFIG, 0, &header, sizeof(header));
	netlink_put(&request, NFULA_CFG_CMD, &bind, sizeof(bind));
	netlink_begin(&request, NFNL_SUBSYS_ULOG << 8 | NFULNL_MSG_CONFIG, 0, &header, sizeof(header));
	netlink_put(&request, NFULA_CFG_MODE, &mode, sizeof(mode));
	netlink_put_be32(&request, NFULA_CFG_QTHRESH, 1);
	r = netlink_transact(netlink, &request);
	if (r < 0)
		netlink_close(netlink);
	return r;
}

static uint16_t get16(const uint8_t *at)
{
	return (uint16_t)(at[0] << 8 | at[1]);
}

static bool has_ports(uint8_t protocol)
{
	return protocol == IPPROTO_TCP || protocol == IPPROTO_UDP || protocol == IPPROTO_SCTP;
}

int nflog_packet_parse(const uint8_t *data, size_t len, struct nflog_packet *ret)
{
	size_t header = len > 0 && data[0] >> 4 == 4 ? (data[0] & 15U) * 4 : IPV6_HEADER;
	bool is_v6 = len > 0 && data[0] >> 4 == 6;
	if (len == 0 || (!is_v6 && data[0] >> 4 != 4) || header < IPV4_HEADER_MIN || header > len)
		return -EBADMSG;
	*ret = (struct nflog_packet){
		.source.is_v6 = is_v6, .destination.is_v6 = is_v6, .protocol = data[is_v6 ? 6 : 9]
	};
	size_t bytes = inet_bytes(&ret->source), at = is_v6 ? 8 : 12;
	memcpy(ret->source.bytes, data + at, bytes);
	memcpy(ret->destination.bytes, data + at + bytes, bytes);
	if (has_ports(ret->protocol) && len - header >= 4)
		ret->port = get16(data + header + 2);
	return 0;
}

struct reading {
	nflog_fn *fn;
	void *user;
};

static int take(const struct nlmsghdr *message, void *user)
{
	const struct reading *reading = user;
	const struct nlattr *table[NFULA_MAX + 1];
	struct nflog_packet packet;
	if (message->nlmsg_type != (NFNL_SUBSYS_ULOG << 8 | NFULNL_MSG_PACKET) ||
		netlink_message_attributes(message, sizeof(struct nfgenmsg), table, NFULA_MAX) < 0)
		return 0;
	const struct nlattr *payload = table[NFULA_PAYLOAD];
	const char *prefix = netlink_text(table[NFULA_PREFIX]);
	if (payload && nflog_packet_parse(netlink_data(payload), netlink_len(payload), &packet) == 0)
		reading->fn(&packet, prefix ? prefix : "", reading->user);
	return 0;
}

int nflog_read(struct netlink *netlink, nflog_fn *fn, void *user)
{
	struct reading reading = { fn, user };
	for (;;) {
		int r = netlink_read(netlink, take, &reading);
		if (r < 0 && r != -ENOBUFS) /* some was lost: there was too much of it */
			return r == -EAGAIN ? 0 : r;
	}
}
