/*
 * The order at the start: foreign descriptors closed, roots made and locked (from here on no other tared comes by), sockets
 * opened (clients may queue), engine started, monitors looked for. At the end: sockets' names removed, the engine asked to
 * end; containers, monitors and workers go on, and the next tared finds them.
 *
 * Killed in between, nothing is lost but the sockets' open ends: the engine ends by the end of its channel, the next tared
 * finds the lock free and the sockets dead.
 */
#include "holder/holder.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "base/log.h"
#include "holder/cleanup.h"
#include "holder/engine.h"
#include "holder/folders.h"
#include "holder/listeners.h"
#include "holder/monitors.h"
#include "holder/options.h"
#include "holder/programs.h"
#include "holder/workers.h"
#include "sys/loop.h"

static const int ending_signals[] = { SIGTERM, SIGINT };

struct holder {
	struct options options;
	struct folders folders;
	struct listeners listeners;
	struct programs programs;
	struct loop *loop;
	struct loop_source *child_signal;
	struct loop_source *end_signals[ARRAY_SIZE(ending_signals)];
	struct engine *engine;
	struct monitors *monitors;
	struct workers *workers;
};

/* Tells systemd, if it asked to be told. */
static void notify(const char *state)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	size_t len = path ? strlen(path) : 0;
	if (len < 2 || len >= sizeof address.sun_path || (path[0] != '/' && path[0] != '@'))
		return;
	memcpy(address.sun_path, path, len);
	if (path[0] == '@')
		address.sun_path[0] = '\0';
	_autoclose_ int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
	if (fd < 0 || sendto(fd, state, strlen(state), MSG_NOSIGNAL, (struct sockaddr *)&address, size) < 0)
		log_warn("cannot notify the service manager: %s", strerror(errno));
}

static void on_child_ended(enum holder_kind kind, const char *id, pid_t pid, int status, void *user)
{
	struct holder *holder = user;
	engine_tell_exited(holder->engine, kind, id, pid, status);
}

static void on_monitor_ended(const char *id, pid_t pid, int status, void *user)
{
	on_child_ended(HOLDER_MONITOR, id, pid, status, user);
}

static void on_spawn(const struct holder_message *message, const int *fds, size_t fd_count, void *user)
{
	struct holder *holder = user;
	char *const *argv = (char *const *)message->argv;
	pid_t pid;
	int r = message->kind == HOLDER_MONITOR
			? monitors_start(holder->monitors, message->id, argv, fds, fd_count, &pid)
			: workers_start(holder->workers, message->kind, message->id, argv, fds, fd_count, &pid);
	if (r < 0) {
		log_error("cannot run %s for %s: %s", argv[0], message->id, strerror(-r));
		on_child_ended(message->kind, message->id, 0, r, holder);
		return;
	}
	log_debug("%s for %s is process %d", argv[0], message->id, pid);
}

/* Also whatever was orphaned below us: containers' processes whose monitor died. */
static void on_sigchld(struct loop_source *source, int signo, void *data)
{
	(void)source;
	(void)signo;
	struct holder *holder = data;
	int status;
	for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;)
		if (!engine_reaped(holder->engine, pid, status) && !monitors_reaped(holder->monitors, pid, status))
			workers_reaped(holder->workers, pid, status);
}

static void on_ending_signal(struct loop_source *source, int signo, void *data)
{
	(void)source;
	struct holder *holder = data;
	log_info("ending on signal %d; containers go on", signo);
	notify("STOPPING=1");
	listeners_unlink(&holder->listeners);
	engine_stop(holder->engine);
}

static int holder_watch_signals(struct holder *holder, struct err **reterr)
{
	int r = loop_add_signal(holder->loop, SIGCHLD, on_sigchld, holder, &holder->child_signal);
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(ending_signals); i++)
		r = loop_add_signal(holder->loop, ending_signals[i], on_ending_signal, holder, &holder->end_signals[i]);
	if (r < 0)
		return err_errno(reterr, r, "cannot watch for signals");
	signal(SIGPIPE, SIG_IGN);
	signal(SIGHUP, SIG_IGN); /* the terminal it was started on may go */
	return 0;
}

