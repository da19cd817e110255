/*
 * clone(CLONE_VM | CLONE_VFORK) on a stack of its own: no page table is copied, we sleep until the child has executed or
 * failed, and read its errno from the memory we share. All signals are blocked meanwhile, so that no handler of ours
 * runs in the child; it resets the dispositions before it opens the mask.
 *
 * In the child: no allocation, no lock, nothing that leaves our memory other than it was. Its descriptor table is a copy.
 * Descriptors are placed in two steps, first all up and out of the way, then down to their places, because a source may
 * sit on another's place. What is above is marked close-on-exec rather than closed: the program itself is among it.
 */
#include "sys/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <linux/close_range.h>
#include <linux/sched.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "base/cleanup.h"
#include "sys/signals.h"

#define SPAWN_STACK_BYTES (64 * 1024) /* of each of the two */
#define FIRST_PLACED_FD   3

struct child {
	const struct spawn *spawn;
	char *stack_end;
	int pidfd;
	volatile pid_t pid;
	volatile int error;
};

/* The child runs in the parent's memory, on a stack that is unmapped behind it: a sanitizer's notes about that stack would
 * be taken for the next mapping's. */
#define IN_PARENTS_MEMORY __attribute__((no_sanitize("address")))

IN_PARENTS_MEMORY static int child_raise_fd(int fd, int floor)
{
	if (fd >= 0)
		return fcntl(fd, F_DUPFD_CLOEXEC, floor);
	int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	return null_fd < 0 ? -1 : fcntl(null_fd, F_DUPFD_CLOEXEC, floor);
}

/* Not being able to is no reason not to run. */
IN_PARENTS_MEMORY static void child_set_oom_score(const char *text)
{
	int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
	if (fd >= 0 && write(fd, text, strlen(text)) < 0)
		errno = 0;
	if (fd >= 0)
		close(fd);
}

/* The program's descriptor as it is now, -1 for none, or -2 with errno. */
IN_PARENTS_MEMORY static int child_place_fds(const struct spawn *spawn)
{
	int floor = FIRST_PLACED_FD + (int)spawn->fd_count;
	int raised[FIRST_PLACED_FD + SPAWN_FDS_MAX];
	int program_fd = -1;
	if (spawn->program_fd >= 0) {
		program_fd = fcntl(spawn->program_fd, F_DUPFD_CLOEXEC, floor);
		if (program_fd < 0)
			return -2;
	}
	for (int i = 0; i < floor; i++) {
		raised[i] = child_raise_fd(i < FIRST_PLACED_FD ? spawn->stdio[i] : spawn->fds[i - FIRST_PLACED_FD],
			floor);
		if (raised[i] < 0)
			return -2;
	}
	for (int i = 0; i < floor; i++)
		if (dup2(raised[i], i) < 0)
			return -2;
	if (syscall(SYS_close_range, (unsigned)floor, ~0U, CLOSE_RANGE_CLOEXEC) < 0)
		return -2;
	return program_fd;
}

IN_PARENTS_MEMORY static int child_main(void *data)
{
	struct child *child = data;
	const struct spawn *spawn = child->spawn;
	char *const no_env[] = { NULL };
	char *const *env = spawn->env ? spawn->env : no_env;

	signals_reset();
	umask(022);
	if (spawn->oom_score_adj)
		child_set_oom_score(spawn->oom_score_adj);
	int program_fd = child_place_fds(spawn);
	if (program_fd != -2 && setsid() >= 0 && ((spawn->folder && chdir(spawn->folder) == 0) || chdir("/") == 0)) {
		if (program_fd >= 0)
			syscall(SYS_execveat, program_fd, "", spawn->argv, env, AT_EMPTY_PATH);
		else
			execve(spawn->path, spawn->argv, env);
	}
	child->error = errno;
	_exit(127);
}

IN_PARENTS_MEMORY static int clone_program(struct child *child)
{
	child->pid = clone(child_main, child->stack_end, CLONE_VM | CLONE_VFORK | CLONE_PIDFD | SIGCHLD, child,
		&child->pidfd);
	return child->pid < 0 ? -errno : 0;
}

/* Between us and an orphan: it shares our descriptors too, so the pidfd is ours. */
IN_PARENTS_MEMORY static int middle_main(void *data)
{
	struct child *child = data;

	int r = clone_program(child);
	if (r < 0)
		child->error = -r; /* else it has said itself what went wrong */
	_exit(0);
}

static int clone_orphan(struct child *child)
{
	/* Without a signal at its end nobody's wait() sees it. */
	pid_t pid = clone(middle_main, child->stack_end - SPAWN_STACK_BYTES, CLONE_VM | CLONE_VFORK | CLONE_FILES,
		child);

	if (pid < 0)
		return -errno;
	while (waitpid(pid, NULL, __WALL) < 0 && errno == EINTR)
		;
	return 0;
}

static int spawn_clone(struct child *child)
{
	const size_t size = 2 * (size_t)SPAWN_STACK_BYTES;
	char *stack = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
	sigset_t all, before;

	if (stack == MAP_FAILED)
		return -errno;
	child->stack_end = stack + size;
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &before);
	int r = child->spawn->is_orphan ? clone_orphan(child) : clone_program(child);
	sigprocmask(SIG_SETMASK, &before, NULL);
	munmap(stack, size);
	return r;
}

int spawn_program(const struct spawn *spawn, pid_t *ret_pid, int *ret_pidfd)
{
	struct child child = { .spawn = spawn, .pidfd = -1, .pid = -1, .error = 0 };
	int r = spawn->fd_count > SPAWN_FDS_MAX ? -E2BIG : spawn_clone(&child);
	_autoclose_ int pidfd = child.pidfd;

	if (r < 0)
		return r;
	if (child.error) {
		while (child.pid > 0 && !spawn->is_orphan && waitpid(child.pid, NULL, 0) < 0 && errno == EINTR)
			;
		return -child.error;
	}
	*ret_pid = child.pid;
	if (ret_pidfd)
		*ret_pidfd = TAKE_FD(pidfd);
	return 0;
}

/* Born with our very table, and leaves it by a copy of what it keeps: what we close before it gets to run is closed. One that is
 * to keep more than the standard ones has a copy of the whole table until it runs. */
pid_t spawn_aside(int kept_fd)
{
	const struct clone_args args = { .flags = kept_fd > STDERR_FILENO ? 0 : CLONE_FILES, .exit_signal = SIGCHLD };
	long pid = syscall(SYS_clone3, &args, sizeof(args));
	if (pid != 0)
		return pid < 0 ? -errno : (pid_t)pid;
	if (close_range((unsigned)kept_fd + 1, ~0U, CLOSE_RANGE_UNSHARE) < 0)
		_exit(EXIT_FAILURE);
	if (kept_fd > STDERR_FILENO + 1)
		close_range(STDERR_FILENO + 1, (unsigned)kept_fd - 1, 0);
	return 0;
}
