/* Which process has a port of this network namespace: for messages. By sock_diag, and by looking through /proc. */
#pragma once

#include <stdint.h>

#include <sys/types.h>

#include "base/inet.h"

struct port_holder {
	pid_t pid;
	char name[16]; /* the kernel's, of its program */
};

/* `protocol`: IPPROTO_TCP (who listens), IPPROTO_UDP (who is bound). 0; -ENOENT: nobody that can be seen; -errno. */
int port_holder_find(int protocol, const struct inet_address *host, uint16_t port, struct port_holder *ret);
/* Whether somebody in that network namespace answers at `own`:`port`. 0; -EADDRNOTAVAIL: only at other addresses, such as
 * 127.0.0.1; -ENOENT: nobody; -ENOTRECOVERABLE as of netlink_open_in; -errno (a kernel that can't tell, of sctp). */
int port_is_served(int netns_fd, int protocol, const struct inet_address *own, uint16_t port);
