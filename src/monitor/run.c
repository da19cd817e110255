/*
 * A start, in this order: launch.json is read, the log opened, what launch.json leaves open is found out (prepare.h), which may
 * mean to wait for the first content of volumes; the pipes made;
 * container_create, which first tells us its groups, so that they are on disk before they exist; container_start; then
 * state.json says `running` and the event is sent. A monitor killed anywhere in between leaves at most the groups and what
 * runs in them, which --recover ends.
 *
 * If it fails, what was made is undone, the state says why with Docker's exit codes (127 not found, 126 can't be executed,
 * 128 all else), and clients that came before the start get their end.
 */
#include "monitor/run.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/log.h"
#include "monitor/attach.h"
#include "monitor/end.h"
#include "monitor/fill.h"
#include "monitor/foreign.h"
#include "monitor/hostproc.h"
#include "monitor/logs.h"
#include "monitor/monitor.h"
#include "monitor/network.h"
#include "monitor/prepare.h"
#include "monitor/state.h"
#include "monitor/stop.h"
#include "monitor/wait.h"
#include "sys/cgroup.h"
#include "sys/pty.h"

#define GROUPS_FILE_MAX (64 * 1024)

static const char groups_file[] = "cgroup";

/* --- the pieces of a start --- */

static int write_groups(char *const *folders, void *user)
{
	struct monitor *monitor = user;
	_cleanup_(buf_finish) struct buf text = BUF_INIT(GROUPS_FILE_MAX);

	for (; *folders; folders++) {
		int ret = buf_printf(&text, "%s\n", *folders);
		if (ret < 0)
			return ret;
	}
	return io_replace_file(monitor->run_fd, groups_file, text.data ?: "", text.len, false);
}

static void warn(const char *message, void *user)
{
	(void)user;
	log_warn("%s", message);
}

/* Both ends of what the container gets without a terminal. */
struct start_pipes {
	int ours[3];
	int theirs[3];
};

#define START_PIPES_INIT                            \
 {                                                  \
  .ours = { -1, -1, -1 }, .theirs = { -1, -1, -1 }, \
 }

static void pipes_close(struct start_pipes *pipes)
{
	for (int i = 0; i < 3; i++) {
		fd_close(&pipes->ours[i]);
		fd_close(&pipes->theirs[i]);
	}
}

static int pipes_open(struct start_pipes *pipes, bool with_stdin)
{
	for (int i = with_stdin ? 0 : 1; i < 3; i++) {
		int ends[2];
		if (pipe2(ends, O_CLOEXEC) < 0)
			return -errno;
		pipes->ours[i] = ends[i == 0 ? 1 : 0];
		pipes->theirs[i] = ends[i == 0 ? 0 : 1];
	}
	return 0;
}

static int open_streams(struct monitor *monitor, struct start_pipes *pipes)
{
	monitor->stdio.log = monitor->logwriter;
	if (monitor_has_terminal(monitor)) {
		int master = container_take_console(monitor->container);
		return master < 0 ? -ENODEV : procio_open_terminal(&monitor->stdio, master, monitor->launch.open_stdin);
	}
	return procio_open_pipes(&monitor->stdio, TAKE_FD(pipes->ours[0]), TAKE_FD(pipes->ours[1]),
		TAKE_FD(pipes->ours[2]));
}

static void first_size(const struct launch *launch, struct container_stdio *stdio)
{
	const struct oci_console_size *size = launch->oci.process->console_size;
	if (!size || size->width <= 0 || size->width > UINT16_MAX || size->height <= 0 || size->height > UINT16_MAX)
		return;
	stdio->columns = (uint16_t)size->width;
	stdio->rows = (uint16_t)size->height;
}

static int on_namespaces(pid_t pid, void *user, struct err **reterr)
{
	end_keep_mounts(user, pid);
	return network_make(pid, user, reterr);
}

