/*
 * Only who is in a mount namespace may clone from it, so a child goes there. It has no descriptor but its socket and init's
 * pidfd, is not in the container's pid namespace, can't be dumped, and never executes anything: nothing in the container can
 * get hold of it.
 */
#include "runtime/enter.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <unistd.h>

#include <linux/close_range.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "runtime/container.h"
#include "runtime/report.h"
#include "sys/mounts.h"
#include "sys/namespaces.h"

#define CHILD_SYNC_FD  3
#define CHILD_PIDFD_FD 4

/* The socket as 3, the pidfd as 4, and nothing else above 2. */
static int keep_two(int sync, int pidfd)
{
	int high[2] = { fcntl(sync, F_DUPFD_CLOEXEC, 8), fcntl(pidfd, F_DUPFD_CLOEXEC, 8) };

	if (high[0] < 0 || high[1] < 0 || dup2(high[0], CHILD_SYNC_FD) < 0 || dup2(high[1], CHILD_PIDFD_FD) < 0)
		return -errno;
	return close_range(CHILD_PIDFD_FD + 1, ~0U, 0) < 0 ? -errno : 0;
}

static int clone_from_inside(int sync, int pidfd)
{
	int r = keep_two(sync, pidfd);

	if (r < 0)
		return r;
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return -errno;
	if (setns(CHILD_PIDFD_FD, CLONE_NEWNS) < 0)
		return -errno;
	return mount_clone(AT_FDCWD, "/", false);
}

_Noreturn static void child(int sync, int pidfd)
{
	struct report report = { .type = REPORT_READY };
	int fd = clone_from_inside(sync, pidfd);

	if (fd < 0)
		report.errnum = -fd;
	report_send(CHILD_SYNC_FD, &report, fd);
	_exit(0);
}

static int receive_root(int sync, int *ret_fd)
{
	struct report report;
	int fd = -1;
	int r = report_receive(sync, &report, &fd);

	if (r == 1 && report.errnum == 0 && fd >= 0) {
		*ret_fd = fd;
		return 0;
	}
	fd_close(&fd);
	if (r == 1 && report.errnum > 0)
		return -report.errnum;
	return r < 0 ? r : -ECHILD;
}

int container_clone_root(struct container *container, int *ret_fd, struct err **reterr)
{
	int pidfd = container_pidfd(container);
	int child_pidfd = -1, pair[2];

	if (pidfd < 0)
		return err_set(reterr, ERR_CONFLICT, ESRCH, "the container is not running");
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return err_errno(reterr, -errno, "cannot make a socket pair");
	pid_t pid = process_clone(0, -1, &child_pidfd);
	if (pid == 0)
		child(pair[1], pidfd);
	fd_close(&pair[1]);
	int r = pid < 0 ? pid : receive_root(pair[0], ret_fd);
	fd_close(&pair[0]);
	fd_close(&child_pidfd);
	while (pid > 0 && waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	if (r == -ESRCH)
		return err_set(reterr, ERR_CONFLICT, ESRCH, "the container is not running");
	return r < 0 ? err_errno(reterr, r, "cannot get at the container's root") : 0;
}