static int holder_make_parts(struct holder *holder, struct err **reterr)
{
	const struct engine_config engine = { .loop = holder->loop,
		.programs = &holder->programs,
		.options = &holder->options,
		.listeners = &holder->listeners,
		.on_spawn = on_spawn,
		.user = holder };
	const struct monitors_config monitors = { .loop = holder->loop,
		.programs = &holder->programs,
		.options = &holder->options,
		.containers_fd = holder->folders.containers_fd,
		.on_ended = on_monitor_ended,
		.user = holder };
	int r = engine_new(&engine, &holder->engine, reterr);
	if (r == 0)
		r = monitors_new(&monitors, &holder->monitors, reterr);
	if (r == 0)
		r = workers_new(&holder->programs, on_child_ended, holder, &holder->workers, reterr);
	return r;
}

static int holder_prepare(struct holder *holder, struct err **reterr)
{
	int r = listeners_inherit(&holder->listeners, reterr);
	if (r < 0)
		return r;
	umask(022);
	if (prctl(PR_SET_CHILD_SUBREAPER, 1) < 0)
		return err_errno(reterr, -errno, "cannot become a subreaper");
	r = folders_open(&holder->folders, &holder->options, reterr);
	if (r == 0)
		r = pidfile_write(holder->options.pidfile, reterr);
	if (r == 0)
		r = listeners_open(&holder->listeners, &holder->options, reterr);
	if (r == 0)
		r = programs_init(&holder->programs, &holder->options, reterr);
	if (r == 0 && (r = loop_new(&holder->loop)) < 0)
		r = err_errno(reterr, r, "cannot make the event loop");
	if (r == 0)
		r = holder_watch_signals(holder, reterr);
	if (r == 0)
		r = holder_make_parts(holder, reterr);
	return r < 0 || chdir("/") == 0 ? r : err_errno(reterr, -errno, "cannot go to /");
}

static int holder_run(struct holder *holder, struct err **reterr)
{
	int r = holder_prepare(holder, reterr);
	if (r == 0)
		r = engine_start(holder->engine, reterr);
	if (r == 0)
		r = monitors_adopt(holder->monitors, reterr);
	if (r < 0)
		return r;
	log_info("version " TARE_VERSION " serves %s", holder->options.exec_root);
	notify("READY=1");
	r = loop_run(holder->loop);
	return r < 0 ? err_errno(reterr, r, "cannot wait for events") : r;
}

static void holder_finish(struct holder *holder)
{
	listeners_unlink(&holder->listeners);
	if (holder->options.pidfile && holder->folders.lock_fd >= 0)
		unlink(holder->options.pidfile);
	engine_free(holder->engine);
	monitors_free(holder->monitors);
	workers_free(holder->workers);
	loop_source_free(holder->child_signal);
	for (size_t i = 0; i < ARRAY_SIZE(ending_signals); i++)
		loop_source_free(holder->end_signals[i]);
	loop_free(holder->loop);
	listeners_finish(&holder->listeners);
	programs_finish(&holder->programs);
	folders_finish(&holder->folders);
	options_finish(&holder->options);
}

int holder_main(int argc, char **argv)
{
	_autofree_(err) struct err *err = NULL;
	struct holder holder = { .folders = FOLDERS_INIT };
	int r = options_parse(argc, argv, &holder.options, &err);
	if (r < 0) {
		fprintf(stderr, "tared: %s\n", err_message(err));
		return EXIT_FAILURE;
	}
	if (holder.options.help || holder.options.version || holder.options.man) {
		if (holder.options.help)
			options_help();
		else if (holder.options.man)
			options_man();
		else
			printf("tared version %s\n", TARE_VERSION);
		options_finish(&holder.options);
		return EXIT_SUCCESS;
	}
	log_setup("tared", holder.options.log_level);
	r = holder.options.cleanup ? cleanup_run(&holder.options, &err) : holder_run(&holder, &err);
	if (r < 0)
		log_error("%s", err_message(err));
	holder_finish(&holder);
	return r < 0 ? EXIT_FAILURE : r;
}