static int create(struct monitor *monitor, struct prepared *prepared, struct start_pipes *pipes, struct err **reterr)
{
	struct container_options *options = &prepared->options;
	bool terminal = monitor_has_terminal(monitor);
	int ret = terminal ? 0 : pipes_open(pipes, monitor->launch.open_stdin);
	if (ret < 0)
		return err_errno(reterr, ret, "cannot make pipes for the container");
	memcpy(options->stdio.fds, pipes->theirs, sizeof options->stdio.fds);
	if (terminal)
		first_size(&monitor->launch, &options->stdio);
	options->starts_at_once = true;
	_autofree_(cgroup_host) struct cgroup_host *host = TAKE(monitor->cgroup_host);
	options->cgroup_host = host;
	_autoclose_ int network_fd = TAKE_FD(monitor->network_fd);
	options->network_fd = monitor->is_foreign ? monitor->foreign_fd : network_fd;
	options->on_namespaces = on_namespaces;
	options->on_groups = write_groups;
	options->on_warn = warn;
	options->user_data = monitor;
	ret = network_check_home(container_create(&monitor->launch.oci, options, &monitor->container, reterr));
	if (ret < 0) {
		unlinkat(monitor->run_fd, groups_file, 0); /* it has removed them */
		return ret;
	}
	/* What the container holds of our ends of the pipes' other sides would keep them from ever ending. */
	for (int i = 0; i < 3; i++)
		fd_close(&pipes->theirs[i]);
	ret = open_streams(monitor, pipes);
	return ret < 0 ? err_errno(reterr, ret, "cannot open the container's streams") : 0;
}

static int create_and_start(struct monitor *monitor, struct prepared *prepared, struct err **reterr)
{
	struct start_pipes pipes = START_PIPES_INIT;
	int ret = create(monitor, prepared, &pipes, reterr);
	pipes_close(&pipes);
	if (ret < 0)
		return ret;
	monitor->pid_namespace_is_own = false;
	const struct oci_namespace *pid_namespace = oci_spec_namespace(&monitor->launch.oci, "pid");
	if (pid_namespace && !pid_namespace->path && !monitor->launch.join.pid)
		monitor->pid_namespace_is_own = true;
	end_watch_oom(monitor);
	monitor->root_lock_fd = TAKE_FD(prepared->rootfs.lock_fd);
	monitor->seccomp_fd = TAKE_FD(prepared->seccomp_fd);
	return container_start(monitor->container, reterr);
}

/* --- the records --- */

static void record_running(struct monitor *monitor)
{
	struct runstate *state = &monitor->state;

	monitor->phase = PHASE_RUNNING;
	free(state->error);
	state->error = NULL;
	state->pid = container_pid(monitor->container);
	state->exit_code = 0;
	state->oom_killed = false;
	if (hostproc_start_time((pid_t)state->pid, &state->init_start_time) < 0)
		state->init_start_time = 0;
	state_set_status(monitor, "running");
	health_start(&monitor->health);
	state_event(monitor, "start", NULL);
}

/* Docker's codes, as `docker run` ends with them. */
static int failure_code(const struct err *err)
{
	switch ((int)err->kind) {
	case ERR_CMD_NOT_FOUND: return 127;
	case ERR_CMD_NOT_EXEC: return 126;
	default: return 128;
	}
}

static void undo(struct monitor *monitor)
{
	procio_close(&monitor->stdio);
	end_release(monitor);
	end_drop_mounts(monitor);
	logs_close_writer(monitor);
}

static void record_failure(struct monitor *monitor, const struct err *err)
{
	struct runstate *state = &monitor->state;
	char *copy = strdup(err_message(err));

	free(state->error);
	state->error = copy;
	state->exit_code = err ? failure_code(err) : 128;
	state->pid = 0;
	monitor->phase = PHASE_IDLE;
	/* What has never run has not exited either. */
	if (state->started_at_ns == CLOCK_NEVER) {
		state_set_status(monitor, "created");
	} else {
		state->finished_at_ns = clock_realtime_ns();
		state_set_status(monitor, "exited");
	}
	state_save(monitor);
}

/* --- a start, from its beginning to its records --- */

struct start {
	struct control_request request; /* of nobody: a restart */
	int64_t started_before_ns;
	struct prepared prepared;
	size_t filling; /* the one that is under way */
	bool attaching; /* volumes are through */
	int answer_fd;  /* of the attaching child */
	pid_t child;    /* filling or attaching */
	bool cancelled;
};

