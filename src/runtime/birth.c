#include "runtime/birth.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "runtime/child.h"
#include "sys/namespaces.h"

static bool needs_joiner(const struct plan *plan)
{
	if (plan->is_exec)
		return true;
	for (size_t i = 0; i < plan->join_count; i++)
		if (plan->joins[i].flag & (CLONE_NEWUSER | CLONE_NEWPID))
			return true;
	return false;
}

/* A user namespace first: the rights to join the others may come from it. */
static void join_before_birth(const struct child *joiner)
{
	const struct plan *plan = joiner->plan;

	for (int pass = 0; pass < 2; pass++)
		for (size_t i = 0; i < plan->join_count; i++) {
			uint64_t flag = plan->joins[i].flag;
			bool is_user = flag & CLONE_NEWUSER;
			bool now = plan->is_exec || is_user || flag == CLONE_NEWPID;
			if (!now || is_user != (pass == 0))
				continue;
			if (setns(plan->joins[i].fd, (int)flag) < 0)
				child_fail(joiner, STAGE_JOIN_NAMESPACE, errno, "%s", "");
		}
}

_Noreturn static void run_joiner(struct plan *plan, int sync, const int *keep, size_t keep_count)
{
	struct child joiner = { .plan = plan, .sync = sync };
	struct report report = { .type = REPORT_SPAWNED };
	int pidfd = -1;

	child_close_others(keep, keep_count, sync);
	int r = cgroup_join(plan->join_fds, plan->join_fd_count);
	if (r < 0)
		child_fail(&joiner, STAGE_JOIN_CGROUP, r, "%s", "");
	join_before_birth(&joiner);
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	plan->joined_cgroups = true;
	pid_t pid = process_clone(plan->new_namespaces | CLONE_PARENT, -1, &pidfd);
	if (pid == 0)
		child_run(plan, sync, keep, keep_count);
	if (pid < 0)
		child_fail(&joiner, STAGE_CLONE, pid, "%s", "");
	report.errnum = pid;
	if (report_send(sync, &report, pidfd) < 0)
		kill(pid, SIGKILL);
	_exit(0);
}

/* The joiner's own end is waited for, so that the caller never meets it. */
static int meet_spawned(pid_t joiner, struct birth *birth, struct err **reterr)
{
	struct report report;
	int pidfd = -1;
	int r;

	/* The newborn may already have said something: order on one socket is the order of sending, so it is kept for later by
	 * not starting the newborn before. It waits for nothing yet, hence peek until SPAWNED comes first. */
	do {
		r = report_receive(birth->sync, &report, &pidfd);
	} while (r == 1 && report.type == REPORT_WARN);
	waitpid(joiner, NULL, 0);
	if (r == 1 && report.type == REPORT_SPAWNED && pidfd >= 0) {
		birth->pid = report.errnum;
		birth->pidfd = pidfd;
		return 0;
	}
	fd_close(&pidfd);
	if (r == 1 && report.type == REPORT_FAILED)
		return report_to_err(&report, reterr);
	return err_set(reterr, ERR_INTERNAL, ECHILD, "the process that joins namespaces ended early");
}

static int make_state_file(struct plan *plan, struct birth *birth)
{
	if (plan->is_exec || !plan->hooks ||
		(!plan->hooks->create_container_count && !plan->hooks->start_container_count))
		return 0;
	birth->state_fd = plan->state_fd = memfd_create("state", MFD_CLOEXEC);
	return plan->state_fd < 0 ? -errno : 0;
}

static int clone_first(struct plan *plan, struct birth *birth, int their_sync, struct err **reterr)
{
	_cleanup_free_ int *keep = NULL;
	size_t keep_count;
	bool joiner = needs_joiner(plan);
	int pidfd = -1;
	int r = plan_keep_fds(plan, &keep, &keep_count);

	if (r < 0)
		return err_oom(reterr);
	pid_t pid = process_clone(joiner ? 0 : plan->new_namespaces, plan->cgroup_fd, &pidfd);
	if (pid == 0 && joiner)
		run_joiner(plan, their_sync, keep, keep_count);
	if (pid == 0)
		child_run(plan, their_sync, keep, keep_count);
	if (pid < 0)
		return err_errno(reterr, pid, "cannot create the container's process");
	fd_close(&their_sync);
	if (!joiner) {
		birth->pid = pid;
		birth->pidfd = pidfd;
		return 0;
	}
	fd_close(&pidfd);
	return meet_spawned(pid, birth, reterr);
}

int birth_give(struct plan *plan, struct birth *ret, struct err **reterr)
{
	struct birth birth = BIRTH_INIT;
	int pair[2];
	int r = make_state_file(plan, &birth);

	if (r < 0)
		return err_errno(reterr, r, "cannot make the hooks' state");
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return err_errno(reterr, -errno, "cannot make a socket pair");
	birth.sync = pair[0];
	r = clone_first(plan, &birth, pair[1], reterr);
	if (r < 0) {
		birth_finish(&birth, true);
		return r;
	}
	/* The plan closes the state file with its other descriptors: one owner. */
	plan->state_fd = -1;
	*ret = birth;
	return 0;
}

void birth_finish(struct birth *birth, bool kill_it)
{
	if (kill_it && birth->pidfd >= 0) {
		syscall(SYS_pidfd_send_signal, birth->pidfd, SIGKILL, NULL, 0);
		waitpid(birth->pid, NULL, 0);
	}
	fd_close(&birth->pidfd);
	fd_close(&birth->sync);
	fd_close(&birth->state_fd);
	birth->pid = -1;
}
