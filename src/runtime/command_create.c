/* create and run. Crash order: folder, groups on disk, groups, init, state.json; command_state.h says what each means. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/wait.h>

#include "base/clock.h"
#include "base/io.h"
#include "runtime/command.h"
#include "runtime/command_bundle.h"
#include "runtime/command_line.h"
#include "runtime/command_notify.h"
#include "runtime/command_serve.h"
#include "runtime/command_state.h"
#include "runtime/command_wait.h"
#include "sys/channel.h"

#define DESTROY_TIMEOUT_MS 10000

struct create_values {
	const char *bundle;
	const char *config;
	const char *console_socket;
	const char *pid_file;
	const char *pidfd_socket;
	struct json_opt_int preserve_fds;
	bool no_pivot;
	bool no_new_keyring;
	bool detach;
	bool no_subreaper;
	bool keep;
};

#define CREATE_FLAGS                                                                                            \
 FLAG(struct create_values, bundle, "bundle", 'b', FLAG_STRING, .word = "value", .help = "path to the bundle"), \
	 FLAG(struct create_values, config, "config", 'f', FLAG_STRING, .word = "value",                        \
		 .help = "the configuration, instead of the bundle's config.json"),                             \
	 FLAG(struct create_values, console_socket, "console-socket", 0, FLAG_STRING, .word = "value",          \
		 .help = "unix socket that gets the terminal's master"),                                        \
	 FLAG(struct create_values, pid_file, "pid-file", 0, FLAG_STRING, .word = "value",                      \
		 .help = "write the pid here"),                                                                 \
	 FLAG(struct create_values, pidfd_socket, "pidfd-socket", 0, FLAG_STRING, .word = "value",              \
		 .help = "unix socket that gets the pidfd"),                                                    \
	 FLAG(struct create_values, no_pivot, "no-pivot", 0, FLAG_BOOL, .help = "do not use pivot_root"),       \
	 FLAG(struct create_values, no_new_keyring, "no-new-keyring", 0, FLAG_BOOL,                             \
		 .help = "keep the session keyring"),                                                           \
	 FLAG(struct create_values, preserve_fds, "preserve-fds", 0, FLAG_INT, .word = "value",                 \
		 .help = "pass this many descriptors from 3 on")

static const struct flag create_flags[] = { CREATE_FLAGS };
static const struct verb_line create_line = { "create", "CONTAINER", "create a container", create_flags,
	ARRAY_SIZE(create_flags), 1, 1 };

static const struct flag run_flags[] = { CREATE_FLAGS,
	FLAG(struct create_values, detach, "detach", 'd', FLAG_BOOL, .help = "do not wait for the container"),
	FLAG(struct create_values, no_subreaper, "no-subreaper", 0, FLAG_BOOL, .help = "accepted, without effect"),
	FLAG(struct create_values, keep, "keep", 0, FLAG_BOOL, .help = "do not delete the container after it exits") };
static const struct verb_line run_line = { "run", "CONTAINER", "create and run a container", run_flags,
	ARRAY_SIZE(run_flags), 1, 1 };

struct creation {
	struct command *command;
	const struct create_values *values;
	const char *id;
	int folder;
	int bundle_fd;
	char *bundle;
	struct oci_spec spec;
	int seccomp_fd;
	int console_socket;
	int listener;
	unsigned preserve_fds;
	struct container *container;
	struct notify notify;
	bool remote_start;
	bool starts_at_once;
	int64_t mark; /* of init; -errno */
};

static void creation_finish(struct creation *creation)
{
	fd_close(&creation->folder);
	fd_close(&creation->bundle_fd);
	fd_close(&creation->seccomp_fd);
	fd_close(&creation->console_socket);
	fd_close(&creation->listener);
	notify_close(&creation->notify);
	free(creation->bundle);
	oci_spec_finish(&creation->spec);
	container_free(creation->container);
}

static int check_terminal(const struct creation *creation, bool detached, struct err **reterr)
{
	bool has_socket = creation->values->console_socket && *creation->values->console_socket;
	bool terminal = creation->spec.process && creation->spec.process->terminal;

	if (detached && terminal && !has_socket && !creation->command->served)
		return err_set(reterr, ERR_INVALID, 0,
			"cannot allocate tty if runc will detach without setting console socket (use --console-socket)");
	if (has_socket && (!detached || !terminal))
		return err_set(reterr, ERR_INVALID, 0,
			"cannot use console socket if runc will not detach or allocate tty");
	return 0;
}