static int begin(struct monitor *monitor, struct prepared *prepared, struct err **reterr)
{
	int ret = monitor_load_launch(monitor, reterr);

	end_drop_mounts(monitor);
	if (ret == 0 && monitor->launch.refused)
		ret = err_set(reterr, ERR_CONFLICT, 0, "%s", monitor->launch.refused);
	if (ret == 0 && (!monitor->launch.oci.process || !monitor->launch.oci.process->args))
		ret = err_set(reterr, ERR_INVALID, 0, "no command specified");
	if (ret == 0)
		ret = end_clear_leftovers(monitor, reterr);
	if (ret == 0)
		ret = logs_open_writer(monitor, reterr);
	return ret < 0 ? ret : prepare_begin(monitor, prepared, reterr);
}

/* 1: a child is at it. */
static int fill_volumes(struct start *start, struct err **reterr)
{
	const struct prepared *prepared = &start->prepared;

	for (; start->filling < prepared->filling_count; start->filling++) {
		const struct filling *filling = &prepared->fillings[start->filling];
		start->child = fill_start(filling->image_fd, filling->volume_fd);
		if (start->child < 0)
			return err_errno(reterr, start->child, "cannot copy %s of the image into its volume",
				filling->destination);
		if (start->child > 0)
			return 1;
	}
	return 0;
}

/* 1: a child is at it. What it tells plugins of ports must be decided. */
static int attach_networks(struct monitor *monitor, struct start *start, struct err **reterr)
{
	if (start->attaching)
		return 0;
	start->attaching = true;
	int ret = network_reserve(monitor, reterr);
	if (ret < 0 || !foreign_is_wanted(monitor))
		return ret;
	start->child = foreign_begin(monitor, &start->answer_fd, reterr);
	return start->child < 0 ? start->child : 1;
}

static int finish(struct monitor *monitor, struct start *start, struct err **reterr)
{
	int ret = prepare_end(monitor, &start->prepared, reterr);
	if (ret < 0)
		return ret;
	monitor->state.started_at_ns = clock_realtime_ns();
	ret = create_and_start(monitor, &start->prepared, reterr);
	if (ret < 0)
		return err_wrap(reterr, ret, "failed to create task for container: unable to start container process");
	return 0;
}

static void start_free(struct start *start)
{
	fd_close(&start->answer_fd);
	prepared_finish(&start->prepared);
	free(start);
}

/* Takes the start. `err` is NULL: it runs. */
static void conclude(struct monitor *monitor, struct start *start, const struct err *err)
{
	if (!err) {
		record_running(monitor);
		control_done(monitor->control, &start->request);
		start_free(start);
		return;
	}
	monitor->state.started_at_ns = start->started_before_ns;
	undo(monitor);
	record_failure(monitor, err);
	attach_end_all(monitor);
	logs_end_followers(monitor);
	wait_answer_exit(monitor);
	stop_answer_all(monitor);
	if (start->request.id == MESSAGE_NO_ID)
		log_error("cannot restart the container: %s", err_message(err));
	control_error(monitor->control, &start->request, err);
	start_free(start);
}

/* As far as it gets without waiting. `ret`: of the step before. */
static void go_on(struct monitor *monitor, struct start *start, int ret, struct err *failure)
{
	_autofree_(err) struct err *err = failure;

	if (ret == 0)
		ret = fill_volumes(start, &err);
	if (ret == 0)
		ret = attach_networks(monitor, start, &err);
	if (ret > 0) {
		monitor->start = start;
		return;
	}
	if (ret == 0)
		ret = finish(monitor, start, &err);
	if (ret < 0 && !err)
		err_oom(&err);
	conclude(monitor, start, err);
}

static struct start *start_new(const struct monitor *monitor, const struct control_request *request)
{
	struct start *start = malloc(sizeof *start);

	if (start)
		*start = (struct start){
			.request = *request,
			.started_before_ns = monitor->state.started_at_ns,
			.prepared = PREPARED_INIT,
			.answer_fd = -1,
		};
	return start;
}

int run_start(struct monitor *monitor, const struct control_request *request, struct err **reterr)
{
	_autofree_(err) struct err *err = NULL;

	if (monitor->phase == PHASE_RUNNING)
		return err_set(reterr, ERR_NOT_MODIFIED, 0, "container %s is already running", monitor->options.id);
	if (monitor->phase == PHASE_ENDING || monitor->start)
		return err_set(reterr, ERR_UNAVAILABLE, 0, "container %s is just %s", monitor->options.id,
			monitor->start ? "starting" : "ending");
	if (monitor->removed)
		return err_set(reterr, ERR_CONFLICT, 0, "container is marked for removal and cannot be started");
	struct start *start = start_new(monitor, request);
	if (!start)
		return err_oom(reterr);
	end_cancel_restart_timer(monitor);
	restart_reset(&monitor->restart);
	monitor->state.stop_requested = false;
	monitor->state.restart_count = 0;
	int ret = begin(monitor, &start->prepared, &err);
	go_on(monitor, start, ret, TAKE(err));
	return 0;
}

