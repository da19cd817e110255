/*
 * The life of an exec: CREATED, then RUNNING with its streams open, then DRAINING (the process is dead, what it left in
 * its pipes goes out), then ENDED. Its exit code is recorded and exec_die is told before the client's stream ends, so that
 * whoever sees the end of file can ask for the code.
 *
 * A process that an exec left in the background holds the pipes open: after EXEC_DRAIN_MS the streams end without it.
 */
#include "monitor/exec.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <sys/syscall.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/log.h"
#include "base/strv.h"
#include "codec/base64.h"
#include "monitor/client.h"
#include "monitor/monitor.h"
#include "monitor/process.h"
#include "monitor/state.h"
#include "monitor/streams.h"
#include "runtime/enter.h"
#include "sys/pty.h"

#define EXEC_DRAIN_MS 2000
/* As Docker's codes for a command that could not be started. */
#define EXIT_NOT_EXECUTABLE 126
#define EXIT_NOT_FOUND      127
#define EVENT_TYPE_MAX      1024
/* Tools look for Docker's words. */
#define EXEC_REFUSED "OCI runtime exec failed: exec failed"

enum exec_phase { EXEC_CREATED, EXEC_RUNNING, EXEC_DRAINING, EXEC_ENDED };

struct exec {
	struct list link;
	struct monitor *monitor;
	char *id;
	struct exec_config config;
	enum exec_phase phase;
	pid_t pid;
	int pidfd;
	int exit_code;
	struct procio stdio;
	struct loop_source *drain_timer;

	struct streams streams; /* the client, if there is one */
	bool has_client;

	exec_end_fn *on_end; /* a probe's */
	void *on_end_user;
	bool is_probe;    /* not in the table that others see, no events */
	bool is_detached; /* nobody will read its streams */
};

/* --- the table --- */

void exec_table_init(struct exec_table *table)
{
	list_init(&table->execs);
	table->count = 0;
}

static void exec_free(struct exec *exec)
{
	assert(!exec->has_client);
	exec->monitor->execs.count--;
	list_remove(&exec->link);
	procio_close(&exec->stdio);
	loop_source_free(exec->drain_timer);
	fd_close(&exec->pidfd);
	json_finish(&exec_config_table, &exec->config);
	free(exec->id);
	free(exec);
}

void exec_table_finish(struct exec_table *table)
{
	struct exec *exec, *following;
	list_foreach_safe (exec, following, &table->execs, link) {
		if (exec->has_client)
			streams_finish(&exec->streams);
		exec->has_client = false;
		exec_free(exec);
	}
}

char **exec_table_ids(const struct exec_table *table)
{
	_autofree_(strv) char **ids = calloc(1, sizeof *ids);
	struct exec *exec;
	if (!ids)
		return NULL;
	list_foreach (exec, &table->execs, link)
		if (!exec->is_probe && strv_append(&ids, exec->id) < 0)
			return NULL;
	return TAKE(ids);
}

static int exec_find(struct monitor *monitor, const char *id, struct exec **ret, struct err **reterr)
{
	struct exec *exec;
	list_foreach (exec, &monitor->execs.execs, link) {
		if (!id || exec->is_probe || strcmp(exec->id, id) != 0)
			continue;
		*ret = exec;
		return 0;
	}
	return err_set(reterr, ERR_NOT_FOUND, 0, "No such exec instance: %s", id ?: "");
}

/* The oldest ended records go when there are more than EXEC_ENDED_MAX. */
static void forget_ended(struct monitor *monitor)
{
	struct exec *exec, *following;
	unsigned ended = 0;

	list_foreach (exec, &monitor->execs.execs, link)
		ended += exec->phase == EXEC_ENDED && !exec->has_client;
	list_foreach_safe (exec, following, &monitor->execs.execs, link) {
		if (ended <= EXEC_ENDED_MAX)
			return;
		if (exec->phase != EXEC_ENDED || exec->has_client)
			continue;
		ended--;
		exec_free(exec);
	}
}

/* Takes what `config` owns, also on failure. */
static int exec_add(struct monitor *monitor, const char *id, struct exec_config *config, struct exec **ret,
	struct err **reterr)
{
	struct exec *exec = calloc(1, sizeof *exec);
	char *copy = strdup(id);
	if (!exec || !copy) {
		json_finish(&exec_config_table, config);
		free(copy);
		free(exec);
		return err_oom(reterr);
	}
	*exec = (struct exec){ .monitor = monitor, .id = copy, .config = *config, .pidfd = -1 };
	*config = (struct exec_config){ 0 };
	procio_init(&exec->stdio, monitor->loop);
	list_append(&monitor->execs.execs, &exec->link);
	monitor->execs.count++;
	*ret = exec;
	return 0;
}

