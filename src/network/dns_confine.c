#include "network/dns_confine.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include <sys/mount.h>
#include <sys/syscall.h>

#include "base/cleanup.h"
#include "network/confine.h"
#include "network/dns_forward.h"
#include "network/dns_names.h"
#include "network/dns_server.h"
#include "sys/mounts.h"

/* Names as text and as a table, for one network being read while others are kept; the cache; answers under way. */
#define MEMORY_BYTES (256UL * 1024 * 1024)
#define FILES_OTHERS 32
#define FILES_MAX    (DNS_EXCHANGES_MAX * DNS_SERVERS_MAX + DNS_TCP_MAX + DNS_NETWORKS_MAX + FILES_OTHERS)

static const int calls[] = {
	SYS_fstat,
	SYS_newfstatat,
	SYS_openat,
	SYS_lseek,
	SYS_recvfrom,
	SYS_recvmsg,
	SYS_recvmmsg,
	SYS_sendto,
	SYS_sendmmsg,
	SYS_sendmsg, /* musl makes many of one */
	SYS_accept4,
	SYS_connect,
	SYS_getsockopt,
};

/* Of a copy of the mount that has the folder as its root. */
static int detach_folders(int *folder_fds, size_t count)
{
	const struct mount_attrs attrs = {
		.set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC,
		.propagation = MS_PRIVATE,
	};
	for (size_t i = 0; i < count; i++) {
		_autoclose_ int copy = mount_clone(folder_fds[i], "", false);
		int r = copy < 0 ? copy : mount_change(copy, &attrs);
		if (r == 0 && dup3(copy, folder_fds[i], O_CLOEXEC) < 0)
			r = -errno;
		if (r < 0)
			return r;
	}
	return 0;
}

int dns_confine(int *folder_fds, size_t count)
{
	const struct confine confine = {
		.calls = { calls, ARRAY_SIZE(calls), .inet_sockets = true },
		.memory_bytes = MEMORY_BYTES,
		.files = FILES_MAX,
	};
	int r = detach_folders(folder_fds, count);

	return r < 0 ? r : confine_self(&confine);
}
