/*
 * Order, and why:
 *
 *	descriptors   only those of the plan stay, before anything else can be looked at from inside
 *	cgroups       joined by ourselves, first of all, so every page charged from here on is the container's
 *	id maps       waited for; only then are we root in the user namespace
 *	keyring       while still charged to the host's root, whose quota is not the container's
 *	namespaces    host name, loopback, sysctls through a private procfs
 *	mounts        below the detached root, all by descriptor; then the hooks; then pivot_root
 *	identity      rlimits, groups, gid, uid; working folder as that user; the command is looked up
 *	READY         the creator's container_create returns; only sync, stdio and the listener are open now
 *	START         seccomp and capabilities, startContainer hooks under both, execve
 *
 * Undumpable from the creator on (prctl in container_process_prepare) and again after each setuid, until execve.
 */
#include "runtime/child.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <linux/close_range.h>
#include <linux/sched.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>

#include "base/io.h"
#include "runtime/lookup.h"
#include "runtime/sysctl.h"
#include "sys/inroot.h"
#include "sys/keyring.h"
#include "sys/loopback.h"
#include "sys/procfs.h"
#include "sys/signals.h"

void child_fail(const struct child *child, enum report_stage stage, int errnum, const char *format, ...)
{
	struct report report = { .type = REPORT_FAILED, .stage = stage, .errnum = errnum < 0 ? -errnum : errnum };
	va_list args;

	va_start(args, format);
	vsnprintf(report.detail, sizeof(report.detail), format, args);
	va_end(args);
	report_write(child->sync, &report); /* there may be a filter already, which lets less through */
	_exit(stage == STAGE_COMMAND && report.errnum == ENOENT ? 127 : 126);
}

void child_warn(const struct child *child, const char *format, ...)
{
	struct report report = { .type = REPORT_WARN };
	va_list args;

	va_start(args, format);
	vsnprintf(report.detail, sizeof(report.detail), format, args);
	va_end(args);
	report_send(child->sync, &report, -1);
}

void child_close_others(const int *keep, size_t keep_count, int also)
{
	unsigned next = 3;

	for (size_t i = 0; i <= keep_count;) {
		bool take_also = also >= (int)next && (i == keep_count || also <= keep[i]);
		if (i == keep_count && !take_also)
			break;
		int fd = take_also ? also : keep[i];
		if (take_also)
			also = -1;
		else
			i++;
		if (fd < (int)next)
			continue;
		if ((unsigned)fd > next)
			close_range(next, (unsigned)fd - 1, 0);
		next = (unsigned)fd + 1;
	}
	close_range(next, ~0U, 0);
}

int child_procfs(struct child *child, enum report_stage stage)
{
	if (child->proc_fd < 0) {
		child->proc_fd = procfs_open(0);
		if (child->proc_fd < 0)
			child_fail(child, stage, child->proc_fd, "(private procfs)");
	}
	return child->proc_fd;
}

static void say(const struct child *child, enum report_type type)
{
	const struct report report = { .type = type };

	if (report_send(child->sync, &report, -1) < 0)
		_exit(125);
}

static void wait_for(const struct child *child, enum report_type type)
{
	struct report report;

	if (report_receive(child->sync, &report, NULL) != 1 || report.type != type)
		_exit(125); /* the creator is gone: so is the reason to live */
}

/* ---- namespaces ---- */

static void join_cgroups(const struct child *child)
{
	const struct plan *plan = child->plan;
	int r = plan->has_joiner ? 0 : cgroup_join(plan->join_fds, plan->join_fd_count);

	if (r < 0)
		child_fail(child, STAGE_JOIN_CGROUP, r, "%s", "");
	if (plan->new_cgroup_namespace && unshare(CLONE_NEWCGROUP) < 0)
		child_fail(child, STAGE_CGROUP_NAMESPACE, errno, "%s", "");
}

/* User and pid namespaces were joined before this process was born; the others now. */
static void join_namespaces(const struct child *child)
{
	const struct plan *plan = child->plan;

	for (size_t i = 0; i < plan->join_count; i++) {
		const struct plan_join *join = &plan->joins[i];
		if (join->flag == CLONE_NEWUSER || join->flag == CLONE_NEWPID || !join->flag)
			continue;
		if (setns(join->fd, (int)join->flag) < 0)
			child_fail(child, STAGE_JOIN_NAMESPACE, errno, "(of kind 0x%llx)",
				(unsigned long long)join->flag);
	}
}