/* "exec_create: ls -l"; Docker puts a blank behind a program without arguments. */
static void exec_event(const struct exec *exec, const char *what)
{
	_cleanup_(buf_finish) struct buf type = BUF_INIT(EVENT_TYPE_MAX);
	if (exec->is_probe)
		return;
	int ret = buf_printf(&type, "%s:", what);
	for (size_t i = 0; ret == 0 && exec->config.cmd && exec->config.cmd[i]; i++)
		ret = buf_printf(&type, " %s%s", exec->config.cmd[i], i == 0 && !exec->config.cmd[1] ? " " : "");
	state_event(exec->monitor, type.data ?: what, "execID", exec->id, NULL);
}

/* --- create --- */

static int check_container(const struct monitor *monitor, struct err **reterr)
{
	int ret = monitor_need_running(monitor, reterr);
	if (ret == 0 && strcmp(monitor->state.status, "paused") == 0)
		ret = err_set(reterr, ERR_CONFLICT, 0, "Container %s is paused, unpause the container before exec",
			monitor->options.id);
	return ret;
}

static int check_new(struct monitor *monitor, const char *id, const struct exec_config *config, struct err **reterr)
{
	struct exec *same;
	int ret = check_container(monitor, reterr);
	if (ret < 0)
		return ret;
	if (!config->cmd || !config->cmd[0])
		return err_set(reterr, ERR_INVALID, 0, "No exec command specified");
	if (exec_find(monitor, id, &same, NULL) == 0)
		return err_set(reterr, ERR_CONFLICT, 0, "the exec ID %s is in use", id);
	struct detach detach;
	if (config->detach_keys && detach_init(&detach, config->detach_keys) < 0)
		return err_set(reterr, ERR_INVALID, 0, "Invalid escape keys (%s) provided", config->detach_keys);
	if (config->user && config->user[0]) {
		ret = container_check_user(monitor->container, config->user, reterr);
		if (ret < 0)
			return ret;
	}
	forget_ended(monitor);
	if (monitor->execs.count >= EXEC_MAX)
		return err_set(reterr, ERR_TOO_LARGE, 0, "container %s has %d execs already", monitor->options.id,
			EXEC_MAX);
	return 0;
}

int exec_create(struct monitor *monitor, const char *id, struct exec_config *config, struct err **reterr)
{
	struct exec *exec;
	int ret = check_new(monitor, id, config, reterr);
	if (ret < 0) {
		json_finish(&exec_config_table, config);
		return ret;
	}
	ret = exec_add(monitor, id, config, &exec, reterr);
	if (ret == 0)
		exec_event(exec, "exec_create");
	return ret;
}

/* --- the end --- */

static void exec_ended(struct exec *exec)
{
	char code[16];

	loop_source_free(exec->drain_timer);
	exec->drain_timer = NULL;
	exec->phase = EXEC_ENDED;
	procio_close(&exec->stdio);
	fd_close(&exec->pidfd);
	snprintf(code, sizeof code, "%d", exec->exit_code);
	if (!exec->is_probe)
		state_event(exec->monitor, "exec_die", "execID", exec->id, "exitCode", code, NULL);
	if (exec->has_client)
		streams_end(&exec->streams);
	if (exec->is_probe) {
		exec_end_fn *on_end = exec->on_end;
		void *user = exec->on_end_user;
		int exit_code = exec->exit_code;
		exec_free(exec);
		on_end(exit_code, user);
	}
}

static void on_drain_timer(struct loop_source *source, void *data)
{
	(void)source;
	struct exec *exec = data;
	procio_drain(&exec->stdio);
	exec_ended(exec);
}

static void on_output_end(struct procio *stdio, void *user)
{
	(void)stdio;
	struct exec *exec = user;
	if (exec->phase == EXEC_DRAINING)
		exec_ended(exec);
}

bool exec_reaped(struct monitor *monitor, pid_t pid, int exit_code)
{
	struct exec *exec;
	list_foreach (exec, &monitor->execs.execs, link) {
		if (exec->phase != EXEC_RUNNING || exec->pid != pid)
			continue;
		exec->exit_code = exit_code;
		exec->phase = EXEC_DRAINING;
		procio_process_ended(&exec->stdio);
		/* Kept while a client is slow to read: it stalls nobody else. */
		if (!procio_has_output(&exec->stdio) ||
			loop_add_timer(monitor->loop, clock_monotonic_ms() + EXEC_DRAIN_MS, on_drain_timer, exec,
				&exec->drain_timer) < 0)
			on_drain_timer(NULL, exec);
		return true;
	}
	return false;
}

