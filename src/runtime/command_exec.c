#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "base/parse.h"
#include "base/strv.h"
#include "runtime/command.h"
#include "runtime/command_bundle.h"
#include "runtime/command_line.h"
#include "runtime/command_serve.h"
#include "runtime/command_state.h"
#include "runtime/command_wait.h"
#include "spec/oci_check.h"
#include "spec/oci_validate.h"
#include "sys/scheduling.h"

#define EXEC_ERROR_CODE 255

struct exec_values {
	const char *console_socket;
	const char *cwd;
	const char *user;
	const char *process;
	const char *pid_file;
	const char *pidfd_socket;
	const char *apparmor;
	const char *process_label;
	char **env;
	char **additional_gids;
	char **caps;
	char **cgroups;
	struct json_opt_int preserve_fds;
	bool tty;
	bool detach;
	bool no_new_privs;
	bool ignore_paused;
};

static const struct flag exec_flags[] = {
	FLAG(struct exec_values, console_socket, "console-socket", 0, FLAG_STRING, .word = "value",
		.help = "unix socket that gets the terminal's master"),
	FLAG(struct exec_values, cwd, "cwd", 0, FLAG_STRING, .word = "value",
		.help = "working folder in the container"),
	FLAG(struct exec_values, env, "env", 'e', FLAG_LIST, .word = "value", .help = "set an environment variable"),
	FLAG(struct exec_values, tty, "tty", 't', FLAG_BOOL, .help = "allocate a pseudo-TTY"),
	FLAG(struct exec_values, user, "user", 'u', FLAG_STRING, .word = "value", .help = "<uid>[:<gid>], or names"),
	FLAG(struct exec_values, additional_gids, "additional-gids", 'g', FLAG_LIST, .word = "value",
		.help = "additional group"),
	FLAG(struct exec_values, process, "process", 'p', FLAG_STRING, .word = "value", .help = "path to process.json"),
	FLAG(struct exec_values, detach, "detach", 'd', FLAG_BOOL, .help = "do not wait for the process"),
	FLAG(struct exec_values, pid_file, "pid-file", 0, FLAG_STRING, .word = "value", .help = "write the pid here"),
	FLAG(struct exec_values, pidfd_socket, "pidfd-socket", 0, FLAG_STRING, .word = "value",
		.help = "unix socket that gets the pidfd"),
	FLAG(struct exec_values, process_label, "process-label", 0, FLAG_STRING, .word = "value",
		.help = "SELinux label"),
	FLAG(struct exec_values, apparmor, "apparmor", 0, FLAG_STRING, .word = "value", .help = "AppArmor profile"),
	FLAG(struct exec_values, no_new_privs, "no-new-privs", 0, FLAG_BOOL, .help = "set no_new_privs"),
	FLAG(struct exec_values, caps, "cap", 'c', FLAG_LIST, .word = "value", .help = "add a capability"),
	FLAG(struct exec_values, cgroups, "cgroup", 0, FLAG_LIST, .word = "[controller:]path",
		.help = "run in this group below the container's own"),
	FLAG(struct exec_values, preserve_fds, "preserve-fds", 0, FLAG_INT, .word = "value",
		.help = "pass this many descriptors from 3 on"),
	FLAG(struct exec_values, ignore_paused, "ignore-paused", 0, FLAG_BOOL,
		.help = "allow exec in a paused container: it waits until that goes on"),
};
static const struct verb_line exec_line = { "exec", "CONTAINER cmd [arg...]",
	"execute a new process inside the container", exec_flags, ARRAY_SIZE(exec_flags), 1, -1 };

struct execution {
	struct command *command;
	struct exec_values values;
	struct opened opened;
	struct oci_spec spec;
	struct oci_process loaded; /* from --process */
	struct oci_process *process;
	int seccomp_fd;
	int console_socket;
	unsigned preserve_fds;
	bool resolve_user;
};

static void execution_finish(struct execution *self)
{
	state_close(&self->opened);
	oci_spec_finish(&self->spec);
	oci_process_finish(&self->loaded);
	strv_free(self->values.env);
	strv_free(self->values.additional_gids);
	strv_free(self->values.caps);
	strv_free(self->values.cgroups);
	fd_close(&self->seccomp_fd);
	fd_close(&self->console_socket);
}

static int load_process(struct execution *self, struct err **reterr)
{
	_cleanup_(buf_finish) struct buf text = BUF_INIT(OCI_DOCUMENT_MAX);
	_autoclose_ int fd = open(self->values.process, O_RDONLY | O_CLOEXEC);
	int r = fd < 0 ? -errno : io_read_all(fd, &text);

	if (r < 0)
		return err_errno(reterr, r, "cannot read %s", self->values.process);
	r = oci_process_parse(text.data ? text.data : "", text.len, &self->loaded, reterr);
	if (r < 0)
		return r;
	self->process = &self->loaded;
	return 0;
}