static void become_root(const struct child *child)
{
	if (!child->plan->process.keeps_groups && setgroups(0, NULL) < 0 && errno != EPERM)
		child_fail(child, STAGE_BECOME_ROOT, errno, "%s", "");
	if (setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0)
		child_fail(child, STAGE_BECOME_ROOT, errno, "%s", "");
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}

static void set_names(const struct child *child)
{
	const struct plan *plan = child->plan;

	if (plan->hostname && sethostname(plan->hostname, strlen(plan->hostname)) < 0)
		child_fail(child, STAGE_HOSTNAME, errno, "%s", plan->hostname);
	if (plan->domainname && setdomainname(plan->domainname, strlen(plan->domainname)) < 0)
		child_fail(child, STAGE_HOSTNAME, errno, "%s", plan->domainname);
}

static void set_sysctls(struct child *child)
{
	char name[SYSCTL_PATH_MAX], path[SYSCTL_PATH_MAX + 8];
	struct map_entry *entry;

	if (!child->plan->sysctls)
		return;
	map_foreach (entry, child->plan->sysctls) {
		if (sysctl_path(entry->key, name) < 0)
			child_fail(child, STAGE_SYSCTL, EINVAL, "%s", entry->key);
		snprintf(path, sizeof(path), "sys/%s", name);
		int r = procfs_write(child_procfs(child, STAGE_SYSCTL), path, entry->value);
		if (r < 0)
			child_fail(child, STAGE_SYSCTL, r, "%s", entry->key);
	}
}

/* The files of a process that is not to be looked at are the host's root's, whom nobody in a user namespace is. */
static int open_time_offsets(struct child *child)
{
	char path[64];

	if (!child->plan->new_time_namespace)
		return -1;
	snprintf(path, sizeof(path), "%d/timens_offsets", getpid());
	int fd = procfs_open_file(child_procfs(child, STAGE_TIME), path, O_WRONLY);
	if (fd < 0)
		child_fail(child, STAGE_TIME, fd, "%s", "");
	return fd;
}

/* Its clocks can be set as long as nobody is in it, so it is not cloned into like the others. */
static void enter_time_namespace(struct child *child, int offsets)
{
	int proc = child_procfs(child, STAGE_TIME);
	char path[64], line[96];
	struct map_entry *entry;

	if (unshare(CLONE_NEWTIME) < 0)
		child_fail(child, STAGE_TIME, errno, "%s", "");
	for (size_t cursor = 0; child->plan->time_offsets && (entry = map_next(child->plan->time_offsets, &cursor));) {
		const struct oci_time_offset *offset = entry->value;
		int len = snprintf(line, sizeof(line), "%s %lld %lld\n", entry->key, (long long)offset->secs,
			(long long)offset->nanosecs);
		/* A line is written at the beginning, and pwrite is not for this file. */
		if (write(offsets, line, (size_t)len) != len || lseek(offsets, 0, SEEK_SET) < 0)
			child_fail(child, STAGE_TIME, errno, "(%s)", entry->key);
	}
	snprintf(path, sizeof(path), "%d/ns/time_for_children", getpid());
	int fd = openat(proc, path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || setns(fd, CLONE_NEWTIME) < 0)
		child_fail(child, STAGE_TIME, errno, "%s", "");
	fd_close(&fd);
}

static void enter_namespaces(struct child *child)
{
	const struct plan *plan = child->plan;

	join_cgroups(child);
	_autoclose_ int time_offsets = open_time_offsets(child);
	if (plan->new_namespaces & CLONE_NEWUSER)
		wait_for(child, REPORT_GO);
	if (plan->process.new_keyring) {
		int r = keyring_join_new_session();
		if (r < 0)
			child_fail(child, STAGE_KEYRING, r, "%s", "");
	}
	if (plan->becomes_root)
		become_root(child);
	join_namespaces(child);
	if (plan->new_time_namespace)
		enter_time_namespace(child, time_offsets);
	if (plan->loopback) {
		int r = loopback_up();
		if (r < 0)
			child_fail(child, STAGE_LOOPBACK, r, "%s", "");
	}
	set_names(child);
	set_sysctls(child);
}