void exec_end_all(struct monitor *monitor)
{
	struct exec *exec, *following;
	list_foreach_safe (exec, following, &monitor->execs.execs, link) {
		if (exec->phase == EXEC_CREATED && !exec->has_client)
			exec_free(exec);
		else if (exec->phase == EXEC_RUNNING || exec->phase == EXEC_DRAINING) {
			if (exec->phase == EXEC_RUNNING)
				exec->exit_code = 128 + SIGKILL; /* died with the container, not reaped yet */
			procio_drain(&exec->stdio);
			exec_ended(exec);
		}
	}
}

void exec_kill(struct exec *exec)
{
	if (exec->pidfd >= 0)
		syscall(SYS_pidfd_send_signal, exec->pidfd, SIGKILL, NULL, 0);
}

/* --- start --- */

/* Our ends in `ours`, the process's in `theirs`; -1 where the stream is not wanted. */
static int make_pipes(const struct exec *exec, int ours[3], int theirs[3])
{
	const struct exec_config *config = &exec->config;
	const bool wanted[] = { config->attach_stdin, config->attach_stdout, config->attach_stderr };

	for (int i = 0; i < 3; i++) {
		int ends[2];
		if (!wanted[i] || exec->is_detached)
			continue;
		if (pipe2(ends, O_CLOEXEC) < 0)
			return -errno;
		ours[i] = ends[i == 0 ? 1 : 0];
		theirs[i] = ends[i == 0 ? 0 : 1];
	}
	return 0;
}

static void close_all(int fds[3])
{
	for (int i = 0; i < 3; i++)
		fd_close(&fds[i]);
}

static int open_streams(struct exec *exec, int ours[3], int console_fd)
{
	exec->stdio.on_end = on_output_end;
	exec->stdio.user = exec;
	if (exec->config.tty)
		return procio_open_terminal(&exec->stdio, console_fd, exec->config.attach_stdin && !exec->is_detached);
	return procio_open_pipes(&exec->stdio, TAKE_FD(ours[0]), TAKE_FD(ours[1]), TAKE_FD(ours[2]));
}

/* The words that tools look for, but for a user that is not there: Docker finds that out itself. */
static int refused(const struct exec_config *config, int ret, struct err **reterr)
{
	const char *cwd = config->working_dir;
	if (cwd && *cwd && *cwd != '/')
		return err_wrap(reterr, ret, EXEC_REFUSED);
	if (reterr && *reterr && (*reterr)->kind == ERR_INVALID)
		return ret;
	return err_wrap(reterr, ret, EXEC_REFUSED ": unable to start container process");
}

static int run_process(struct exec *exec, const struct container_stdio *stdio, int ours[3], struct err **reterr)
{
	struct monitor *monitor = exec->monitor;
	struct process process;
	struct container_process started = { .pid = 0, .pidfd = -1, .console_fd = -1 };
	int ret = process_for_exec(monitor, &exec->config, &process, reterr);
	if (ret < 0)
		return ret;

	struct container_exec_options options = CONTAINER_EXEC_OPTIONS_INIT;
	options.stdio = *stdio;
	options.user = process.user;
	options.group_add = process.group_add;
	options.seccomp_fd = process.seccomp_fd;
	ret = container_exec(monitor->container, &process.oci, &options, &started, reterr);
	process_finish(&process);
	if (ret < 0)
		return refused(&exec->config, ret, reterr);
	exec->pid = started.pid;
	exec->pidfd = started.pidfd;
	exec->phase = EXEC_RUNNING;
	ret = open_streams(exec, ours, started.console_fd);
	if (ret == 0)
		return 0;
	/* It runs but can't be heard: it ends like any other, by its end. */
	exec_kill(exec);
	return err_errno(reterr, ret, "cannot open the streams of exec %s", exec->id);
}

/* What the exit code of an exec is that could not be started. */
static int failure_code(const struct err *err)
{
	bool is_missing = err && (err->kind == ERR_CMD_NOT_FOUND || err->errnum == ENOENT || err->errnum == ENOTDIR);
	return is_missing ? EXIT_NOT_FOUND : EXIT_NOT_EXECUTABLE;
}

