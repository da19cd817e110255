#include "network/dns_door.h"

#include <errno.h>
#include <string.h>

#include <arpa/inet.h>
#include <linux/netfilter_ipv4.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <sys/socket.h>

#include "network/dns_forward.h"
#include "sys/loopback.h"
#include "sys/nftables.h"

#define BACKLOG      64
#define QUEUE_BYTES  (512 * 1024) /* of queries that came while the resolver was being started, or was busy */
#define CHAIN        "output"
#define IP_SOURCE    12
#define IP_TO        16
#define SOURCE_PORT  0
#define TO_PORT      2
#define UDP_CHECKSUM 6
#define TCP_CHECKSUM 16

static int open_one(int type, int *ret_fd, uint16_t *ret_port)
{
	const int bytes = QUEUE_BYTES;
	struct sockaddr_in address = { .sin_family = AF_INET };
	socklen_t len = sizeof(address);
	_autoclose_ int fd = socket(AF_INET, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	inet_pton(AF_INET, DNS_DOOR_ADDRESS, &address.sin_addr);
	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		return -errno;
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes));
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof(bytes));
	if ((type == SOCK_STREAM && listen(fd, BACKLOG) < 0) || getsockname(fd, (struct sockaddr *)&address, &len) < 0)
		return -errno;
	*ret_port = address.sin_port;
	*ret_fd = TAKE_FD(fd);
	return 0;
}

/* In packets whose address and port (at these offsets) are ours, another port. Ports are in the net's order. */
static void put_rule(struct nft_batch *batch, uint8_t protocol, uint32_t address_at, uint32_t port_at, uint16_t from,
	uint16_t to)
{
	struct in_addr address;

	inet_pton(AF_INET, DNS_DOOR_ADDRESS, &address);
	nft_rule_begin(batch, CHAIN);
	nft_load_payload(batch, NFT_PAYLOAD_NETWORK_HEADER, address_at, sizeof(address), 0);
	nft_compare(batch, 0, NFT_CMP_EQ, &address, sizeof(address));
	nft_load_meta(batch, NFT_META_L4PROTO, 0);
	nft_compare(batch, 0, NFT_CMP_EQ, &protocol, sizeof(protocol));
	nft_load_payload(batch, NFT_PAYLOAD_TRANSPORT_HEADER, port_at, sizeof(from), 0);
	nft_compare(batch, 0, NFT_CMP_EQ, &from, sizeof(from));
	nft_load_immediate(batch, 0, &to, sizeof(to));
	nft_store_payload(batch, NFT_PAYLOAD_TRANSPORT_HEADER, port_at, sizeof(to),
		protocol == IPPROTO_UDP ? UDP_CHECKSUM : TCP_CHECKSUM, 0);
	nft_notrack(batch);
	nft_rule_end(batch, NULL);
}

static void put_port(struct nft_batch *batch, uint8_t protocol, uint16_t port)
{
	const uint16_t known = htons(DNS_PORT);

	put_rule(batch, protocol, IP_TO, TO_PORT, known, port);
	put_rule(batch, protocol, IP_SOURCE, SOURCE_PORT, port, known);
}

static int make_table(struct netlink *netlink, uint16_t udp_port, uint16_t tcp_port, bool is_first)
{
	_cleanup_(nft_batch_finish) struct nft_batch batch;
	nft_batch_begin(&batch, NFPROTO_IPV4, DNS_DOOR_TABLE);
	if (!is_first) {
		nft_put_table(&batch);
		nft_put_table_delete(&batch);
	}
	nft_put_new_table(&batch);
	nft_put_chain(&batch, &(struct nft_chain){ .name = CHAIN,
				      .type = "filter",
				      .hook = NF_INET_LOCAL_OUT,
				      .priority = NF_IP_PRI_RAW,
				      .policy = NF_ACCEPT });
	put_port(&batch, IPPROTO_UDP, udp_port);
	put_port(&batch, IPPROTO_TCP, tcp_port);
	return nft_batch_commit(&batch, netlink);
}

/* There may be one of a resolver before us: of a container that shares the namespace, and had it first. It is deleted only then, since
 * the close of the socket waits for RCU (4 ms and more) as long as anything that was deleted is on its way out. */
static int replace_table(uint16_t udp_port, uint16_t tcp_port)
{
	struct netlink netlink = NETLINK_NONE;
	int r = netlink_open(&netlink, NETLINK_NETFILTER);
	if (r == 0)
		r = make_table(&netlink, udp_port, tcp_port, true);
	if (r == -EEXIST)
		r = make_table(&netlink, udp_port, tcp_port, false);
	netlink_close(&netlink);
	return r;
}

int dns_door_open(struct dns_door *ret)
{
	struct dns_door door = DNS_DOOR_CLOSED;
	uint16_t udp_port = 0, tcp_port = 0;
	/* Whoever else does that, and when: before, there is no such address. IP_FREEBIND is no way round, since the kernel then forgets
	 * which address datagrams are to come from. */
	int r = loopback_up();

	if (r == 0)
		r = open_one(SOCK_DGRAM, &door.udp_fd, &udp_port);
	if (r == 0)
		r = open_one(SOCK_STREAM, &door.tcp_fd, &tcp_port);
	if (r == 0)
		r = replace_table(udp_port, tcp_port);
	if (r < 0)
		dns_door_close(&door);
	else
		*ret = door;
	return r;
}

void dns_door_close(struct dns_door *door)
{
	fd_close(&door->udp_fd);
	fd_close(&door->tcp_fd);
}
