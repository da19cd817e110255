/*
 * When init has exited: whatever else is in its groups is killed (with a pid namespace of its own the kernel has done that),
 * the pipes are read to their end, END_OUTPUT_MS at most; the groups are removed; state.json gets the exit code; the event
 * `die` is sent; and only then do streams end and waits get their answers, so that nobody sees an end of file before the
 * exit code can be asked for. The restart policy comes last. Mounts that we hold (end.h) go when the engine wants us to end.
 */
#include "monitor/end.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <sys/wait.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/log.h"
#include "base/strv.h"
#include "monitor/attach.h"
#include "monitor/exec.h"
#include "monitor/lend.h"
#include "monitor/logs.h"
#include "monitor/monitor.h"
#include "monitor/network.h"
#include "monitor/run.h"
#include "monitor/state.h"
#include "monitor/stop.h"
#include "monitor/wait.h"
#include "sys/namespaces.h"

#define END_OUTPUT_MS   2000
#define END_DESTROY_MS  2000
#define GROUPS_FILE_MAX (64 * 1024)

static const char groups_file[] = "cgroup";

/* --- out of memory --- */

static bool oom_happened(const struct monitor *monitor)
{
	uint64_t kills = 0;
	return monitor->container && container_oom_kills(monitor->container, &kills) == 0 && kills > 0;
}

/* The flag and the event, once a run. */
static void record_oom(struct monitor *monitor)
{
	if (monitor->state.oom_killed || !oom_happened(monitor))
		return;
	monitor->state.oom_killed = true;
	state_event(monitor, "oom", NULL);
}

static void on_oom(struct loop_source *source, uint32_t events, void *data)
{
	(void)source;
	struct monitor *monitor = data;
	if (!(events & EPOLLIN)) {
		loop_fd_set_events(source, 0);
		return;
	}
	container_oom_drain(monitor->oom_fd);
	record_oom(monitor);
}

void end_watch_oom(struct monitor *monitor)
{
	monitor->oom_fd = container_oom_open(monitor->container);
	if (monitor->oom_fd < 0) {
		monitor->oom_fd = -1;
		return;
	}
	if (loop_add_fd(monitor->loop, monitor->oom_fd, EPOLLIN, on_oom, monitor, &monitor->oom_source) < 0)
		fd_close(&monitor->oom_fd);
}

/* --- mounts --- */

/* Unmounting these writes nothing out, and is no news to anybody outside. */
static bool is_own_mount(const struct oci_mount *mount)
{
	static const char types[][8] = { "proc", "tmpfs", "devpts", "mqueue", "sysfs", "cgroup" };

	for (size_t i = 0; i < ARRAY_SIZE(types); i++)
		if (mount->type && strcmp(mount->type, types[i]) == 0)
			return true;
	return false;
}

void end_keep_mounts(struct monitor *monitor, pid_t pid)
{
	const struct launch *launch = &monitor->launch;
	bool keep = launch->auto_remove;
	char path[64];

	for (size_t i = 0; keep && i < launch->oci.mount_count; i++)
		keep = is_own_mount(&launch->oci.mounts[i]);
	if (!keep)
		return;
	snprintf(path, sizeof path, "/proc/%d/ns/mnt", (int)pid);
	int fd = namespace_open(path, CLONE_NEWNS);
	monitor->mounts_fd = fd < 0 ? -1 : fd;
}

void end_drop_mounts(struct monitor *monitor)
{
	fd_close(&monitor->mounts_fd);
	fd_close(&monitor->root_lock_fd);
}

/* --- releasing --- */

void end_release(struct monitor *monitor)
{
	_autofree_(err) struct err *err = NULL;

	lend_end(monitor);
	loop_source_free(monitor->oom_source);
	monitor->oom_source = NULL;
	fd_close(&monitor->oom_fd);
	if (monitor->container) {
		if (container_destroy(monitor->container, END_DESTROY_MS, &err) < 0)
			log_error("the container's groups are left to the next start: %s", err_message(err));
		else
			unlinkat(monitor->run_fd, groups_file, 0);
		container_free(monitor->container);
		monitor->container = NULL;
	}
	network_forget(monitor);
	fd_close(&monitor->seccomp_fd);
	if (monitor->mounts_fd < 0)
		end_drop_mounts(monitor);
}

int end_clear_leftovers(struct monitor *monitor, struct err **reterr)
{
	_cleanup_(buf_finish) struct buf text = BUF_INIT(GROUPS_FILE_MAX);
	_autofree_(container) struct container *left = NULL;
	int ret = io_read_file(monitor->run_fd, groups_file, &text);

	network_clear_leftovers(monitor);
	if (ret == -ENOENT)
		return 0;
	if (ret < 0)
		return err_errno(reterr, ret, "cannot read the list of the container's groups");
	while (text.len && text.data[text.len - 1] == '\n')
		text.data[--text.len] = '\0';
	_autofree_(strv) char **folders = text.len ? strv_split(text.data, '\n') : NULL;
	if (text.len && !folders)
		return err_oom(reterr);
	if (folders) {
		ret = container_adopt(monitor->options.id, folders, 0, -1, &left, reterr);
		if (ret == 0)
			ret = container_destroy(left, END_DESTROY_MS, reterr);
		if (ret < 0)
			return ret;
	}
	return unlinkat(monitor->run_fd, groups_file, 0) < 0 && errno != ENOENT
		       ? err_errno(reterr, -errno, "cannot remove the list of the container's groups")
		       : 0;
}

/* --- recording --- */

static void on_restart_time(struct loop_source *source, void *data)
{
	(void)source;
	struct monitor *monitor = data;
	end_cancel_restart_timer(monitor);
	run_restart(monitor);
}

