#include "monitor/port_owner.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <netinet/in.h>
#include <sys/file.h>

#include "base/io.h"
#include "monitor/monitor.h"
#include "network/table.h"
#include "sys/port_holder.h"

#define NAME_MAX_SIZE 256
/* Dead containers at a time. */
#define CLEARED_MAX 64

struct neighbour {
	char name[NAME_MAX_SIZE];
	bool lives; /* its monitor does */
};

static DIR *open_containers(const struct monitor *monitor)
{
	int fd = openat(monitor->run_fd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	if (!dir)
		fd_close(&fd);
	return dir;
}

static bool is_locked(int folder_fd)
{
	_autoclose_ int fd = openat(folder_fd, "monitor.lock", O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	return fd >= 0 && flock(fd, LOCK_SH | LOCK_NB) < 0;
}

static void look_into(int folder_fd, struct neighbour *ret)
{
	_cleanup_(buf_finish) struct buf text = BUF_INIT(LAUNCH_MAX);
	struct launch launch;
	ret->lives = is_locked(folder_fd);
	if (io_read_file(folder_fd, "launch.json", &text) < 0 ||
		launch_parse(text.data ?: "", text.len, &launch, NULL) < 0)
		return;
	if (launch.name && launch.name[0])
		snprintf(ret->name, sizeof(ret->name), "%s", launch.name);
	launch_finish(&launch);
}

/* By the beginning of its ID, which is its name too if nothing else is known. */
static void find_neighbour(const struct monitor *monitor, const char *owner, struct neighbour *ret)
{
	DIR *dir = open_containers(monitor);
	*ret = (struct neighbour){ 0 };
	snprintf(ret->name, sizeof(ret->name), "%s", owner);
	for (struct dirent *entry; dir && (entry = readdir(dir));) {
		if (strncmp(entry->d_name, owner, strlen(owner)) != 0)
			continue;
		_autoclose_ int fd = openat(dirfd(dir), entry->d_name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (fd >= 0)
			look_into(fd, ret);
		break;
	}
	if (dir)
		closedir(dir);
}

static void add(struct err **reterr, const char *what, const char *name)
{
	_autofree_(err) struct err *said = *reterr;
	*reterr = NULL;
	err_set(reterr, said->kind, said->errnum, "%s (by %s%s)", said->message, what, name);
}

static const char *proto_of(const struct published_socket *socket)
{
	return socket->protocol == IPPROTO_SCTP ? "sctp" : socket->type == SOCK_DGRAM ? "udp" : "tcp";
}

void port_owner_tell(const struct monitor *monitor, const struct published_socket *refused, struct err **reterr)
{
	char host[INET_TEXT_SIZE], table[TABLE_NAME_SIZE], owner[TABLE_OWNER_SIZE];
	struct lease_port port = {
		.proto = (char *)proto_of(refused), .host_ip = host, .host_port = refused->host_port, .count = 1
	};
	const struct lease_endpoint endpoint = { .driver = (char *)"bridge", .ports = &port, .port_count = 1 };
	_cleanup_(netlink_close) struct netlink netlink = NETLINK_NONE;
	struct port_holder holder;
	if (!reterr || !*reterr || (*reterr)->errnum != EADDRINUSE || refused->host_port == 0)
		return;
	inet_print(&refused->host, host);
	table_name(monitor->options.exec_root, table);
	if (netlink_open(&netlink, NETLINK_NETFILTER) == 0 &&
		table_port_owner(&netlink, table, &endpoint, 1, NULL, owner) == 0) {
		struct neighbour neighbour;
		find_neighbour(monitor, owner, &neighbour);
		add(reterr, "container ", neighbour.name);
	} else if (port_holder_find(refused->type == SOCK_DGRAM ? IPPROTO_UDP : IPPROTO_TCP, &refused->host,
			   refused->host_port, &holder) == 0) {
		char who[64];
		snprintf(who, sizeof(who), "%s, process %d", holder.name, (int)holder.pid);
		add(reterr, "", who);
	}
}

int port_owner_clear(const struct monitor *monitor, struct netlink *netlink, const char *table, const char *own,
	bool is_new, const struct launch_network *network, struct err **reterr)
{
	char owner[TABLE_OWNER_SIZE];
	struct neighbour neighbour;
	for (int i = 0; i < CLEARED_MAX; i++) {
		int r = table_port_owner(netlink, table, network->endpoints, network->endpoint_count,
			is_new ? NULL : own, owner);
		if (r < 0)
			return r == -ENOENT && i > 0 ? 0
						     : err_errno(reterr, r, "cannot see whose ports are in the table");
		find_neighbour(monitor, owner, &neighbour);
		if (neighbour.lives && strcmp(owner, own) != 0)
			break;
		r = table_owner_remove(netlink, table, owner, reterr);
		if (r < 0)
			return r;
	}
	return err_set(reterr, ERR_CONFLICT, EADDRINUSE,
		"driver failed programming external connectivity: port is already allocated (by container %s)",
		neighbour.name);
}
