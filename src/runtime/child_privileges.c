/*
 * From root to the user. While CAP_SETPCAP is held the bounding set shrinks; groups before gid before uid; capabilities survive
 * setuid as permitted ones, unused, until the end. The filter comes last: with no_new_privs after everything, without it just
 * before the last capset, since installing it needs CAP_SYS_ADMIN then.
 */
#include <errno.h>
#include <grp.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <linux/seccomp.h>
#include <linux/securebits.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "runtime/child.h"
#include "sys/lsm.h"
#include "sys/procfs.h"
#include "sys/rlimits.h"
#include "sys/seccomp.h"

static void set_rlimits(const struct child *child)
{
	const struct plan_process *process = &child->plan->process;

	for (size_t i = 0; i < process->rlimit_count; i++) {
		int r = rlimit_set(process->rlimits[i].resource, process->rlimits[i].soft, process->rlimits[i].hard);
		if (r < 0)
			child_fail(child, STAGE_RLIMIT, r, "%s", process->rlimits[i].name);
		if (r == 1)
			child_warn(child,
				"%s can't be raised without CAP_SYS_RESOURCE: left at the hard limit in force",
				process->rlimits[i].name);
	}
}

static void set_oom_score(struct child *child)
{
	const struct plan_process *process = &child->plan->process;
	char text[16];

	if (!process->set_oom_score)
		return;
	snprintf(text, sizeof(text), "%d", process->oom_score_adj);
	int r = procfs_write_pid(child_procfs(child, STAGE_OOM_SCORE), getpid(), "oom_score_adj", text);
	if (r == -EACCES || r == -EPERM)
		child_warn(child, "oom_score_adj can't be lowered to %s without CAP_SYS_RESOURCE: left as it is", text);
	else if (r < 0)
		child_fail(child, STAGE_OOM_SCORE, r, "%s", text);
}

/* All that the groups allow, now and later: whatever starts containers may have been given fewer for itself. */
static void reset_cpus(void)
{
	struct number_set all;

	memset(&all, 0xff, sizeof(all));
	(void)scheduling_set_cpus(&all); /* a seccomp filter around all of us may say no */
}

/* While there are privileges, and in the groups, whose CPUs and nodes bound these. */
static void tune(const struct child *child)
{
	const struct plan_tuning *tuning = child->plan->process.tuning;
	int r = tuning && tuning->has_cpus ? scheduling_set_cpus(&tuning->cpus) : 0;

	if (!tuning || !(tuning->has_cpus || tuning->has_first_cpus))
		reset_cpus();
	if (r < 0)
		child_fail(child, STAGE_CPUS, r, "%s", "");
	r = tuning && tuning->has_scheduling ? scheduling_set(&tuning->scheduling) : 0;
	if (r < 0)
		child_fail(child, STAGE_SCHEDULER, r, "%s",
			r == -EPERM
				? "(process scheduler can't be used together with AllowedCPUs, or without CAP_SYS_NICE)"
				: "");
	r = tuning && tuning->has_io_priority ? io_priority_set(tuning->io_class, tuning->io_level) : 0;
	if (r < 0)
		child_fail(child, STAGE_IO_PRIORITY, r, "%s", "");
	r = tuning && tuning->has_memory_policy ? memory_policy_set(tuning->memory_mode, &tuning->memory_nodes) : 0;
	if (r < 0)
		child_fail(child, STAGE_MEMORY_POLICY, r, "%s", "");
	r = tuning && tuning->has_personality ? personality_set(tuning->personality) : 0;
	if (r < 0)
		child_fail(child, STAGE_PERSONALITY, r, "%s", "");
}

static void limit_bounding(const struct child *child)
{
	int r = caps_limit_bounding(child->plan->process.caps.bounding);

	if (r < 0)
		child_fail(child, STAGE_CAPABILITIES, r, "(bounding set)");
}

/* What the host itself has not got, nobody can be given. */
static struct cap_sets final_caps(const struct child *child, uint64_t have)
{
	struct cap_sets sets = child->plan->process.caps;

	sets.permitted &= have;
	sets.effective &= sets.permitted;
	sets.inheritable &= have;
	sets.ambient &= sets.permitted & sets.inheritable;
	return sets;
}

