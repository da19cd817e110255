#include "network/dns_confine.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <unistd.h>

#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "base/cleanup.h"
#include "network/dns_forward.h"
#include "network/dns_names.h"
#include "network/dns_server.h"
#include "sys/caps.h"
#include "sys/mounts.h"
#include "sys/rlimits.h"
#include "sys/seccomp.h"

/* Names as text and as a table, for one network being read while others are kept; the cache; answers under way. */
#define MEMORY_BYTES (256UL * 1024 * 1024)
#define FILES_OTHERS 32
#define FILES_MAX    (DNS_EXCHANGES_MAX * DNS_SERVERS_MAX + DNS_TCP_MAX + DNS_NETWORKS_MAX + FILES_OTHERS)

/* A sanitizer's runtime maps terabytes and makes calls of its own. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
# define SANITIZED true
#else
# define SANITIZED false
#endif

static const int calls[] = {
	SYS_read,
	SYS_write, /* the log */
	SYS_close,
	SYS_fstat,
	SYS_newfstatat,
	SYS_openat,
	SYS_lseek,
	SYS_recvfrom,
	SYS_recvmsg,
	SYS_recvmmsg,
	SYS_sendto,
	SYS_sendmmsg,
	SYS_accept4,
	SYS_connect,
	SYS_getsockopt,
	SYS_epoll_ctl,
	SYS_epoll_pwait,
#ifdef SYS_epoll_wait
	SYS_epoll_wait,
#endif
	SYS_mmap,
	SYS_munmap,
	SYS_mremap,
	SYS_mprotect,
	SYS_madvise,
	SYS_brk,
	SYS_getrandom,
	SYS_clock_gettime,
	SYS_gettimeofday,
	SYS_getpid,
	SYS_gettid,
	SYS_tgkill, /* abort */
	SYS_rt_sigaction,
	SYS_rt_sigprocmask,
	SYS_rt_sigreturn,
	SYS_restart_syscall,
	SYS_exit,
	SYS_exit_group,
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

static int enter_empty_root(void)
{
	const struct mount_option options[] = { { "size", "4k" }, { "mode", "0500" } };

	if (unshare(CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS) < 0)
		return -errno;
	int r = mount_set_propagation_all(MS_PRIVATE);
	if (r < 0)
		return r;
	_autoclose_ int root = mount_new("tmpfs", "resolver", options, ARRAY_SIZE(options),
		MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC, NULL);
	_autoclose_ int target = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root < 0 || target < 0)
		return root < 0 ? root : -errno;
	r = mount_attach(root, target);
	return r < 0 ? r : mount_pivot(root);
}

static int set_limits(void)
{
	int r = SANITIZED ? 0 : rlimit_set(RLIMIT_AS, MEMORY_BYTES, MEMORY_BYTES);

	if (r >= 0)
		r = rlimit_set(RLIMIT_NOFILE, FILES_MAX, FILES_MAX);
	if (r >= 0)
		r = rlimit_set(RLIMIT_CORE, 0, 0);
	return r < 0 ? r : 0;
}

static int drop_privileges(void)
{
	const struct cap_sets none = { 0 };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_DUMPABLE, 0) < 0)
		return -errno;
	int r = caps_limit_bounding(0);
	return r < 0 ? r : caps_set(&none);
}

int dns_confine(int *folder_fds, size_t count)
{
	const struct seccomp_calls list = { calls, ARRAY_SIZE(calls), .inet_sockets = true };
	int r = detach_folders(folder_fds, count);

	if (r == 0)
		r = enter_empty_root();
	if (r == 0)
		r = set_limits();
	if (r == 0)
		r = drop_privileges();
	if (r == 0 && !SANITIZED)
		r = seccomp_allow_only(&list, 1);
	return r;
}
