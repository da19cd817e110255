#include "sys/loopback.h"

#include <errno.h>

#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sys/socket.h>

#include "sys/bare_call.h"

#define LOOPBACK_INDEX 1 /* in every network namespace */

struct link_request {
	struct nlmsghdr header;
	struct ifinfomsg info;
};

struct ack {
	struct nlmsghdr header;
	struct nlmsgerr error;
};

static int ask(int fd)
{
	const struct link_request request = {
		.header = { .nlmsg_len = sizeof(request),
			.nlmsg_type = RTM_NEWLINK,
			.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK },
		.info = { .ifi_family = AF_UNSPEC,
			.ifi_index = LOOPBACK_INDEX,
			.ifi_flags = IFF_UP,
			.ifi_change = IFF_UP },
	};
	struct ack ack;
	long r = bare_call(__NR_write, fd, (long)&request, sizeof(request), 0);

	if (r >= 0)
		r = bare_call(__NR_read, fd, (long)&ack, sizeof(ack), 0);
	if (r < 0)
		return (int)r;
	if ((size_t)r < sizeof(ack) || ack.header.nlmsg_type != NLMSG_ERROR)
		return -EPROTO;
	return ack.error.error;
}

int loopback_up_by(int *ret_socket)
{
	long fd = bare_call(__NR_socket, AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE, 0);

	if (fd < 0)
		return (int)fd;
	int r = ask((int)fd);
	if (r < 0)
		bare_call(__NR_close, fd, 0, 0, 0);
	else
		*ret_socket = (int)fd;
	return r;
}

int loopback_up(void)
{
	int fd;
	int r = loopback_up_by(&fd);

	if (r == 0)
		bare_call(__NR_close, fd, 0, 0, 0);
	return r;
}
