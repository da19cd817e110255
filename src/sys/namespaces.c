#include "sys/namespaces.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <linux/nsfs.h>
#include <linux/sched.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "base/cleanup.h"
#include "base/sanitized.h"
#include "sys/bare_call.h"
#include "sys/loopback.h"
#include "sys/procfs.h"

static const struct {
	char type[8];
	char file[8];
	uint64_t flag;
} kinds[] = {
	{ "mount", "mnt", CLONE_NEWNS },
	{ "pid", "pid", CLONE_NEWPID },
	{ "network", "net", CLONE_NEWNET },
	{ "uts", "uts", CLONE_NEWUTS },
	{ "ipc", "ipc", CLONE_NEWIPC },
	{ "user", "user", CLONE_NEWUSER },
	{ "cgroup", "cgroup", CLONE_NEWCGROUP },
	{ "time", "time", CLONE_NEWTIME },
};

uint64_t namespace_flag(const char *type)
{
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if (strcmp(kinds[i].type, type) == 0)
			return kinds[i].flag;
	return 0;
}

const char *namespace_type(uint64_t flag)
{
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if (kinds[i].flag == flag)
			return kinds[i].type;
	return NULL;
}

const char *namespace_file(uint64_t flag)
{
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if (kinds[i].flag == flag)
			return kinds[i].file;
	return NULL;
}

int namespace_open(const char *path, uint64_t flag)
{
	/* Not blocking: a FIFO by that name must not hold us. */
	_autoclose_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

	if (fd < 0)
		return -errno;
	int type = ioctl(fd, NS_GET_NSTYPE);
	if (type < 0 || (uint64_t)type != flag)
		return -EINVAL;
	return TAKE_FD(fd);
}

static int open_own_network(void)
{
	int fd = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

int namespace_visit_network(int netns_fd, namespace_visit_fn *fn, void *user)
{
	_autoclose_ int home = open_own_network();

	if (home < 0)
		return home;
	if (setns(netns_fd, CLONE_NEWNET) < 0)
		return -errno;
	int r = fn(user);
	return setns(home, CLONE_NEWNET) < 0 ? -ENOTRECOVERABLE : r;
}

int namespace_new_network(void)
{
	_autoclose_ int home = open_own_network(), new = -1;

	if (home < 0)
		return home;
	if (unshare(CLONE_NEWNET) < 0)
		return -errno;
	int r = loopback_up();
	if (r == 0)
		r = new = open_own_network();
	if (setns(home, CLONE_NEWNET) < 0)
		return -ENOTRECOVERABLE;
	return r < 0 ? r : TAKE_FD(new);
}

long namespace_new_network_aside(void *user)
{
	unsigned cpu;
	int fd;
	long r = bare_call(__NR_getcpu, (long)&cpu, 0, 0, 0);

	if (r == 0 && cpu == (unsigned)(uintptr_t)user)
		return -EAGAIN;
	r = bare_call(__NR_unshare, CLONE_NEWNET, 0, 0, 0);
	if (r == 0)
		r = loopback_up_by(&fd);
	if (r < 0)
		return r;
	r = bare_call(__NR_ioctl, fd, SIOCGSKNS, 0, 0);
	bare_call(__NR_close, fd, 0, 0, 0);
	return r;
}

static struct clone_args clone_arguments(uint64_t flags, int cgroup_fd, int *pidfd)
{
	struct clone_args args = { .flags = flags | CLONE_PIDFD, .pidfd = (uint64_t)(uintptr_t)pidfd };

	if (!(flags & CLONE_PARENT)) /* which keeps its creator's */
		args.exit_signal = SIGCHLD;
	if (cgroup_fd >= 0) {
		args.flags |= CLONE_INTO_CGROUP;
		args.cgroup = (uint64_t)cgroup_fd;
	}
	return args;
}

pid_t process_clone(uint64_t flags, int cgroup_fd, int *ret_pidfd)
{
	int pidfd = -1;
	struct clone_args args = clone_arguments(flags, cgroup_fd, &pidfd);
	long pid = syscall(SYS_clone3, &args, sizeof(args));

	if (pid < 0)
		return -errno;
	if (pid > 0)
		*ret_pidfd = pidfd;
	return (pid_t)pid;
}

/*
 * The child is on our stack, above nothing that we still need: this frame it leaves as it was, as it never returns to it and all it
 * calls lies below. The call is made without libc's wrapper, whose frame would be overwritten.
 */
__attribute__((noinline)) static long clone_on_this_stack(struct clone_args *args, process_fn *run, void *user)
{
	long pid = bare_call(__NR_clone3, (long)args, sizeof(*args), 0, 0);

	if (pid == 0)
		run(user);
	return pid;
}

pid_t process_vfork(uint64_t flags, int cgroup_fd, int *ret_pidfd, process_fn *run, void *user)
{
	int pidfd = -1;
	struct clone_args args = clone_arguments(flags | CLONE_VM | CLONE_VFORK, cgroup_fd, &pidfd);
	sigset_t all, before;

	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &before); /* no handler of ours runs in it */
	long pid = clone_on_this_stack(&args, run, user);
	sanitized_forget_child();
	sigprocmask(SIG_SETMASK, &before, NULL);
	if (pid > 0)
		*ret_pidfd = pidfd;
	return (pid_t)pid;
}

/* Who is in it meanwhile only waits to be killed. */
static int open_user_of(pid_t pid, const char *uid_map, const char *gid_map)
{
	_autoclose_ int proc = procfs_open(1);
	char path[32];
	int r = proc < 0 ? proc : procfs_write_pid(proc, pid, "uid_map", uid_map);

	if (r == 0)
		r = procfs_write_pid(proc, pid, "gid_map", gid_map);
	if (r < 0)
		return r;
	snprintf(path, sizeof(path), "%d/ns/user", pid);
	int fd = openat(proc, path, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

int namespace_new_user(const char *uid_map, const char *gid_map)
{
	int pidfd = -1;
	pid_t pid = process_clone(CLONE_NEWUSER, -1, &pidfd);

	if (pid == 0)
		for (;;)
			pause();
	if (pid < 0)
		return pid;
	int fd = open_user_of(pid, uid_map, gid_map);
	kill(pid, SIGKILL);
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	fd_close(&pidfd);
	return fd;
}
