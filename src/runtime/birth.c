#include "runtime/birth.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include <linux/seccomp.h>
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

/* What is not the joined user namespace's can be joined before it alone; what can't be yet is left for later. */
static void join_as_we_are(struct plan *plan)
{
	const uint64_t kinds = CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS;

	for (size_t i = 0; i < plan->join_count && !plan->is_exec; i++) {
		struct plan_join *join = &plan->joins[i];
		if (join->flag & kinds && setns(join->fd, (int)join->flag) == 0)
			join->flag = 0;
	}
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

/* What could be misused by whoever shares the pid namespace is gone before anybody there can look at the newborn. The numbers stay in the
 * plan, whose descriptors they are where the joiner shares our memory. */
static void close_before_birth(const struct plan *plan)
{
	for (size_t i = 0; i < plan->join_fd_count; i++)
		close(plan->join_fds[i]);
	if (plan->cgroup_fd >= 0)
		close(plan->cgroup_fd);
	for (size_t i = 0; i < plan->join_count; i++)
		if (plan->is_exec || plan->joins[i].flag & (CLONE_NEWUSER | CLONE_NEWPID))
			close(plan->joins[i].fd);
}

/* In our memory, it may be: what it writes into the plan is true there, too. */
_Noreturn static void run_joiner(struct plan *plan, int sync, const int *keep, size_t keep_count)
{
	struct child joiner = { .plan = plan, .sync = sync };
	struct report report = { .type = REPORT_SPAWNED };
	int pidfd = -1;

	const struct plan_tuning *tuning = plan->process.tuning;

	child_close_others(keep, keep_count, sync);
	int r = tuning && tuning->has_first_cpus ? scheduling_set_cpus(&tuning->first_cpus) : 0;
	if (r < 0)
		child_fail(&joiner, STAGE_CPUS, r, "%s", "");
	r = cgroup_join(plan->join_fds, plan->join_fd_count);
	if (r < 0)
		child_fail(&joiner, STAGE_JOIN_CGROUP, r, "%s", "");
	join_as_we_are(plan);
	join_before_birth(&joiner);
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	plan->has_joiner = true;
	close_before_birth(plan);
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

/*
 * The newborn waits for GO until we know it, so the first message is the joiner's. Should the joiner be killed between the
 * birth and its message (a tight memory limit), its end is what tells us: the newborn holds the socket open, and ends when
 * we close ours.
 */
static int receive_spawned(int sync, int joiner_pidfd, struct report *report, int *ret_pidfd)
{
	struct pollfd fds[] = { { .fd = sync, .events = POLLIN }, { .fd = joiner_pidfd, .events = POLLIN } };

	while (poll(fds, ARRAY_SIZE(fds), -1) < 0)
		if (errno != EINTR)
			return -errno;
	if (!fds[0].revents && poll(fds, 1, 0) <= 0)
		return 0;
	return report_receive(sync, report, ret_pidfd);
}

/* The joiner's own end is waited for, so that the caller never meets it. */
static int meet_spawned(pid_t joiner, int joiner_pidfd, struct birth *birth, struct err **reterr)
{
	const struct report go = { .type = REPORT_GO };
	struct report report;
	int pidfd = -1;
	int r = receive_spawned(birth->sync, joiner_pidfd, &report, &pidfd);

	while (waitpid(joiner, NULL, 0) < 0 && errno == EINTR)
		;
	if (r == 1 && report.type == REPORT_SPAWNED && pidfd >= 0) {
		birth->pid = report.errnum;
		birth->pidfd = pidfd;
		r = report_send(birth->sync, &go, -1);
		return r < 0 ? err_errno(reterr, r, "lost the new process") : 0;
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

/* Files copied from the root are read through buffers of malloc's; a time namespace is for who has memory of his own. */
static bool needs_own_memory(const struct plan *plan)
{
	for (size_t i = 0; i < plan->mount_count; i++)
		if (plan->mounts[i].copies_up)
			return true;
	for (size_t i = 0; i < plan->join_count; i++)
		if (plan->joins[i].flag & CLONE_NEWTIME)
			return true;
	return plan->new_time_namespace;
}

/* Whether it may share our memory: nothing is asked of us, nothing is left in the plan that is true for the child alone, and nothing
 * is allocated, which a sudden end would leave half done. */
static bool may_share(const struct plan *plan)
{
	const struct plan_process *process = &plan->process;
	bool is_alone = plan->new_namespaces & CLONE_NEWPID && !(plan->new_namespaces & CLONE_NEWUSER);
	bool has_hooks = plan->wants_hook_stop || (plan->hooks && plan->hooks->start_container_count);
	bool asks = plan->asks_for_owners || process->terminal ||
		    process->filter_flags & SECCOMP_FILTER_FLAG_NEW_LISTENER;
	bool is_special = plan->late_count || process->init_fd >= 0;

	return plan->is_let_go && !needs_joiner(plan) && is_alone && !has_hooks && !asks && !is_special &&
	       !needs_own_memory(plan);
}

struct newborn {
	struct plan *plan;
	bool joins;
	bool shares;
	int sync; /* its end */
	int *keep;
	size_t keep_count;
	pid_t pid;
	int pidfd;
};

/* As process_fn. */
static void run_newborn(void *user)
{
	const struct newborn *newborn = user;

	if (newborn->joins)
		run_joiner(newborn->plan, newborn->sync, newborn->keep, newborn->keep_count);
	child_run(newborn->plan, newborn->sync, newborn->keep, newborn->keep_count);
}

/* As namespace_visit_fn. */
static int clone_here(void *user)
{
	struct newborn *newborn = user;
	struct plan *plan = newborn->plan;

	if (newborn->shares) {
		newborn->pid = process_vfork(newborn->joins ? 0 : plan->new_namespaces, plan->cgroup_fd,
			&newborn->pidfd, run_newborn, newborn);
		return newborn->pid < 0 ? newborn->pid : 0;
	}

	/* Whose maps an ordinary user is to write must be seen to be his: until it has them. Nobody else is in its namespaces. */
	bool is_seen = plan->has_no_right && plan->new_namespaces & CLONE_NEWUSER && !newborn->joins;

	if (is_seen)
		prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
	newborn->pid = process_clone(newborn->joins ? 0 : plan->new_namespaces, plan->cgroup_fd, &newborn->pidfd);
	if (newborn->pid == 0 && newborn->joins)
		run_joiner(plan, newborn->sync, newborn->keep, newborn->keep_count);
	if (newborn->pid == 0)
		child_run(plan, newborn->sync, newborn->keep, newborn->keep_count);
	if (is_seen)
		prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	return newborn->pid < 0 ? newborn->pid : 0;
}

static int clone_first(struct plan *plan, struct birth *birth, int their_sync, struct err **reterr)
{
	_cleanup_free_ int *keep = NULL;
	struct newborn newborn = { .plan = plan,
		.joins = needs_joiner(plan),
		.shares = birth->start_is_said || (plan->is_exec && !needs_own_memory(plan)),
		.sync = their_sync,
		.pid = -1,
		.pidfd = -1 };
	int r = plan_keep_fds(plan, &keep, &newborn.keep_count);

	if (r < 0)
		return err_oom(reterr);
	newborn.keep = keep;
	r = plan->network_fd < 0 ? clone_here(&newborn)
				 : namespace_visit_network(plan->network_fd, clone_here, &newborn);
	fd_close(&their_sync);
	if (newborn.joins && r == 0) {
		r = meet_spawned(newborn.pid, newborn.pidfd, birth, reterr);
		fd_close(&newborn.pidfd);
		return r;
	}
	birth->pid = newborn.pid;
	birth->pidfd = newborn.pidfd;
	return r < 0 ? err_errno(reterr, r, "cannot create the container's process") : 0;
}

int birth_give(struct plan *plan, struct birth *ret, struct err **reterr)
{
	const struct report start = { .type = REPORT_START };
	struct birth birth = BIRTH_INIT;
	int pair[2];
	int r = make_state_file(plan, &birth);

	if (r < 0)
		return err_errno(reterr, r, "cannot make the hooks' state");
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return err_errno(reterr, -errno, "cannot make a socket pair");
	birth.sync = pair[0];
	birth.start_is_said = may_share(plan) && report_send(birth.sync, &start, -1) == 0;
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