static int read_bundle(struct creation *creation, bool detached, struct err **reterr)
{
	_cleanup_(buf_finish) struct buf text = BUF_INIT(OCI_DOCUMENT_MAX);
	int r = bundle_open(creation->values->bundle, &creation->bundle_fd, &creation->bundle, reterr);

	if (r == 0)
		r = creation->values->config
			    ? bundle_read_config(AT_FDCWD, creation->values->config, &creation->spec, &text, reterr)
			    : bundle_read_spec(creation->bundle_fd, &creation->spec, &text, reterr);
	if (r == 0)
		r = check_terminal(creation, detached, reterr);
	if (r == 0 && creation->spec.process)
		r = command_listen_env(creation->spec.process, reterr);
	if (r == 0)
		r = state_folder_make(creation->command->root, creation->id, &creation->folder, reterr);
	if (r < 0)
		return r;
	r = io_replace_file(creation->folder, "config.json", text.data, text.len, false);
	if (r < 0)
		return err_errno(reterr, r, "cannot keep config.json");
	r = notify_prepare(&creation->spec, creation->folder, creation->command->root, creation->id, reterr);
	return r < 0 || creation->remote_start ? r : notify_listen(creation->folder, &creation->notify, reterr);
}

static int note_groups(char *const *folders, void *user)
{
	const struct creation *creation = user;

	return state_write_groups(creation->folder, folders);
}

/* The view's end waits for RCU: not when the new process waits for us. */
static void note_birth(pid_t pid, void *user)
{
	struct creation *creation = user;

	creation->mark = process_mark(pid, -1);
	command_debug(creation->command, "child process in init()");
	fd_close(&creation->command->view_fd);
}

static void warn(const char *message, void *user)
{
	const struct creation *creation = user;

	command_warn(message, creation->command);
}

static int save(const struct creation *creation, struct err **reterr)
{
	char created[CLOCK_RFC3339_MAX];
	struct saved_state state = { .id = (char *)creation->id,
		.pid = container_pid(creation->container),
		.mark = creation->mark,
		.bundle = creation->bundle,
		.created = created,
		.annotations = creation->spec.annotations,
		.rootfs = creation->spec.root ? creation->spec.root->path : NULL,
		.no_new_keyring = creation->values->no_new_keyring };

	clock_format_rfc3339(clock_realtime_ns(), created);
	if (creation->mark < 0)
		return err_errno(reterr, (int)creation->mark, "cannot look at the container's first process");
	return state_write(creation->folder, &state, reterr);
}

static int make_container(struct creation *creation, struct err **reterr)
{
	struct container_options options = CONTAINER_OPTIONS_INIT;
	const char *console = creation->values->console_socket;

	int r = bundle_seccomp(creation->command->root, &creation->spec, &creation->seccomp_fd, reterr);
	if (r == 0 && console && *console)
		r = command_connect_console(console, &creation->console_socket, reterr);
	if (r == 0 && creation->remote_start) {
		r = channel_listen(creation->folder, STATE_START_SOCKET, &creation->listener);
		if (r < 0)
			r = err_errno(reterr, r, "cannot make the start socket");
	}
	if (r < 0)
		return r;
	options.id = creation->id;
	options.bundle_fd = creation->bundle_fd;
	options.bundle_path = creation->bundle;
	for (int fd = 0; fd < 3; fd++)
		options.stdio.fds[fd] = fcntl(fd, F_GETFD) < 0 ? -1 : fd;
	options.stdio.console_socket = creation->console_socket;
	options.stdio.keeps_line_ends = creation->console_socket < 0 && !creation->command->served;
	options.seccomp_fd = creation->seccomp_fd;
	options.preserve_fds = creation->preserve_fds;
	options.mounts_in_order = true;
	options.binds_as_named = true;
	const char *keep = creation->spec.annotations ? map_get(creation->spec.annotations, BUNDLE_GROUPS_ANNOTATION)
						      : NULL;
	options.keeps_groups = keep && strcmp(keep, "1") == 0;
	options.no_pivot = creation->values->no_pivot;
	options.no_new_keyring = creation->values->no_new_keyring;
	options.says_exec_error = true;
	options.needs_no_groups = creation->command->is_rootless;
	options.cgroup_manager = creation->command->cgroups;
	options.start_listen_fd = creation->listener;
	options.starts_at_once = creation->starts_at_once;
	options.on_groups = note_groups;
	options.on_born = note_birth;
	options.on_warn = warn;
	options.user_data = creation;
	command_debug_filter(creation->command, creation->seccomp_fd);
	command_debug(creation->command, "nsexec container setup");
	r = container_create(&creation->spec, &options, &creation->container, reterr);
	if (r == 0)
		command_debug(creation->command, "init: closing the pipe to signal completion");
	return r < 0 ? err_wrap(reterr, r, "unable to start container process") : 0;
}

static void undo(struct creation *creation)
{
	if (creation->container) {
		container_destroy(creation->container, DESTROY_TIMEOUT_MS, NULL);
		waitpid(container_pid(creation->container), NULL, WNOHANG);
	}
	if (creation->folder < 0)
		return;
	state_folder_remove(creation->command->root, creation->id);
	command_run_poststop(creation->command, &creation->spec, creation->id, creation->bundle);
}