/* For the working folder and the command: a user may enter and execute by capabilities what the modes keep him from. */
static void use_effective_caps(const struct child *child)
{
	uint64_t have;
	int r = caps_get_permitted(&have);

	if (r == 0) {
		const struct cap_sets sets = { .effective = final_caps(child, have).effective, .permitted = have };
		r = caps_set(&sets);
	}
	if (r < 0)
		child_fail(child, STAGE_CAPABILITIES, r, "%s", "");
}

static void become_user(const struct child *child)
{
	const struct identity *identity = child->plan->process.identity;

	if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0)
		child_fail(child, STAGE_USER, errno, "%s", "");
	/* Where groups are frozen (a user namespace made without privilege), none to set is no failure. */
	if (!child->plan->process.keeps_groups && setgroups(identity->group_count, identity->groups) < 0 &&
		(errno != EPERM || identity->group_count))
		child_fail(child, STAGE_USER, errno, "%s", "");
	if (setresgid(identity->gid, identity->gid, identity->gid) < 0)
		child_fail(child, STAGE_USER, errno, "%s", "");
	if (setresuid(identity->uid, identity->uid, identity->uid) < 0)
		child_fail(child, STAGE_USER, errno, "%s", "");
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	if (identity->uid && child->plan->process.caps.effective)
		use_effective_caps(child);
}

void child_privileges_early(struct child *child)
{
	set_oom_score(child);
	if (child->plan->process.apparmor || child->plan->process.selinux)
		child_procfs(child, STAGE_LABEL);
	tune(child);
	set_rlimits(child);
	limit_bounding(child);
	become_user(child);
}

static void set_labels(const struct child *child)
{
	const struct plan_process *process = &child->plan->process;
	int r = process->apparmor ? lsm_set_exec_apparmor(child->proc_fd, process->apparmor) : 0;

	if (r < 0)
		child_fail(child, r == -ENOENT ? STAGE_NO_PROFILE : STAGE_LABEL, r, "%s", process->apparmor);
	r = process->selinux ? lsm_set_exec_selinux(child->proc_fd, process->selinux) : 0;
	if (r < 0)
		child_fail(child, STAGE_LABEL, r, "%s", process->selinux);
}

/* The creator fetches it: whoever serves it has it before the first call of ours that may wait for an answer. It ends with execve. */
static void hand_over_listener(const struct child *child, int listener)
{
	struct report report = { .type = REPORT_LISTENER, .errnum = listener };

	if (report_write(child->sync, &report) < 0 || report_read(child->sync, &report) != 1 ||
		report.type != REPORT_GO)
		_exit(125);
}

static void install_filter(const struct child *child)
{
	const struct plan_process *process = &child->plan->process;

	if (!process->filter)
		return;
	int r = seccomp_install(process->filter, process->filter_count, process->filter_flags);
	if (r < 0)
		child_fail(child, STAGE_SECCOMP, r, "%s", "");
	if (process->filter_flags & SECCOMP_FILTER_FLAG_NEW_LISTENER)
		hand_over_listener(child, r);
}

void child_privileges_final(struct child *child)
{
	uint64_t have;
	int r = caps_get_permitted(&have);

	if (r == 0) {
		const struct cap_sets all = { .effective = have, .permitted = have };
		r = caps_set(&all);
	}
	if (r < 0)
		child_fail(child, STAGE_CAPABILITIES, r, "%s", "");
	set_labels(child);
	if (child->plan->process.no_new_privileges && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		child_fail(child, STAGE_NO_NEW_PRIVILEGES, errno, "%s", "");
	if (!child->plan->process.no_new_privileges)
		install_filter(child);
	struct cap_sets sets = final_caps(child, have);
	r = caps_set(&sets);
	if (r < 0)
		child_fail(child, STAGE_CAPABILITIES, r, "%s", "");
	if (prctl(PR_SET_KEEPCAPS, 0, 0, 0, 0) < 0)
		child_fail(child, STAGE_CAPABILITIES, errno, "%s", "");
	if (child->plan->process.no_new_privileges)
		install_filter(child);
}
