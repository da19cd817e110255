#include "monitor/monitor.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/log.h"
#include "monitor/control.h"
#include "monitor/end.h"
#include "monitor/logs.h"
#include "monitor/recover.h"
#include "monitor/state.h"
#include "monitor/stop.h"
#include "sys/cgroup.h"

#define LOCK_WAIT_MS 3000
#define LOCK_STEP_MS 10

static const char lock_file[] = "monitor.lock";
static const char launch_file[] = "launch.json";

/* --- launch.json --- */

static bool is_loaded(const struct monitor *monitor, const struct stat *file)
{
	const struct stat *had = &monitor->launch_file;

	return monitor->has_launch && had->st_ino == file->st_ino && had->st_size == file->st_size &&
	       had->st_mtim.tv_sec == file->st_mtim.tv_sec && had->st_mtim.tv_nsec == file->st_mtim.tv_nsec;
}

int monitor_load_launch(struct monitor *monitor, struct err **reterr)
{
	_cleanup_(buf_finish) struct buf text = BUF_INIT(LAUNCH_MAX);
	struct launch launch;
	struct restart_policy policy;
	struct stat file;

	if (fstatat(monitor->run_fd, launch_file, &file, AT_SYMLINK_NOFOLLOW) < 0)
		return err_errno(reterr, -errno, "cannot read the container's %s", launch_file);
	if (is_loaded(monitor, &file))
		return 0;
	int ret = io_read_file(monitor->run_fd, launch_file, &text);

	if (ret < 0)
		return err_errno(reterr, ret, "cannot read the container's %s", launch_file);
	ret = launch_parse(text.data ?: "", text.len, &launch, reterr);
	if (ret < 0)
		return ret;
	if (strcmp(launch.id ?: "", monitor->options.id) != 0)
		ret = err_set(reterr, ERR_INTERNAL, 0, "%s belongs to another container", launch_file);
	else if (restart_policy_parse(launch.restart_policy.name, launch.restart_policy.max_retry, &policy) < 0)
		ret = err_set(reterr, ERR_INVALID, 0, "invalid restart policy: unknown policy '%s'",
			launch.restart_policy.name);
	if (ret < 0) {
		launch_finish(&launch);
		return ret;
	}
	if (monitor->has_launch)
		launch_finish(&monitor->launch);
	monitor->launch = launch;
	monitor->has_launch = true;
	monitor->launch_file = file; /* a newer one that was read after all is read once more: no harm */
	monitor->restart.policy = policy;
	return 0;
}

int monitor_need_launch(struct monitor *monitor, struct err **reterr)
{
	/* While nothing runs or is to run, a newer document may be there. */
	if (monitor->has_launch && (monitor->phase != PHASE_IDLE || monitor->start))
		return 0;
	int ret = monitor_load_launch(monitor, reterr);
	if (ret < 0 && monitor->has_launch && reterr) {
		err_free(*reterr);
		*reterr = NULL;
		return 0;
	}
	return ret;
}

bool monitor_has_terminal(const struct monitor *monitor)
{
	return monitor->has_launch && monitor->launch.oci.process && monitor->launch.oci.process->terminal;
}

int monitor_need_running(const struct monitor *monitor, struct err **reterr)
{
	if (monitor->phase == PHASE_RUNNING)
		return 0;
	if (monitor->phase == PHASE_RESTARTING)
		return err_set(reterr, ERR_CONFLICT, 0,
			"Container %s is restarting, wait until the container is running", monitor->options.id);
	return err_set(reterr, ERR_CONFLICT, 0, "container %s is not running", monitor->options.id);
}

/* --- clients, and our own end --- */

int monitor_client_begin(struct monitor *monitor, struct err **reterr)
{
	if (monitor->clients >= MONITOR_CLIENTS_MAX)
		return err_set(reterr, ERR_UNAVAILABLE, 0, "container %s has %d clients already", monitor->options.id,
			MONITOR_CLIENTS_MAX);
	monitor->clients++;
	return 0;
}

void monitor_client_end(struct monitor *monitor)
{
	monitor->clients--;
	monitor_quit_if_done(monitor);
}

static bool is_done(const struct monitor *monitor)
{
	return monitor->finishing && monitor->phase == PHASE_IDLE && !monitor->start && !monitor->clients;
}

void monitor_quit_if_done(struct monitor *monitor)
{
	if (is_done(monitor))
		loop_quit(monitor->loop, 0);
}

/* --- making and ending it --- */

/* The engine made it. It must not be made again: whoever spawned us may have had it removed meanwhile. */
static int open_folder(struct monitor *monitor, struct err **reterr)
{
	_cleanup_free_ char *path = NULL;
	if (asprintf(&path, "%s/containers/%s", monitor->options.exec_root, monitor->options.id) < 0) {
		path = NULL;
		return err_oom(reterr);
	}
	monitor->run_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	/* Removed right behind the end that made tared ask for a recovery: nothing is left to recover. */
	monitor->finishing = monitor->run_fd < 0 && errno == ENOENT && monitor->options.recover;
	return monitor->run_fd < 0 && !monitor->finishing ? err_errno(reterr, -errno, "cannot open %s", path) : 0;
}

/*
 * Asked for by an engine, we may meet one that is just ending, or one that tared has sent to look after a monitor whose end
 * it could not see; neither stays. Sent by tared, we are not needed where another is.
 */
