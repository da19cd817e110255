#include "sys/loopback.h"

#include <errno.h>
#include <unistd.h>

#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sys/socket.h>

#include "base/cleanup.h"

#define LOOPBACK_INDEX 1 /* in every network namespace */

struct link_request {
	struct nlmsghdr header;
	struct ifinfomsg info;
};

struct ack {
	struct nlmsghdr header;
	struct nlmsgerr error;
};

int loopback_up(void)
{
	struct link_request request = {
		.header = { .nlmsg_len = sizeof(request),
			.nlmsg_type = RTM_NEWLINK,
			.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK },
		.info = { .ifi_family = AF_UNSPEC,
			.ifi_index = LOOPBACK_INDEX,
			.ifi_flags = IFF_UP,
			.ifi_change = IFF_UP },
	};
	struct ack ack;
	_autoclose_ int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);

	if (fd < 0 || send(fd, &request, sizeof(request), 0) < 0)
		return -errno;
	ssize_t len = recv(fd, &ack, sizeof(ack), 0);
	if (len < 0)
		return -errno;
	if ((size_t)len < sizeof(ack) || ack.header.nlmsg_type != NLMSG_ERROR)
		return -EPROTO;
	return ack.error.error;
}