static int hand_over(const struct creation *creation, struct err **reterr)
{
	const struct container_process made = { .pid = container_pid(creation->container),
		.pidfd = fcntl(container_pidfd(creation->container), F_DUPFD_CLOEXEC, 0),
		.console_fd = container_take_console(creation->container) };

	if (made.pidfd < 0)
		return err_errno(reterr, -errno, "cannot hand over the first process");
	served_take(creation->command->served, &made);
	return 0;
}

static int create(struct creation *creation, bool detached, struct err **reterr)
{
	int r = command_keep_fds(creation->command, creation->values->preserve_fds.value, true, &creation->preserve_fds,
		reterr);

	if (r == 0)
		r = state_check_id(creation->id, reterr);
	if (r == 0)
		r = read_bundle(creation, detached, reterr);
	if (r == 0)
		r = make_container(creation, reterr);
	if (r == 0)
		r = save(creation, reterr);
	if (r == 0)
		r = command_write_pid_file(creation->values->pid_file, container_pid(creation->container), reterr);
	if (r == 0)
		r = command_send_pidfd(creation->values->pidfd_socket, container_pidfd(creation->container), reterr);
	if (r == 0 && creation->command->served)
		r = hand_over(creation, reterr);
	if (r < 0)
		undo(creation);
	return r;
}

static void creation_init(struct creation *creation, struct command *command, const struct create_values *values,
	const char *id)
{
	*creation = (struct creation){ .command = command,
		.values = values,
		.id = id,
		.folder = -1,
		.bundle_fd = -1,
		.seccomp_fd = -1,
		.console_socket = -1,
		.listener = -1,
		.notify = NOTIFY_INIT };
}

int command_create(struct command *command, struct err **reterr)
{
	struct create_values values = { 0 };
	_cleanup_(creation_finish) struct creation creation;
	int first;

	creation_init(&creation, command, &values, "");
	int r = verb_line_parse(&create_line, command->argc, command->argv, &values, &first, reterr);
	if (r < 0 || first < 0)
		return r;
	creation.id = command->argv[first];
	creation.remote_start = true;
	r = create(&creation, true, reterr);
	return r < 0 ? err_wrap(reterr, r, "%s create failed", program_invocation_short_name) : 0;
}

/* What was said on the terminal of a process that then failed: a hook's complaint, say. */
static void show_console(struct creation *creation)
{
	_autoclose_ int console = container_take_console(creation->container);
	struct pollfd ready = { .fd = console, .events = POLLIN };
	char bytes[4096];

	while (console >= 0 && poll(&ready, 1, 0) == 1 && ready.revents & POLLIN) {
		ssize_t count = read(console, bytes, sizeof(bytes));
		if (count <= 0 || io_write_full(1, bytes, (size_t)count) < 0)
			break;
	}
}

static int wait_and_delete(struct creation *creation, struct err **reterr)
{
	_autoclose_ int console = container_take_console(creation->container);
	int r = foreground_wait(container_pid(creation->container), container_pidfd(creation->container), console,
		&creation->notify, &creation->command->exit_code, reterr);

	if (creation->values->keep)
		return r;
	int destroyed = container_destroy(creation->container, DESTROY_TIMEOUT_MS, r < 0 ? NULL : reterr);
	if (destroyed < 0)
		return r < 0 ? r : destroyed;
	state_folder_remove(creation->command->root, creation->id);
	command_run_poststop(creation->command, &creation->spec, creation->id, creation->bundle);
	return r;
}

int command_run(struct command *command, struct err **reterr)
{
	struct create_values values = { 0 };
	_cleanup_(creation_finish) struct creation creation;
	int first;

	creation_init(&creation, command, &values, "");
	int r = verb_line_parse(&run_line, command->argc, command->argv, &values, &first, reterr);
	if (r < 0 || first < 0)
		return r;
	creation.id = command->argv[first];
	/* state.json is written while the command is executed; a pid file is promised to be there before. */
	creation.starts_at_once = !values.pid_file;
	if (!values.detach)
		foreground_prepare();
	r = create(&creation, values.detach, reterr);
	if (r == 0) {
		r = container_start(creation.container, reterr);
		if (r < 0) {
			r = err_wrap(reterr, r, "unable to start container process");
			show_console(&creation);
			undo(&creation);
		}
	}
	if (r < 0)
		return err_wrap(reterr, r, "%s run failed", program_invocation_short_name);
	if (values.detach) {
		notify_wait(&creation.notify, container_pid(creation.container), container_pidfd(creation.container));
		return 0;
	}
	r = wait_and_delete(&creation, reterr);
	if (r == 0)
		exit(command->exit_code); /* which frees all of it at once */
	return r;
}
