#include "worker/confine.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <linux/capability.h>
#include <linux/landlock.h>
#include <linux/sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "base/cleanup.h"
#include "base/sanitized.h"
#include "sys/caps.h"
#include "sys/mounts.h"
#include "sys/seccomp.h"
#include "worker/limits.h"

#define CONFINE_NAMESPACES (CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS)
#define CHILD_NOFILE       128

/* ---- system calls */

static const int calls_always[] = {
	SYS_read,
	SYS_readv,
	SYS_pread64,
	SYS_write,
	SYS_writev,
	SYS_close,
	SYS_lseek,
	SYS_fstat,
	SYS_fcntl,
	SYS_mmap,
	SYS_munmap,
	SYS_mremap,
	SYS_mprotect,
	SYS_madvise,
	SYS_brk,
	SYS_futex,
	SYS_getrandom,
	SYS_clock_gettime,
	SYS_gettimeofday,
	SYS_getpid,
	SYS_gettid,
	SYS_tgkill,
	SYS_rt_sigaction,
	SYS_rt_sigprocmask,
	SYS_rt_sigreturn,
	SYS_sched_yield,
	SYS_restart_syscall,
	SYS_exit,
	SYS_exit_group,
	SYS_newfstatat,
};

static const int calls_reading[] = {
	SYS_openat,
	SYS_openat2,
	SYS_readlinkat,
	SYS_statx,
	SYS_getdents64,
	SYS_fgetxattr,
	SYS_flistxattr,
	SYS_dup,
	SYS_umask,
};

static const int calls_writing[] = {
	SYS_pwrite64,
	SYS_ftruncate,
	SYS_fallocate,
	SYS_mkdirat,
	SYS_mknodat,
	SYS_symlinkat,
	SYS_linkat,
	SYS_unlinkat,
	SYS_renameat2,
	SYS_fchown,
	SYS_fchownat,
	SYS_fchmod,
	SYS_fchmodat,
	SYS_fsetxattr,
	SYS_utimensat,
	SYS_faccessat,
};

static int limit_calls(const struct confine *confine)
{
	const struct seccomp_calls lists[] = {
		{ calls_always, ARRAY_SIZE(calls_always) },
		{ calls_reading, confine->reads || confine->writable ? ARRAY_SIZE(calls_reading) : 0 },
		{ calls_writing, confine->writable ? ARRAY_SIZE(calls_writing) : 0 },
	};

	return seccomp_allow_only(lists, ARRAY_SIZE(lists));
}

/* ---- limits, capabilities, Landlock */

static int limit_one(__rlimit_resource_t resource, rlim_t value)
{
	struct rlimit limit;

	if (getrlimit(resource, &limit) < 0)
		return -errno;
	/* Lowering needs no right; a lower one than ours stays. */
	if (limit.rlim_max > value)
		limit.rlim_max = value;
	limit.rlim_cur = limit.rlim_max;
	return setrlimit(resource, &limit) < 0 ? -errno : 0;
}

static int limit_resources(const struct confine *confine)
{
	int r = SANITIZED ? 0 : limit_one(RLIMIT_AS, LIMIT_CHILD_MEMORY);

	if (r == 0)
		r = limit_one(RLIMIT_CPU, LIMIT_CHILD_CPU_S);
	if (r == 0)
		r = limit_one(RLIMIT_CORE, 0);
	if (r == 0)
		r = limit_one(RLIMIT_NOFILE, confine->files_max > 0 ? (rlim_t)confine->files_max : CHILD_NOFILE);
	return r;
}

static int limit_capabilities(uint64_t keep)
{
	struct cap_sets sets = { .effective = keep, .permitted = keep };
	int r = caps_limit_bounding(keep);

	return r < 0 ? r : caps_set(&sets);
}

/* Below ABI 2, Landlock forbids every link across folders, which layers need: then there is none. */
static int limit_to_root(int root_fd, bool writable)
{
	uint64_t writing = LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR |
			   LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_DIR |
			   LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_FIFO | LANDLOCK_ACCESS_FS_MAKE_BLOCK |
			   LANDLOCK_ACCESS_FS_MAKE_SYM | LANDLOCK_ACCESS_FS_REFER;
	uint64_t reading = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR;
	struct landlock_ruleset_attr ruleset = {
		.handled_access_fs = writing | reading | LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_MAKE_SOCK,
	};
	struct landlock_path_beneath_attr rule = {
		.allowed_access = reading | (writable ? writing : 0),
		.parent_fd = root_fd,
	};
	_autoclose_ int fd = -1;

	if (syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION) < 2)
		return 0;
	fd = (int)syscall(SYS_landlock_create_ruleset, &ruleset, sizeof(ruleset), 0);
	if (fd < 0)
		return -errno;
	if (syscall(SYS_landlock_add_rule, fd, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) < 0)
		return -errno;
	return syscall(SYS_landlock_restrict_self, fd, 0) < 0 ? -errno : 0;
}