static int exec_run(struct exec *exec, uint16_t columns, uint16_t rows, struct err **reterr)
{
	struct container_stdio stdio = CONTAINER_STDIO_INIT;
	int ours[3] = { -1, -1, -1 };
	_autofree_(err) struct err *err = NULL;

	exec_event(exec, "exec_start");
	stdio.columns = columns;
	stdio.rows = rows;
	int ret = exec->config.tty ? 0 : make_pipes(exec, ours, stdio.fds);
	if (ret < 0)
		err_errno(&err, ret, "cannot make pipes for exec %s", exec->id);
	else
		ret = run_process(exec, &stdio, ours, &err);
	close_all(ours);
	close_all(stdio.fds);
	if (ret == 0)
		return 0;
	if (exec->phase == EXEC_CREATED) {
		exec->exit_code = failure_code(err);
		exec->phase = EXEC_ENDED;
		if (!exec->is_probe)
			state_event(exec->monitor, RUN_EVENT_EXEC_FAILED, "execID", exec->id, "exitCode",
				exec->exit_code == EXIT_NOT_FOUND ? "127" : "126", NULL);
	}
	if (reterr)
		*reterr = TAKE(err);
	return ret;
}

/* --- the client --- */

static void on_client_gone(struct streams *streams)
{
	struct exec *exec = container_of(streams, struct exec, streams);
	struct monitor *monitor = exec->monitor;

	streams_finish(streams);
	exec->has_client = false;
	forget_ended(monitor);
	monitor_client_end(monitor);
}

static void on_client_detach(struct streams *streams)
{
	struct exec *exec = container_of(streams, struct exec, streams);
	state_event(exec->monitor, "exec_detach", "execID", exec->id, NULL);
}

static int check_start(struct monitor *monitor, const struct handover_exec_start *wish, struct exec **ret,
	struct detach *detach, struct err **reterr)
{
	int r = exec_find(monitor, wish->exec, ret, reterr);
	if (r == 0)
		r = check_container(monitor, reterr);
	if (r < 0)
		return r;
	if ((*ret)->phase == EXEC_ENDED)
		return err_set(reterr, ERR_CONFLICT, 0, "exec command %s has already run", wish->exec);
	if ((*ret)->phase != EXEC_CREATED || (*ret)->has_client)
		return err_set(reterr, ERR_CONFLICT, 0, "exec command %s is already running", wish->exec);
	const char *keys = wish->detach_keys ?: (*ret)->config.detach_keys;
	if (!(keys && !*keys) && detach_init(detach, keys) < 0)
		return err_set(reterr, ERR_INVALID, 0, "Invalid escape keys (%s) provided", keys);
	return 0;
}

static void first_size(const struct exec *exec, const struct handover_exec_start *wish, uint16_t *ret_columns,
	uint16_t *ret_rows)
{
	int64_t rows = wish->console_height, columns = wish->console_width;
	if (!rows && !columns && exec->config.console_size_count == 2) {
		rows = exec->config.console_size[0];
		columns = exec->config.console_size[1];
	}
	*ret_rows = rows > 0 && rows <= UINT16_MAX ? (uint16_t)rows : 0;
	*ret_columns = columns > 0 && columns <= UINT16_MAX ? (uint16_t)columns : 0;
}

/* Detached: the client gets an ordinary answer once the process runs, or the error. */
static int start_detached(struct exec *exec, const struct client *client, struct err **reterr)
{
	uint16_t columns, rows;
	first_size(exec, client->handover->exec_start, &columns, &rows);
	exec->is_detached = true;
	int ret = exec_run(exec, columns, rows, reterr);
	if (ret < 0)
		return ret;
	exec->has_client = true;
	exec->streams.on_gone = on_client_gone;
	ret = client_accept(exec->monitor, client, &streams_session_ops, &exec->streams, &exec->streams.session,
		reterr);
	if (ret < 0) {
		exec->has_client = false;
		return ret;
	}
	struct client_body body;
	const struct streams_options none = { .want_stdin = false };
	streams_begin(&exec->streams, &exec->stdio, &none);
	client_answer_body(client, exec->streams.session, "application/json", &body);
	if (body.chunked)
		session_send_chunk(exec->streams.session, NULL, 0);
	streams_end(&exec->streams);
	return 0;
}