void run_restart(struct monitor *monitor)
{
	static const struct control_request nobodys = { .id = MESSAGE_NO_ID };
	struct restart_policy policy = monitor->restart.policy; /* `update` may be newer than launch.json */
	_autofree_(err) struct err *err = NULL;
	struct start *start = start_new(monitor, &nobodys);

	monitor->phase = PHASE_IDLE;
	if (start) {
		int ret = begin(monitor, &start->prepared, &err);
		go_on(monitor, start, ret, TAKE(err));
	} else {
		log_error("cannot restart the container: out of memory");
		record_failure(monitor, NULL);
	}
	monitor->restart.policy = policy;
	monitor_quit_if_done(monitor);
}

static int filler_outcome(const struct start *start, int exit_code, struct err **reterr)
{
	if (start->cancelled)
		return err_set(reterr, ERR_CONFLICT, ECANCELED, "the container was stopped before it ran");
	if (exit_code == 0)
		return 0;
	return err_errno(reterr, exit_code > 128 ? -EIO : -exit_code, "cannot copy %s of the image into its volume",
		start->prepared.fillings[start->filling].destination);
}

bool run_reaped(struct monitor *monitor, pid_t pid, int exit_code)
{
	_autofree_(err) struct err *err = NULL;
	struct start *start = monitor->start;

	if (!start || start->child != pid)
		return false;
	monitor->start = NULL;
	int ret = start->attaching ? foreign_outcome(monitor, start->answer_fd, &err) : 0;
	if (ret == 0)
		ret = filler_outcome(start, start->attaching ? 0 : exit_code, &err);
	start->filling += !start->attaching;
	go_on(monitor, start, ret, TAKE(err));
	monitor_quit_if_done(monitor);
	return true;
}

/* It is not reaped before we have heard of its end: the number is still its own. */
void run_cancel(struct monitor *monitor)
{
	struct start *start = monitor->start;
	start->cancelled = true;
	if (start->attaching)
		foreign_cancel(start->child);
	else
		kill(start->child, SIGKILL);
}

/* --- while it runs --- */

int run_pause(struct monitor *monitor, struct err **reterr)
{
	int ret = monitor_need_running(monitor, reterr);
	if (ret < 0)
		return ret;
	if (strcmp(monitor->state.status, "paused") == 0)
		return err_set(reterr, ERR_CONFLICT, 0, "Container %s is already paused", monitor->options.id);
	ret = container_pause(monitor->container, reterr);
	if (ret < 0)
		return ret;
	health_stop(&monitor->health);
	state_set_status(monitor, "paused");
	state_event(monitor, "pause", NULL);
	return 0;
}

int run_unpause(struct monitor *monitor, struct err **reterr)
{
	if (strcmp(monitor->state.status, "paused") != 0)
		return err_set(reterr, ERR_CONFLICT, 0, "Container %s is not paused", monitor->options.id);
	int ret = container_resume(monitor->container, reterr);
	if (ret < 0)
		return ret;
	state_set_status(monitor, "running");
	health_continue(&monitor->health);
	state_event(monitor, "unpause", NULL);
	return 0;
}

int run_resize(struct monitor *monitor, uint16_t columns, uint16_t rows, struct err **reterr)
{
	char height[8], width[8];
	int ret = monitor_need_running(monitor, reterr);
	if (ret < 0)
		return ret;
	int terminal = procio_terminal(&monitor->stdio);
	ret = terminal >= 0 ? pty_set_size(terminal, columns, rows) : 0;
	if (ret < 0)
		return err_errno(reterr, ret, "cannot resize the terminal of container %s", monitor->options.id);
	snprintf(height, sizeof height, "%u", rows);
	snprintf(width, sizeof width, "%u", columns);
	state_event(monitor, "resize", "height", height, "width", width, NULL);
	return 0;
}