bool end_cancel_restart_timer(struct monitor *monitor)
{
	bool ran = monitor->phase == PHASE_RESTARTING;
	if (ran) {
		loop_source_free(monitor->end_timer);
		monitor->end_timer = NULL;
		monitor->phase = PHASE_IDLE;
	}
	return ran;
}

void end_resume_restart(struct monitor *monitor)
{
	int64_t now_ms = clock_monotonic_ms();
	if (monitor->has_launch &&
		loop_add_timer(monitor->loop, now_ms, on_restart_time, monitor, &monitor->end_timer) == 0) {
		monitor->phase = PHASE_RESTARTING;
		return;
	}
	state_set_status(monitor, "exited");
	state_save(monitor);
}

void end_give_up_restart(struct monitor *monitor)
{
	if (!end_cancel_restart_timer(monitor))
		return;
	state_set_status(monitor, "exited");
	state_save(monitor);
	stop_answer_all(monitor);
	wait_answer_exit(monitor);
	monitor_quit_if_done(monitor);
}

/* Whether the restart policy wants another run; its timer is then armed. */
static bool plan_restart(struct monitor *monitor, int exit_code, int64_t ran_ms)
{
	int64_t delay_ms;
	if (monitor->launch.auto_remove || monitor->removed ||
		!restart_decide(&monitor->restart, exit_code, monitor->state.stop_requested, ran_ms, &delay_ms))
		return false;
	int ret = loop_add_timer(monitor->loop, clock_monotonic_ms() + delay_ms, on_restart_time, monitor,
		&monitor->end_timer);
	if (ret < 0) {
		log_error("out of memory: the container is not restarted");
		return false;
	}
	monitor->state.restart_count = monitor->restart.count;
	return true;
}

void end_record(struct monitor *monitor, int exit_code)
{
	struct runstate *state = &monitor->state;
	char code[16], duration[24];
	int64_t ran_ns = monitor->exited_at_ns - state->started_at_ns;
	int64_t ran_ms = state->started_at_ns == CLOCK_NEVER || ran_ns < 0 ? 0 : ran_ns / NS_PER_MS;

	bool restarts = plan_restart(monitor, exit_code, ran_ms);
	monitor->phase = restarts ? PHASE_RESTARTING : PHASE_IDLE;
	state->pid = 0;
	state->init_start_time = 0;
	state->exit_code = exit_code;
	state->finished_at_ns = monitor->exited_at_ns;
	state_set_status(monitor, restarts ? "restarting" : "exited");
	snprintf(code, sizeof code, "%d", exit_code);
	snprintf(duration, sizeof duration, "%lld", (long long)(ran_ms / 1000));
	state_event(monitor, "die", "exitCode", code, "execDuration", duration, NULL);

	attach_end_all(monitor);
	logs_end_followers(monitor);
	wait_answer_exit(monitor);
	stop_answer_all(monitor);
	monitor_quit_if_done(monitor);
}

/* --- ending --- */

static void output_is_read(struct monitor *monitor)
{
	loop_source_free(monitor->end_timer);
	monitor->end_timer = NULL;
	procio_drain(&monitor->stdio);
	record_oom(monitor);
	exec_end_all(monitor);
	procio_close(&monitor->stdio);
	logs_close_writer(monitor);
	end_release(monitor);
	end_record(monitor, monitor->exit_code);
}

static void on_output_timer(struct loop_source *source, void *data)
{
	(void)source;
	output_is_read(data);
}

/* Which may be long before init ends. */
void end_output_ended(struct monitor *monitor)
{
	if (monitor->phase == PHASE_ENDING)
		output_is_read(monitor);
}

static void init_ended(struct monitor *monitor, int exit_code)
{
	_autofree_(err) struct err *err = NULL;

	monitor->phase = PHASE_ENDING;
	monitor->exit_code = exit_code;
	monitor->exited_at_ns = clock_realtime_ns();
	health_stop(&monitor->health);
	stop_end_timers(monitor);
	procio_process_ended(&monitor->stdio);
	if (!monitor->pid_namespace_is_own && container_kill_all(monitor->container, &err) < 0)
		log_warn("cannot end what the container's init left behind: %s", err_message(err));
	/* With nobody left who could write, what is in the pipes is all there is. */
	if (monitor->pid_namespace_is_own || !procio_has_output(&monitor->stdio) ||
		loop_add_timer(monitor->loop, clock_monotonic_ms() + END_OUTPUT_MS, on_output_timer, monitor,
			&monitor->end_timer) < 0)
		output_is_read(monitor);
}

static int exit_code_of(const siginfo_t *info)
{
	return info->si_code == CLD_EXITED ? info->si_status : 128 + info->si_status;
}

/* Execs first: their codes are told before the container's end makes them moot. */
void end_reap(struct monitor *monitor)
{
	bool init_is_dead = false;
	int init_code = 0;

	for (;;) {
		siginfo_t info = { .si_pid = 0 };
		if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG) < 0 || info.si_pid == 0)
			break;
		if (monitor->phase == PHASE_RUNNING && info.si_pid == monitor->state.pid) {
			init_is_dead = true;
			init_code = exit_code_of(&info);
		} else if (!logs_reaped(monitor, info.si_pid, exit_code_of(&info)) &&
			   !run_reaped(monitor, info.si_pid, exit_code_of(&info)) &&
			   !resolve_reaped(monitor, info.si_pid, exit_code_of(&info)) &&
			   !spliced_reaped(monitor, info.si_pid, exit_code_of(&info)))
			exec_reaped(monitor, info.si_pid, exit_code_of(&info));
	}
	if (init_is_dead)
		init_ended(monitor, init_code);
}
