#include "network/confine.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <unistd.h>

#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "base/cleanup.h"
#include "base/sanitized.h"
#include "sys/caps.h"
#include "sys/mounts.h"
#include "sys/rlimits.h"

/* Of any process with a loop, memory, a log and an end. */
static const int calls[] = {
	SYS_read,
	SYS_write, /* the log */
	SYS_close,
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
	SYS_tgkill, /* abort; musl's: the next */
	SYS_tkill,
	SYS_rt_sigaction,
	SYS_rt_sigprocmask,
	SYS_rt_sigreturn,
	SYS_restart_syscall,
	SYS_exit,
	SYS_exit_group,
};

static int enter_empty_root(void)
{
	const struct mount_option options[] = { { "size", "4k" }, { "mode", "0500" } };

	if (unshare(CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS) < 0)
		return -errno;
	_autoclose_ int root = mount_new("tmpfs", "confined", options, ARRAY_SIZE(options),
		MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC, NULL);
	return root < 0 ? root : mount_become_root(root);
}

static int set_limits(const struct confine *confine)
{
	int r = SANITIZED ? 0 : rlimit_set(RLIMIT_AS, confine->memory_bytes, confine->memory_bytes);

	if (r >= 0 && confine->files > 0)
		r = rlimit_set(RLIMIT_NOFILE, confine->files, confine->files);
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

int confine_self(const struct confine *confine)
{
	const struct seccomp_calls lists[] = { { calls, ARRAY_SIZE(calls) }, confine->calls };
	int r = enter_empty_root();

	if (r == 0)
		r = set_limits(confine);
	if (r == 0)
		r = drop_privileges();
	if (r == 0 && !SANITIZED)
		r = seccomp_allow_only(lists, ARRAY_SIZE(lists));
	return r;
}
