#include "sys/port_holder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <linux/inet_diag.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

#include "base/io.h"
#include "base/parse.h"
#include "sys/netlink.h"

struct wanted {
	const struct inet_address *host;
	uint16_t port;
	uint32_t inode; /* 0: not found */
};

static bool is_any(const struct inet_address *address)
{
	return inet_equal(address, &(struct inet_address){ .is_v6 = address->is_v6 });
}

/* "::" may be all of IPv4 too, and who has it is told of either way. */
static int look_at(const struct nlmsghdr *message, void *user)
{
	struct wanted *wanted = user;
	const struct inet_diag_msg *found = NLMSG_DATA(message);
	struct inet_address own = { 0 };
	if (message->nlmsg_len < NLMSG_LENGTH(sizeof(*found)))
		return -EBADMSG;
	own.is_v6 = found->idiag_family == AF_INET6;
	memcpy(own.bytes, found->id.idiag_src, inet_bytes(&own));
	if (be16toh(found->id.idiag_sport) == wanted->port &&
		(is_any(&own) || is_any(wanted->host) || inet_equal(&own, wanted->host)))
		wanted->inode = found->idiag_inode;
	return 0;
}

static int ask(struct netlink *netlink, uint8_t family, int protocol, netlink_answer_fn *fn, void *user)
{
	_cleanup_(netlink_request_finish) struct netlink_request request = NETLINK_REQUEST;
	const struct inet_diag_req_v2 header = { .sdiag_family = family,
		.sdiag_protocol = (uint8_t)protocol,
		.idiag_states = protocol == IPPROTO_TCP ? 1U << TCP_LISTEN : ~0U };
	netlink_begin(&request, SOCK_DIAG_BY_FAMILY, 0, &header, sizeof(header));
	return netlink_dump(netlink, &request, fn, user);
}

static int find_socket(int protocol, struct wanted *wanted)
{
	const uint8_t families[] = { AF_INET, AF_INET6 };
	_cleanup_(netlink_close) struct netlink netlink = NETLINK_NONE;
	int r = netlink_open(&netlink, NETLINK_SOCK_DIAG);
	for (size_t i = 0; r == 0 && wanted->inode == 0 && i < ARRAY_SIZE(families); i++)
		r = ask(&netlink, families[i], protocol, look_at, wanted);
	return r < 0 ? r : wanted->inode ? 0 : -ENOENT;
}

/* --- whose it is --- */

static bool has_open(int proc_fd, const char *pid, uint32_t inode)
{
	char path[280], wanted[32], text[64];
	snprintf(path, sizeof(path), "%s/fd", pid);
	snprintf(wanted, sizeof(wanted), "socket:[%u]", inode);
	int fd = openat(proc_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	bool found = false;
	if (!dir) {
		fd_close(&fd);
		return false;
	}
	for (struct dirent *entry; !found && (entry = readdir(dir));) {
		ssize_t n = readlinkat(dirfd(dir), entry->d_name, text, sizeof(text) - 1);
		text[n > 0 ? n : 0] = '\0';
		found = strcmp(text, wanted) == 0;
	}
	closedir(dir);
	return found;
}

static void read_name(int proc_fd, const char *pid, char name[16])
{
	_cleanup_(buf_finish) struct buf text = BUF_INIT(64);
	char path[280];
	snprintf(path, sizeof(path), "%s/comm", pid);
	_autoclose_ int fd = openat(proc_fd, path, O_RDONLY | O_CLOEXEC);
	name[0] = '\0';
	if (fd >= 0 && io_read_all(fd, &text) == 0 && text.data)
		snprintf(name, 16, "%.*s", (int)strcspn(text.data, "\n"), text.data);
}

int port_holder_find(int protocol, const struct inet_address *host, uint16_t port, struct port_holder *ret)
{
	struct wanted wanted = { .host = host, .port = port };
	int r = find_socket(protocol, &wanted);
	DIR *proc = r < 0 ? NULL : opendir("/proc");
	if (!proc)
		return r < 0 ? r : -errno;
	r = -ENOENT;
	for (struct dirent *entry; r == -ENOENT && (entry = readdir(proc));) {
		uint64_t pid;
		if (parse_u64(entry->d_name, INT32_MAX, &pid) < 0 ||
			!has_open(dirfd(proc), entry->d_name, wanted.inode))
			continue;
		ret->pid = (pid_t)pid;
		read_name(dirfd(proc), entry->d_name, ret->name);
		r = 0;
	}
	closedir(proc);
	return r;
}

/* --- in a namespace --- */

struct served {
	const struct inet_address *own;
	uint16_t port;
	bool is_there, is_elsewhere;
};

static int look_whether_served(const struct nlmsghdr *message, void *user)
{
	struct served *served = user;
	const struct inet_diag_msg *found = NLMSG_DATA(message);
	struct inet_address bound = { 0 };
	if (message->nlmsg_len < NLMSG_LENGTH(sizeof(*found)))
		return -EBADMSG;
	bound.is_v6 = found->idiag_family == AF_INET6;
	memcpy(bound.bytes, found->id.idiag_src, inet_bytes(&bound));
	if (be16toh(found->id.idiag_sport) != served->port)
		return 0;
	/* "::" mostly serves IPv4 too. */
	if (inet_equal(&bound, served->own) || (is_any(&bound) && (bound.is_v6 || !served->own->is_v6)))
		served->is_there = true;
	else
		served->is_elsewhere = true;
	return 0;
}

int port_is_served(int netns_fd, int protocol, const struct inet_address *own, uint16_t port)
{
	const uint8_t families[] = { AF_INET, AF_INET6 };
	_cleanup_(netlink_close) struct netlink netlink = NETLINK_NONE;
	struct served served = { .own = own, .port = port };
	int r = netlink_open_in(&netlink, NETLINK_SOCK_DIAG, netns_fd);
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(families); i++)
		r = ask(&netlink, families[i], protocol, look_whether_served, &served);
	if (r < 0)
		return r == -ENOENT ? -EPROTONOSUPPORT : r;
	return served.is_there ? 0 : served.is_elsewhere ? -EADDRNOTAVAIL : -ENOENT;
}