static int lock_wait(const struct monitor *monitor)
{
	const struct timespec step = { .tv_nsec = LOCK_STEP_MS * NS_PER_MS };
	int64_t deadline_ms = clock_monotonic_ms() + (monitor->options.recover ? 0 : LOCK_WAIT_MS);

	while (flock(monitor->lock_fd, LOCK_EX | LOCK_NB) < 0) {
		if (errno != EWOULDBLOCK)
			return -errno;
		if (clock_monotonic_ms() >= deadline_ms)
			return -EBUSY;
		nanosleep(&step, NULL);
	}
	return 0;
}

static int take_lock(struct monitor *monitor, struct err **reterr)
{
	monitor->lock_fd = openat(monitor->run_fd, lock_file, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (monitor->lock_fd < 0)
		return err_errno(reterr, -errno, "cannot open %s", lock_file);
	int ret = lock_wait(monitor);
	if (ret == -EBUSY)
		return err_set(reterr, ERR_CONFLICT, EBUSY, "container %s has a monitor already", monitor->options.id);
	return ret < 0 ? err_errno(reterr, ret, "cannot lock %s", lock_file) : 0;
}

static void on_sigchld(struct loop_source *source, int signo, void *data)
{
	(void)source;
	(void)signo;
	end_reap(data);
}

static void on_output_end(struct procio *stdio, void *user)
{
	(void)stdio;
	end_output_ended(user);
}

static void on_logged(struct procio *stdio, void *user)
{
	(void)stdio;
	logs_tell_followers(user);
}

static int prepare_process(struct monitor *monitor, struct err **reterr)
{
	if (prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0)
		return err_errno(reterr, -errno, "cannot become the reaper of the container's orphans");
	if (signal(SIGPIPE, SIG_IGN) == SIG_ERR)
		return err_errno(reterr, -errno, "cannot ignore SIGPIPE");
	int ret = loop_new(&monitor->loop);
	if (ret == 0)
		ret = loop_add_signal(monitor->loop, SIGCHLD, on_sigchld, monitor, &monitor->sigchld);
	return ret < 0 ? err_errno(reterr, ret, "cannot make the event loop") : 0;
}

static void init_members(struct monitor *monitor)
{
	monitor->run_fd = monitor->lock_fd = monitor->root_lock_fd = monitor->mounts_fd = monitor->oom_fd =
		monitor->seccomp_fd = monitor->network_fd = monitor->foreign_fd = -1;
	monitor->netfilter = (struct netlink)NETLINK_NONE;
	monitor->state.started_at_ns = monitor->state.finished_at_ns = CLOCK_NEVER;
	list_init(&monitor->attaches);
	list_init(&monitor->waits);
	list_init(&monitor->followers);
	list_init(&monitor->stats);
	list_init(&monitor->stops);
	resolve_init(&monitor->resolve);
	spliced_init(&monitor->spliced);
	exec_table_init(&monitor->execs);
	health_init(&monitor->health, monitor);
	procio_init(&monitor->stdio, NULL);
}

int monitor_new(const struct monitor_options *options, struct monitor **ret, struct err **reterr)
{
	_autoclose_ int engine_fd = options->engine_fd;
	_autofree_(monitor) struct monitor *monitor = calloc(1, sizeof *monitor);
	if (!monitor)
		return err_oom(reterr);
	monitor->options = *options;
	init_members(monitor);

	int r = prepare_process(monitor, reterr);
	if (r == 0)
		r = open_folder(monitor, reterr);
	if (r == 0 && monitor->finishing) {
		*ret = TAKE(monitor);
		return 0;
	}
	if (r == 0)
		r = take_lock(monitor, reterr);
	if (r == 0)
		r = state_load(monitor, reterr);
	if (r < 0)
		return r;
	procio_init(&monitor->stdio, monitor->loop);
	monitor->stdio.on_end = on_output_end;
	monitor->stdio.on_logged = on_logged;
	monitor->stdio.user = monitor;
	r = control_new(monitor, TAKE_FD(engine_fd), &monitor->control, reterr);
	if (r == 0)
		r = recover(monitor, reterr);
	if (r < 0)
		return r;
	*ret = TAKE(monitor);
	return 0;
}

/* At the end of the process: clients that are left, if any, are cut off. */
void monitor_free(struct monitor *monitor)
{
	if (!monitor)
		return;
	control_free(monitor->control);
	stop_free_all(monitor);
	exec_table_finish(&monitor->execs);
	health_finish(&monitor->health);
	resolve_close(monitor);
	spliced_close(monitor);
	procio_close(&monitor->stdio);
	logs_free(monitor);
	container_free(monitor->container);
	loop_source_free(monitor->end_timer);
	loop_source_free(monitor->oom_source);
	loop_source_free(monitor->sigchld);
	fd_close(&monitor->oom_fd);
	fd_close(&monitor->seccomp_fd);
	fd_close(&monitor->network_fd);
	cgroup_host_free(monitor->cgroup_host);
	end_drop_mounts(monitor);
	fd_close(&monitor->foreign_fd);
	netlink_close(&monitor->netfilter);
	if (monitor->has_launch)
		launch_finish(&monitor->launch);
	runstate_finish(&monitor->state);
	loop_free(monitor->loop);
	fd_close(&monitor->lock_fd);
	fd_close(&monitor->run_fd);
	free(monitor);
}

int monitor_run(struct monitor *monitor)
{
	/* Done already: a recovery that found nothing. Not done any more after a round: behind the last `finish` came a client,
	 * and it has been told that we serve it. */
	int r = 0;
	while (r == 0 && !is_done(monitor))
		r = loop_run(monitor->loop);
	if (r == 0 && monitor->control)
		control_leave(monitor->control);
	return r;
}