/* Attached: the stream is the client's first, so that it misses nothing; an error is a line in it, as Docker's. */
static int start_attached(struct exec *exec, const struct client *client, struct detach *detach, struct err **reterr)
{
	struct streams_options options = {
		.want_stdin = exec->config.attach_stdin,
		.want_stdout = exec->config.attach_stdout,
		.want_stderr = exec->config.attach_stderr,
		.multiplexed = !exec->config.tty,
		.closes_stdin = !exec->config.tty,
		.detach = exec->config.tty && detach->count ? detach : NULL,
	};
	uint16_t columns, rows;
	_autofree_(err) struct err *err = NULL;

	int ret = client_accept(exec->monitor, client, &streams_session_ops, &exec->streams, &exec->streams.session,
		reterr);
	if (ret < 0)
		return ret;
	exec->has_client = true;
	exec->streams.on_gone = on_client_gone;
	exec->streams.on_detach = on_client_detach;
	client_answer_stream(client, exec->streams.session, options.multiplexed);
	streams_begin(&exec->streams, &exec->stdio, &options);
	first_size(exec, client->handover->exec_start, &columns, &rows);
	if (exec_run(exec, columns, rows, &err) < 0) {
		streams_send(&exec->streams, LOG_STDOUT, err_message(err), strlen(err_message(err)));
		streams_send(&exec->streams, LOG_STDOUT, "\r\n", 2);
		if (exec->phase == EXEC_ENDED)
			streams_end(&exec->streams);
	}
	return 0;
}

int exec_handover(struct monitor *monitor, const struct client *client, struct err **reterr)
{
	const struct handover_exec_start *wish = client->handover->exec_start;
	struct detach detach = { .count = 0 };
	struct exec *exec;
	int ret = check_start(monitor, wish, &exec, &detach, reterr);
	if (ret < 0)
		return ret;
	if (wish->detach)
		return start_detached(exec, client, reterr);
	return start_attached(exec, client, &detach, reterr);
}

/* --- the rest --- */

int exec_resize(struct monitor *monitor, const char *id, uint16_t columns, uint16_t rows, struct err **reterr)
{
	struct exec *exec;
	int ret = exec_find(monitor, id, &exec, reterr);
	if (ret < 0)
		return ret;
	if (exec->phase == EXEC_CREATED)
		return err_set(reterr, ERR_CONFLICT, 0, "exec process is not started");
	if (exec->phase != EXEC_RUNNING)
		return err_set(reterr, ERR_NOT_FOUND, 0, "no such exec: %s has ended", id);
	int terminal = procio_terminal(&exec->stdio);
	ret = terminal >= 0 ? pty_set_size(terminal, columns, rows) : 0;
	return ret < 0 ? err_errno(reterr, ret, "cannot resize the terminal of exec %s", id) : 0;
}

int exec_inspect(struct monitor *monitor, const char *id, json_t **ret, struct err **reterr)
{
	struct exec *exec;
	int r = exec_find(monitor, id, &exec, reterr);
	if (r < 0)
		return r;
	const struct exec_config *config = &exec->config;
	_cleanup_(buf_finish) struct buf keys = BUF_INIT(4 * DETACH_KEYS_MAX);
	struct detach detach;
	if (config->detach_keys && config->detach_keys[0] && detach_init(&detach, config->detach_keys) == 0 &&
		base64_encode(&keys, detach.keys, detach.count, false) < 0)
		return err_oom(reterr);
	struct exec_process_config process = {
		.tty = config->tty,
		.entrypoint = config->cmd[0],
		.arguments = config->cmd + 1,
		.privileged = { true, config->privileged },
		.user = config->user,
	};
	const struct exec_inspect inspect = {
		.id = exec->id,
		.running = exec->phase == EXEC_RUNNING || exec->phase == EXEC_DRAINING,
		.exit_code = { exec->phase == EXEC_ENDED, exec->exit_code },
		.process = &process,
		.open_stdin = config->attach_stdin,
		.open_stderr = config->attach_stderr,
		.open_stdout = config->attach_stdout,
		.container_id = (char *)monitor->options.id,
		.detach_keys = keys.data ? keys.data : (char *)"",
		.pid = exec->pid,
	};
	*ret = json_write(&exec_inspect_table, &inspect);
	return *ret ? 0 : err_oom(reterr);
}

int exec_probe(struct monitor *monitor, char *const *argv, struct tap *tap, exec_end_fn *on_end, void *user,
	struct exec **ret, struct err **reterr)
{
	struct exec_config config = { .attach_stdout = true, .attach_stderr = true, .cmd = strv_copy(argv) };
	struct exec *exec;
	if (!config.cmd)
		return err_oom(reterr);
	int r = exec_add(monitor, "health", &config, &exec, reterr);
	if (r < 0)
		return r;
	exec->is_probe = true;
	exec->on_end = on_end;
	exec->on_end_user = user;
	procio_add_tap(&exec->stdio, tap);
	r = exec_run(exec, 0, 0, reterr);
	if (r < 0 && exec->phase == EXEC_ENDED) {
		procio_remove_tap(&exec->stdio, tap);
		exec_free(exec);
		return r;
	}
	*ret = exec; /* one that runs unheard is told of at its end */
	return 0;
}