static int replace_string(char **target, const char *value)
{
	if (!value)
		return 0;
	char *copy = strdup(value);
	if (!copy)
		return -ENOMEM;
	free(*target);
	*target = copy;
	return 0;
}

static int add_caps(struct oci_process *process, char *const *caps)
{
	if (!caps)
		return 0;
	if (!process->capabilities) {
		process->capabilities = calloc(1, sizeof(*process->capabilities));
		if (!process->capabilities)
			return -ENOMEM;
	}
	struct oci_capabilities *sets = process->capabilities;
	strv_foreach (cap, caps) {
		char ***targets[] = { &sets->bounding, &sets->effective, &sets->permitted };
		for (size_t i = 0; i < ARRAY_SIZE(targets); i++)
			if (strv_append(targets[i], *cap) < 0)
				return -ENOMEM;
		/* Only what may be inherited anyway becomes ambient. */
		if (strv_has(sets->inheritable, *cap) && strv_append(&sets->ambient, *cap) < 0)
			return -ENOMEM;
	}
	return 0;
}

static int add_groups(struct oci_process *process, char *const *gids, struct err **reterr)
{
	strv_foreach (text, gids) {
		uint64_t gid;
		if (parse_u64(*text, UINT32_MAX - 1, &gid) < 0)
			return err_set(reterr, ERR_INVALID, 0, "invalid additional gid \"%s\"", *text);
		int64_t *grown = reallocarray(process->user.additional_gids, process->user.additional_gid_count + 1,
			sizeof(int64_t));
		if (!grown)
			return err_oom(reterr);
		process->user.additional_gids = grown;
		grown[process->user.additional_gid_count++] = (int64_t)gid;
	}
	return 0;
}

/* Numbers are taken as they are, as runc does; a name is for the container's files. */
static int set_user(struct execution *self, struct err **reterr)
{
	const char *text = self->values.user;
	uint64_t uid, gid;

	if (!text)
		return 0;
	size_t len = strcspn(text, ":");
	_cleanup_free_ char *user = strndup(text, len);
	if (!user)
		return err_oom(reterr);
	bool is_plain = user[0] && user[strspn(user, "0123456789")] == '\0' &&
			(!text[len] || (text[len + 1] && text[len + 1 + strspn(text + len + 1, "0123456789")] == '\0'));
	self->resolve_user = !is_plain;
	if (!is_plain)
		return 0;
	if (parse_u64(user, INT32_MAX, &uid) < 0 || (text[len] && parse_u64(text + len + 1, INT32_MAX, &gid) < 0))
		return err_set(reterr, ERR_INVALID, ERANGE, "uids and gids must be in range 0-2147483647, not %s",
			text);
	self->process->user.uid = (int64_t)uid;
	if (text[len])
		self->process->user.gid = (int64_t)gid;
	return 0;
}

/* The container's own process with what the command line changes. */
static int adjust_process(struct execution *self, char *const *args, struct err **reterr)
{
	const struct exec_values *values = &self->values;

	self->process = self->spec.process;
	if (!args[0])
		return err_set(reterr, ERR_INVALID, 0, "process args cannot be empty");
	strv_free(self->process->args);
	self->process->args = strv_copy(args);
	if (!self->process->args || replace_string(&self->process->cwd, values->cwd) < 0 ||
		replace_string(&self->process->apparmor_profile, values->apparmor) < 0 ||
		replace_string(&self->process->selinux_label, values->process_label) < 0 ||
		add_caps(self->process, values->caps) < 0)
		return err_oom(reterr);
	strv_foreach (entry, values->env)
		if (strv_env_set(&self->process->env, *entry) < 0)
			return err_oom(reterr);
	self->process->terminal = values->tty;
	self->process->no_new_privileges = self->process->no_new_privileges || values->no_new_privs;
	int r = set_user(self, reterr);
	return r < 0 ? r : add_groups(self->process, values->additional_gids, reterr);
}

