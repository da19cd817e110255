/*
 * Only who is in a mount namespace may clone from it or should read in it, so a child goes there. It has no descriptor but its socket and init's
 * pidfd, is not in the container's pid namespace, can't be dumped, and never executes anything: nothing in the container can
 * get hold of it.
 */
#include "runtime/enter.h"

#include <assert.h>
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
#include "runtime/identity.h"
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

static int go_inside(int sync, int pidfd)
{
	int r = keep_two(sync, pidfd);

	if (r < 0)
		return r;
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return -errno;
	return setns(CHILD_PIDFD_FD, CLONE_NEWNS) < 0 ? -errno : 0;
}

/* What is done inside: answers in `report`; returns a descriptor to send, or -1 for none. */
typedef int inside_fn(const void *data, struct report *report);

static int clone_root(const void *data, struct report *report)
{
	int fd = mount_clone(AT_FDCWD, "/", false);

	(void)data;
	if (fd < 0)
		report->errnum = -fd;
	return fd;
}

static int look_up_user(const void *data, struct report *report)
{
	static_assert(IDENTITY_WHY_MAX <= REPORT_DETAIL_MAX, "the sentence fits");
	struct identity identity;
	int root_fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	int r = root_fd < 0 ? -errno : identity_resolve(root_fd, data, NULL, &identity, report->detail);

	if (r < 0) {
		report->type = REPORT_FAILED;
		report->stage = STAGE_USER;
		report->errnum = -r;
	}
	return -1;
}

/* Sends one report. */
_Noreturn static void child(int sync, int pidfd, inside_fn *inside, const void *data)
{
	struct report report = { .type = REPORT_READY };
	int r = go_inside(sync, pidfd), fd = -1;

	if (r < 0)
		report.errnum = -r;
	else
		fd = inside(data, &report);
	report_send(CHILD_SYNC_FD, &report, fd);
	_exit(0);
}

/* 0 with what the child reported, and in *ret_fd (unless NULL) what it sent. */
static int run_inside(struct container *container, inside_fn *inside, const void *data, struct report *report,
	int *ret_fd, struct err **reterr)
{
	int pidfd = container_pidfd(container);
	int child_pidfd = -1, pair[2];

	if (pidfd < 0)
		return err_set(reterr, ERR_CONFLICT, ESRCH, "the container is not running");
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return err_errno(reterr, -errno, "cannot make a socket pair");
	pid_t pid = process_clone(0, -1, &child_pidfd);
	if (pid == 0)
		child(pair[1], pidfd, inside, data);
	fd_close(&pair[1]);
	int r = pid < 0 ? pid : report_receive(pair[0], report, ret_fd);
	fd_close(&pair[0]);
	fd_close(&child_pidfd);
	while (pid > 0 && waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	r = r == 0 ? -ECHILD : r < 0 ? r : report->type == REPORT_READY ? -report->errnum : 0;
	if (r == -ESRCH)
		return err_set(reterr, ERR_CONFLICT, ESRCH, "the container is not running");
	return r < 0 ? err_errno(reterr, r, "cannot get at the container's root") : 0;
}

int container_clone_root(struct container *container, int *ret_fd, struct err **reterr)
{
	struct report report;
	int fd = -1;
	int r = run_inside(container, clone_root, NULL, &report, &fd, reterr);

	if (r == 0 && fd < 0)
		r = err_errno(reterr, -ECHILD, "cannot get at the container's root");
	if (r == 0)
		*ret_fd = fd;
	return r;
}

int container_check_user(struct container *container, const char *user, struct err **reterr)
{
	struct report report;
	int r = run_inside(container, look_up_user, user, &report, NULL, reterr);

	return r == 0 && report.type == REPORT_FAILED ? report_to_err(&report, reterr) : r;
}