/* ---- stdio, working folder, command ---- */

/* The host's null device is exchanged for the container's: through a descriptor of it root inside could change the host's node (its
 * mode, say), and a checkpoint holds no way to a file that lies outside. */
static int open_stdio(int given)
{
	struct stat st, own;

	if (given < 0)
		return open("/dev/null", O_RDWR | O_CLOEXEC);
	if (fstat(given, &st) == 0 && S_ISCHR(st.st_mode) && st.st_rdev == makedev(1, 3)) {
		_autoclose_ int fd = open("/dev/null", O_RDWR | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
		if (fd >= 0 && fstat(fd, &own) == 0 && S_ISCHR(own.st_mode) && own.st_rdev == st.st_rdev &&
			fcntl(fd, F_SETFL, 0) == 0)
			return TAKE_FD(fd);
	}
	return fcntl(given, F_DUPFD_CLOEXEC, 3);
}

static void set_stdio(struct child *child)
{
	const struct plan_process *process = &child->plan->process;

	if (process->terminal) {
		setsid();
		if (ioctl(child->console_fd, TIOCSCTTY, 0) < 0)
			child_fail(child, STAGE_CONSOLE, errno, "%s", "");
		for (int fd = 0; fd < 3; fd++)
			if (dup2(child->console_fd, fd) < 0)
				child_fail(child, STAGE_STDIO, errno, "%s", "");
		if (child->console_fd > 2)
			fd_close(&child->console_fd);
		return;
	}
	setsid();
	/* The plan's may be 0, 1, 2 in any order: first out of the way. */
	int moved[3];
	for (int fd = 0; fd < 3; fd++) {
		moved[fd] = open_stdio(process->stdio[fd]);
		if (moved[fd] < 0)
			child_fail(child, STAGE_STDIO, errno, "%s", "");
	}
	for (int fd = 0; fd < 3; fd++)
		if (moved[fd] == fd ? fcntl(fd, F_SETFD, 0) < 0 : dup2(moved[fd], fd) < 0)
			child_fail(child, STAGE_STDIO, errno, "%s", "");
	for (int fd = 0; fd < 3; fd++)
		if (moved[fd] > 2)
			close(moved[fd]);
}

/* The user should own the pipes or the terminal he is given: /dev/stdout is opened anew by many. */
static void own_stdio(const struct child *child)
{
	struct stat st;

	for (int fd = 0; fd < 3; fd++) {
		bool is_ours = fstat(fd, &st) == 0 && (S_ISFIFO(st.st_mode) || S_ISSOCK(st.st_mode) ||
							      (S_ISCHR(st.st_mode) && child->plan->process.terminal));
		/* A terminal's group is what lets others write to it. */
		gid_t gid = S_ISCHR(st.st_mode) ? st.st_gid : child->plan->process.identity->gid;
		if (!is_ours || (st.st_uid == child->plan->process.identity->uid && st.st_gid == gid))
			continue;
		/* Best effort: a pipe from outside the user namespace, or somebody's terminal, may not be given away. */
		if (fchown(fd, child->plan->process.identity->uid, gid) < 0)
			continue;
	}
}

static void check_cwd_inside(const struct child *child)
{
	char cwd[PATH_MAX];
	long len = syscall(SYS_getcwd, cwd, sizeof(cwd));

	/* The raw call says "(unreachable)" where glibc would make up an answer (CVE-2024-21626). */
	if (len < 0 && errno == ENOENT)
		child_fail(child, STAGE_CWD_OUTSIDE, ENOENT, "(\"%s\")", child->plan->process.cwd);
	if (len < 0 || cwd[0] != '/')
		child_fail(child, STAGE_CWD_OUTSIDE, len < 0 ? errno : ENOENT, "(\"%s\")", child->plan->process.cwd);
}

/* As root, then as the user: a folder may let in only one of the two. */
static bool enter_cwd(const struct child *child, bool is_last_try)
{
	if (chdir(child->plan->process.cwd) == 0)
		return true;
	if (!is_last_try && errno == EACCES)
		return false;
	child_fail(child, STAGE_CWD, errno, "(\"%s\") set in config.json failed", child->plan->process.cwd);
}

static void find_command(struct child *child)
{
	const struct plan_process *process = &child->plan->process;
	char why[LOOKUP_WHY_MAX];
	int r = lookup_command(process->args[0], process->path_list, child->command, why);

	if (r < 0)
		child_fail(child, STAGE_COMMAND, r, "%s", why);
}

static void resolve_identity(struct child *child)
{
	const struct plan_process *process = &child->plan->process;
	char why[IDENTITY_WHY_MAX];
	int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (root < 0)
		child_fail(child, STAGE_USER, errno, "%s", "");
	if (process->user) {
		int r = identity_resolve(root, process->user, process->group_add, process->identity, why);
		if (r < 0)
			child_fail(child, STAGE_USER, r, "%s", why);
	} else if (process->needs_home) {
		identity_home(root, process->identity->uid, process->identity->home);
	}
	fd_close(&root);
	if (process->needs_home) {
		int len = snprintf(child->home_entry, sizeof(child->home_entry), "HOME=%s", process->identity->home);
		if (len > 0 && (size_t)len < sizeof(child->home_entry))
			process->env[process->env_count] = child->home_entry;
	}
}

/* ---- the end ---- */

/* In the foreground of a job of its own, once the init program is in place: a command that looks at PID 1 sees it. */
static void become_command(int gate)
{
	sigset_t none;
	char byte;

	while (read(gate, &byte, 1) < 0 && errno == EINTR)
		;
	fd_close(&gate);
	setpgid(0, 0);
	tcsetpgrp(0, getpid()); /* SIGTTOU is blocked */
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

/*
 * --init: this process forks, the new one goes on to be the user's command, and this one becomes the init program, told whose
 * signals to forward. Both hold the sync socket until they execute. Signals are blocked from before the fork, and execve
 * keeps the mask: none that arrives early is lost.
 */
static void split_off_init(struct child *child)
{
	const struct plan_process *process = &child->plan->process;
	char pid_text[16];
	sigset_t all;
	int gate[2];

	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	pid_t pid = pipe2(gate, O_CLOEXEC) < 0 ? -1 : fork();
	if (pid < 0)
		child_fail(child, STAGE_INIT_PROGRAM, errno, "(fork)");
	if (pid == 0) {
		fd_close(&gate[1]);
		become_command(gate[0]);
		return;
	}
	fd_close(&gate[0]);
	child_privileges_final(child);
	snprintf(pid_text, sizeof(pid_text), "%d", pid);
	process->init_args[INIT_PID_ARGUMENT] = pid_text;
	execveat(process->init_fd, "", process->init_args, process->env, AT_EMPTY_PATH);
	child_fail(child, STAGE_INIT_PROGRAM, errno, "%s", "");
}

static const char *exec_errno_text(int errnum)
{
	switch (errnum) {
	case ENOEXEC: return "exec format error";
	case ENOENT: return "no such file or directory";
	case EACCES: return "permission denied";
	default: return strerror(errnum);
	}
}

_Noreturn static void execute(struct child *child)
{
	const struct plan_process *process = &child->plan->process;

	child_privileges_final(child);
	if (!child->plan->is_exec)
		child_run_hooks(child, child->plan->hooks->start_container, child->plan->hooks->start_container_count,
			"startContainer");
	execve(child->command, process->args, process->env);
	const char *why = exec_errno_text(errno);
	if (!process->says_exec_error)
		child_fail(child, STAGE_EXEC, errno, "exec %s: %s", child->command, why);
	dprintf(STDERR_FILENO, "exec %s: %s\n", child->command, why);
	_exit(255);
}

static void end_early(int signo)
{
	_exit(128 + signo);
}

/* The first process of a pid namespace hears of no signal that it does not handle. Whoever asks a container to end that is not even
 * started means it; execve takes the handlers away. */
static void heed_signals(void)
{
	static const int heeded[] = { SIGHUP, SIGINT, SIGQUIT, SIGTERM };
	const struct sigaction action = { .sa_handler = end_early };

	for (size_t i = 0; i < ARRAY_SIZE(heeded); i++)
		sigaction(heeded[i], &action, NULL);
}

/* A start may come from another process; one that goes away before it said START does not count. */
static void wait_for_start(struct child *child)
{
	struct report report;

	if (child->plan->start_listen_fd < 0) {
		say(child, REPORT_READY);
		wait_for(child, REPORT_START);
		return;
	}
	int r = io_set_nonblock(child->plan->start_listen_fd, false);
	if (r < 0)
		child_fail(child, STAGE_SYNC, r, "(start socket)");
	heed_signals();
	say(child, REPORT_READY);
	fd_close(&child->sync);
	for (;;) {
		child->sync = accept4(child->plan->start_listen_fd, NULL, NULL, SOCK_CLOEXEC);
		if (child->sync < 0 && errno != EINTR && errno != ECONNABORTED)
			_exit(125);
		if (child->sync >= 0 && report_receive(child->sync, &report, NULL) == 1 && report.type == REPORT_START)
			return;
		fd_close(&child->sync);
	}
}

/* Where nothing of the caller's was open there may be something of ours, which is always marked. */
static void close_marked(unsigned end, const int *keep, size_t keep_count)
{
	for (unsigned fd = 3; fd < end; fd++) {
		int flags = fcntl((int)fd, F_GETFD);
		bool is_kept = flags < 0 || !(flags & FD_CLOEXEC);
		for (size_t i = 0; i < keep_count; i++)
			is_kept = is_kept || keep[i] == (int)fd;
		if (!is_kept)
			close((int)fd);
	}
}

/* What is still needed: stdio, what is to be preserved, and these. */
static void close_all_but(const struct child *child)
{
	int keep[5] = { child->plan->process.init_fd, child->plan->start_listen_fd, child->proc_fd, child->sync,
		child->plan->state_fd };

	for (int i = 1; i < 5; i++)
		for (int k = i; k > 0 && keep[k] < keep[k - 1]; k--) {
			int swap = keep[k];
			keep[k] = keep[k - 1];
			keep[k - 1] = swap;
		}
	unsigned next = 3 + child->plan->process.preserve_fds;
	close_marked(next, keep, 5);
	for (int i = 0; i < 5; i++) {
		if (keep[i] < (int)next)
			continue;
		if ((unsigned)keep[i] > next)
			close_range(next, (unsigned)keep[i] - 1, 0);
		next = (unsigned)keep[i] + 1;
	}
	close_range(next, ~0U, 0);
}

static void become_user(struct child *child)
{
	resolve_identity(child);
	bool entered = enter_cwd(child, false);
	set_stdio(child);
	own_stdio(child);
	child_privileges_early(child);
	if (!entered)
		enter_cwd(child, true);
	check_cwd_inside(child);
	umask(child->plan->process.umask);
	find_command(child);
	close_all_but(child);
}

static void run_container(struct child *child)
{
	const struct plan *plan = child->plan;

	enter_namespaces(child);
	if (plan->wants_hook_stop && !(plan->new_namespaces & CLONE_NEWUSER))
		wait_for(child, REPORT_GO); /* the creator has written the state document */
	child_mounts(child);
	become_user(child);
	wait_for_start(child);
}

static void run_exec(struct child *child)
{
	const struct plan *plan = child->plan;

	if (plan->process.new_keyring) {
		int r = keyring_join_new_session();
		if (r < 0)
			child_fail(child, STAGE_KEYRING, r, "%s", "");
	}
	if (plan->becomes_root)
		become_root(child);
	if (plan->root_fd >= 0) {
		int r = mount_enter(plan->root_fd);
		if (r < 0)
			child_fail(child, STAGE_PIVOT, r, "%s", "");
		fd_close(&child->root_fd);
	}
	if (plan->process.terminal)
		child_console(child, false);
	become_user(child);
}

_Noreturn void child_run(const struct plan *plan, int sync, const int *keep, size_t keep_count)
{
	struct child child = { .plan = plan,
		.sync = sync,
		.root_fd = plan->root_fd,
		.proc_fd = -1,
		.proc_mount = -1,
		.sys_mount = -1,
		.dev_mount = -1,
		.console_fd = -1 };

	child_close_others(keep, keep_count, sync);
	signals_reset();
	umask(0);
	if (plan->has_joiner)
		wait_for(&child, REPORT_GO);
	if (plan->is_exec)
		run_exec(&child);
	else
		run_container(&child);
	if (plan->process.init_fd >= 0)
		split_off_init(&child);
	execute(&child);
}