static int prepare(struct execution *self, const char *id, char *const *args, struct err **reterr)
{
	_cleanup_(buf_finish) struct buf text = BUF_INIT(OCI_DOCUMENT_MAX);
	int r = state_open(self->command->root, id, &self->opened, reterr);

	if (r < 0)
		return r;
	if (self->opened.status == STATE_STOPPED)
		return err_set(reterr, ERR_CONFLICT, 0, "cannot exec in a stopped container");
	r = bundle_read_spec(self->opened.folder, &self->spec, &text, reterr);
	if (r == 0)
		r = self->values.process ? load_process(self, reterr) : adjust_process(self, args, reterr);
	if (r == 0)
		r = oci_process_validate(self->process, reterr);
	bool has_socket = self->values.console_socket && *self->values.console_socket;
	if (r == 0 && self->values.detach && self->process->terminal && !has_socket && !self->command->served)
		r = err_set(reterr, ERR_INVALID, 0,
			"cannot allocate tty if runc will detach without setting console socket");
	if (r == 0 && has_socket && (!self->values.detach || !self->process->terminal))
		r = err_set(reterr, ERR_INVALID, 0,
			"cannot use console socket if runc will not detach or allocate tty");
	if (r == 0)
		r = bundle_seccomp(self->command->root, &self->spec, &self->seccomp_fd, reterr);
	if (r == 0 && has_socket)
		r = command_connect_console(self->values.console_socket, &self->console_socket, reterr);
	return r;
}

/* With --debug, in the form that scripts look for: the CPUs that the new process began on. */
static void debug_cpus(const struct execution *self)
{
	const struct oci_cpu_affinity *affinity = self->process->exec_cpu_affinity;
	unsigned long cpus[1] = { 0 };
	char text[64];

	if (!affinity || !affinity->initial || oci_number_list_bits(affinity->initial, cpus, WORD_BITS) < 0)
		return;
	snprintf(text, sizeof(text), "nsexec: affinity: 0x%llx", (unsigned long long)cpus[0]);
	command_debug(self->command, text);
}

static int execute(struct execution *self, struct container_process *started, struct err **reterr)
{
	struct container_exec_options options = CONTAINER_EXEC_OPTIONS_INIT;
	_cleanup_free_ char *state = NULL;
	struct container_listener listener = { .path = NULL };
	int r = command_listener(&self->spec, &self->opened.state, state_status_name(self->opened.status), &listener,
		&state, reterr);

	if (r < 0)
		return r;
	options.listener = &listener;
	for (int fd = 0; fd < 3; fd++)
		options.stdio.fds[fd] = fcntl(fd, F_GETFD) < 0 ? -1 : fd;
	options.stdio.console_socket = self->console_socket;
	options.stdio.keeps_line_ends = self->console_socket < 0 && !self->command->served;
	options.seccomp_fd = self->seccomp_fd;
	options.config = &self->spec.linux_config;
	options.preserve_fds = self->preserve_fds;
	options.no_new_keyring = self->opened.state.no_new_keyring;
	options.says_exec_error = true;
	options.on_warn = command_warn;
	options.user_data = self->command;
	if (self->resolve_user)
		options.user = self->values.user;
	options.subgroups = self->values.cgroups;
	options.ignore_paused = self->values.ignore_paused;
	command_debug_filter(self->command, self->seccomp_fd);
	command_debug(self->command, "nsexec container setup");
	r = container_exec(self->opened.container, self->process, &options, started, reterr);
	if (r < 0)
		return r;
	debug_cpus(self);
	command_debug(self->command, "child process in init()");
	command_debug(self->command, "setns_init: about to exec");
	return 0;
}

static int run_exec(struct execution *self, const char *id, char *const *args, struct err **reterr)
{
	struct container_process started = { .pid = -1, .pidfd = -1, .console_fd = -1 };
	int r = prepare(self, id, args, reterr);

	if (r == 0)
		r = execute(self, &started, reterr);
	if (r == 0)
		r = command_write_pid_file(self->values.pid_file, started.pid, reterr);
	if (r == 0)
		r = command_send_pidfd(self->values.pidfd_socket, started.pidfd, reterr);
	fd_close(&self->command->view_fd); /* waits for RCU: now the program is at work meanwhile */
	if (r == 0 && !self->values.detach)
		r = foreground_wait(started.pid, started.pidfd, started.console_fd, NULL, &self->command->exit_code,
			reterr);
	if (r == 0 && self->command->served) {
		served_take(self->command->served, &started);
		return 0;
	}
	fd_close(&started.pidfd);
	fd_close(&started.console_fd);
	return r;
}

int command_exec(struct command *command, struct err **reterr)
{
	_cleanup_(execution_finish) struct execution self = {
		.command = command, .opened = { .folder = -1 }, .seccomp_fd = -1, .console_socket = -1
	};
	int first;

	command->error_code = EXEC_ERROR_CODE;
	int r = verb_line_parse(&exec_line, command->argc, command->argv, &self.values, &first, reterr);
	if (r < 0 || first < 0)
		return r;
	r = command_keep_fds(command, self.values.preserve_fds.value, false, &self.preserve_fds, reterr);
	if (r < 0)
		return r;
	if (!self.values.detach)
		foreground_prepare();
	r = run_exec(&self, command->argv[first], command->argv + first + 1, reterr);
	return r < 0 ? err_wrap(reterr, r, "exec failed: unable to start container process") : 0;
}