/* ---- the child */

/* fds[n] becomes n; sources among 0 to 2 are moved out of the way first. `root_fd` becomes 3, what is held 4, and nothing else
 * stays. */
static int keep_descriptors(const struct confine *confine, int *root_fd)
{
	int moved[3], root, held = -1;

	for (int i = 0; i < 3; i++) {
		moved[i] = confine->fds[i] < 0 ? open("/dev/null", O_RDWR | O_CLOEXEC)
					       : fcntl(confine->fds[i], F_DUPFD_CLOEXEC, 8);
		if (moved[i] < 0)
			return -errno;
	}
	root = fcntl(*root_fd, F_DUPFD_CLOEXEC, 8);
	if (root < 0)
		return -errno;
	for (int i = 0; i < 3; i++)
		if (dup2(moved[i], i) < 0)
			return -errno;
	if (confine->hold_fd > 0 && (held = fcntl(confine->hold_fd, F_DUPFD_CLOEXEC, 8)) < 0)
		return -errno;
	if (dup3(root, 3, O_CLOEXEC) < 0 || (held >= 0 && dup3(held, 4, O_CLOEXEC) < 0))
		return -errno;
	if (close_range(held >= 0 ? 5 : 4, ~0U, 0) < 0)
		return -errno;
	*root_fd = 3;
	return 0;
}

static int shut_in(const struct confine *confine, int root_fd)
{
	int r;

	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || prctl(PR_SET_DUMPABLE, 0) < 0)
		return -errno;
	r = keep_descriptors(confine, &root_fd);
	if (r == 0)
		r = mount_become_root(root_fd);
	if (r == 0)
		r = limit_resources(confine);
	if (r == 0)
		r = prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ? -errno : 0;
	if (r == 0)
		r = limit_to_root(root_fd, confine->writable);
	if (r == 0)
		r = limit_capabilities(confine->caps);
	fd_close(&root_fd);
	if (r == 0 && !SANITIZED)
		r = limit_calls(confine);
	return r;
}

static void reset_signals(void)
{
	sigset_t none;

	for (int signo = 1; signo < NSIG; signo++)
		signal(signo, signo == SIGPIPE ? SIG_IGN : SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

static _Noreturn void child(const struct confine *confine, int root_fd)
{
	reset_signals();
	if (shut_in(confine, root_fd) < 0)
		_exit(CONFINE_FAILED_STATUS);
	_exit(confine->run(confine->data));
}

/* The root as a mount of its own, with its attributes before anybody can enter it. */
static int root_clone(const struct confine *confine)
{
	struct mount_attrs attrs = {
		.set = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC |
		       (confine->writable ? 0 : (uint64_t)MOUNT_ATTR_RDONLY),
		.propagation = MS_PRIVATE,
		.recursive = confine->whole,
	};
	_autoclose_ int fd = mount_clone(confine->root_fd, "", confine->whole);
	int r;

	if (fd < 0)
		return fd;
	r = mount_change(fd, &attrs);
	return r < 0 ? r : TAKE_FD(fd);
}

/* A filter of system calls can't tell one descriptor from another, so what only reads must not be able to write. */
static bool is_readonly(int fd)
{
	int flags = fd < 0 ? O_RDONLY : fcntl(fd, F_GETFL);

	return flags >= 0 && (flags & O_ACCMODE) == O_RDONLY;
}

pid_t confine_start(const struct confine *confine)
{
	struct clone_args args = { .flags = CONFINE_NAMESPACES, .exit_signal = SIGCHLD };
	_autoclose_ int root_fd = -1;
	long pid;

	if (!is_readonly(confine->fds[0]))
		return -EINVAL;
	root_fd = root_clone(confine);
	if (root_fd < 0)
		return root_fd;
	/* As fork: no stack of its own, so the child goes on here with a copy of everything. */
	pid = syscall(SYS_clone3, &args, sizeof(args));
	if (pid < 0)
		return -errno;
	if (pid == 0)
		child(confine, root_fd);
	return (pid_t)pid;
}

int confine_wait(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -ECANCELED;
}

void confine_kill(pid_t pid)
{
	kill(pid, SIGKILL);
	(void)confine_wait(pid);
}
