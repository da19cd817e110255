#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/stat.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/io.h"
#include "base/parse.h"
#include "codec/json.h"
#include "runtime/command.h"
#include "runtime/command_line.h"
#include "runtime/command_serve.h"
#include "runtime/container.h"
#include "runtime/seccomp_compile.h"
#include "spec/oci_runtime.h"

#define LOG_LINE_MAX 16384

static const struct flag global_flags[] = {
	FLAG(struct command, debug, "debug", 0, FLAG_BOOL, .help = "enable debug output"),
	FLAG(struct command, log, "log", 0, FLAG_STRING, .word = "value", .help = "write the log to this file"),
	FLAG(struct command, log_format, "log-format", 0, FLAG_STRING, .word = "value",
		.help = "text (default) or json"),
	FLAG(struct command, root, "root", 0, FLAG_STRING, .word = "value",
		.help = "folder for the containers' state (default " COMMAND_ROOT_DEFAULT ")"),
	{ .name = "criu", .type = FLAG_IGNORED }, /* obsolete: callers of old still give it */
	FLAG(struct command, systemd_cgroup, "systemd-cgroup", 0, FLAG_BOOL,
		.help = "cgroups by systemd: cgroupsPath is slice:prefix:name"),
	FLAG(struct command, cgroup_manager, "cgroup-manager", 0, FLAG_STRING, .word = "value",
		.help = "cgroupfs (default), systemd or disabled, as crun takes it"),
	FLAG(struct command, rootless, "rootless", 0, FLAG_STRING, .word = "value", .help = "true, false or auto"),
	FLAG(struct command, help, "help", 'h', FLAG_BOOL, .help = "show help"),
	FLAG(struct command, version, "version", 'v', FLAG_BOOL, .help = "print the version"),
};

static const struct {
	const char *name;
	command_fn *run;
	const char *summary;
} verbs[] = {
	{ "checkpoint", command_checkpoint, "checkpoint a running container" },
	{ "create", command_create, "create a container" },
	{ "delete", command_delete, "delete any resources held by the container" },
	{ "events", command_events, "display container events such as OOM notifications and usage statistics" },
	{ "exec", command_exec, "execute a new process inside the container" },
	{ "features", command_features, "show what this runtime supports" },
	{ "kill", command_kill, "send a signal (default: SIGTERM) to the container's init process" },
	{ "list", command_list, "list containers started with the given root" },
	{ "pause", command_pause, "suspend all processes inside the container" },
	{ "ps", command_ps, "show the processes running inside a container" },
	{ "restore", command_restore, "restore a container from a checkpoint" },
	{ "resume", command_resume, "resume all processes that have been paused" },
	{ "run", command_run, "create and run a container" },
	{ "spec", command_spec, "create a new specification file" },
	{ "start", command_start, "start the process of a created container" },
	{ "state", command_state, "output the state of a container" },
	{ "update", command_update, "update a container's resource limits" },
};

static void print_help(void)
{
	const char *program = program_invocation_short_name;

	printf("NAME:\n   %s - Open Container Initiative runtime\n\nUSAGE:\n   %s [global options] command [command options] "
	       "[arguments...]\n\nCOMMANDS:\n",
		program, program);
	for (size_t i = 0; i < ARRAY_SIZE(verbs); i++)
		printf("   %-12s %s\n", verbs[i].name, verbs[i].summary);
	printf("\nGLOBAL OPTIONS:\n");
	flags_print(global_flags, ARRAY_SIZE(global_flags));
}

static void format_line(const char *level, const char *message, bool as_json, struct buf *out)
{
	char time[CLOCK_RFC3339_MAX];
	_autojson_ json_t *text = json_string(message);
	_cleanup_(buf_finish) struct buf quoted = BUF_INIT(LOG_LINE_MAX);

	clock_format_rfc3339(clock_realtime_ns() / NS_PER_SEC * NS_PER_SEC, time);
	if (!text || json_print_value(text, &quoted) < 0)
		return;
	if (as_json)
		buf_printf(out, "{\"level\":\"%s\",\"msg\":%s,\"time\":\"%s\"}\n", level, quoted.data, time);
	else
		buf_printf(out, "time=\"%s\" level=%s msg=%s\n", time, level, quoted.data);
}

static int open_log(const struct command *command)
{
	if (!command->log || !*command->log)
		return -1;
	return open(command->log, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
}

/* Whoever names a log waits for it to be there; and before anything is done is the time to say that it can't be. */
static int check_log(const struct command *command, struct err **reterr)
{
	_autoclose_ int fd = open_log(command);

	if (fd < 0 && command->log && *command->log)
		return err_errno(reterr, -errno, "cannot open the log %s", command->log);
	return 0;
}

/* To the log file where there is one; callers read the error back from its last line. */
static void write_log(const struct command *command, const char *level, const char *message)
{
	_cleanup_(buf_finish) struct buf line = BUF_INIT(2 * LOG_LINE_MAX);
	bool as_json = command->log_format && strcmp(command->log_format, "json") == 0;
	_autoclose_ int fd = open_log(command);

	format_line(level, message, as_json, &line);
	if (line.data)
		io_write_full(fd >= 0 ? fd : 2, line.data, line.len);
}

void command_warn(const char *message, void *user)
{
	const struct command *command = user;

	if (command->served)
		buf_printf(&command->served->warnings, "%s\n", message);
	else
		write_log(command, "warning", message);
}

void command_debug(const struct command *command, const char *message)
{
	if (command->debug)
		write_log(command, "debug", message);
}

static int fail(const struct command *command, const struct err *error)
{
	write_log(command, "error", err_message(error));
	if (command->log && *command->log)
		dprintf(2, "%s\n", err_message(error));
	return command->error_code;
}

/* ---- rootless ---- */

static bool in_user_namespace(void)
{
	static const char all[] = "         0          0 4294967295\n"; /* the kernel's format */
	char text[sizeof(all)];
	_autoclose_ int fd = open("/proc/self/uid_map", O_RDONLY | O_CLOEXEC);
	ssize_t len = fd < 0 ? -1 : read(fd, text, sizeof(text));

	return len >= 0 && ((size_t)len != sizeof(all) - 1 || memcmp(text, all, sizeof(all) - 1) != 0);
}

/* Who is not the host's root can't be sure of his groups: he does without them, unless he says otherwise. */
static int decide_rootless(struct command *command, struct err **reterr)
{
	const char *text = command->rootless;

	if (text && *text && strcmp(text, "auto") != 0)
		return parse_bool(text, &command->is_rootless) < 0
			       ? err_set(reterr, ERR_INVALID, 0, "invalid rootless: %s (it is auto, true or false)",
					 text)
			       : 0;
	command->is_rootless = geteuid() != 0 || in_user_namespace();
	return 0;
}

/* A user's own folder, marked so that nobody clears it away as unused. Also root's, where he says by USER that he is none. */
static int find_root(struct command *command, struct buf *path, struct err **reterr)
{
	const char *runtime_folder = getenv("XDG_RUNTIME_DIR"), *user = getenv("USER");
	bool says = command->rootless && *command->rootless && strcmp(command->rootless, "auto") != 0;
	bool is_own = says ? command->is_rootless
			   : geteuid() != 0 || (command->is_rootless && !(user && strcmp(user, "root") == 0));

	command->is_root_given = command->root;
	if (command->root)
		return 0;
	command->root = COMMAND_ROOT_DEFAULT;
	if (!runtime_folder || !*runtime_folder || !is_own)
		return 0;
	if (buf_printf(path, "%s/tare-runtime", runtime_folder) < 0)
		return err_oom(reterr);
	command->root = path->data;
	if ((mkdir(path->data, 0700) < 0 && errno != EEXIST) || chmod(path->data, 0700 | S_ISVTX) < 0)
		return err_errno(reterr, -errno, "cannot make the state folder %s", path->data);
	return 0;
}

static int choose_cgroups(struct command *command, struct err **reterr)
{
	static const char *const names[] = {
		[CONTAINER_CGROUPFS] = "cgroupfs", [CONTAINER_SYSTEMD] = "systemd", [CONTAINER_NO_CGROUPS] = "disabled"
	};
	size_t i = 0;

	command->cgroups = command->systemd_cgroup ? CONTAINER_SYSTEMD : CONTAINER_CGROUPFS;
	if (!command->cgroup_manager)
		return 0;
	while (i < ARRAY_SIZE(names) && strcmp(names[i], command->cgroup_manager) != 0)
		i++;
	if (i == ARRAY_SIZE(names))
		return err_set(reterr, ERR_INVALID, 0, "unknown cgroup manager: %s", command->cgroup_manager);
	if (i != CONTAINER_CGROUPFS || !command->systemd_cgroup)
		command->cgroups = (enum container_cgroup_manager)i;
	return 0;
}

int command_dispatch(struct command *command, struct err **reterr)
{
	int r = choose_cgroups(command, reterr);

	if (r < 0)
		return r;
	if (command->log_format && strcmp(command->log_format, "json") != 0 && strcmp(command->log_format, "text") != 0)
		return err_set(reterr, ERR_INVALID, 0, "invalid log-format: %s", command->log_format);
	for (size_t i = 0; i < ARRAY_SIZE(verbs); i++)
		if (strcmp(verbs[i].name, command->argv[0]) == 0)
			return verbs[i].run(command, reterr);
	return err_set(reterr, ERR_INVALID, 0, "No help topic for '%s'", command->argv[0]);
}

static int run(struct command *command, int argc, char **argv, struct err **reterr)
{
	int first;
	int r = flags_parse(global_flags, ARRAY_SIZE(global_flags), argc - 1, argv + 1, command, &first, reterr);

	if (r < 0)
		return r;
	if (command->version) {
		printf("%s version %s\ncommit: %s\nspec: %s\n", program_invocation_short_name, TARE_VERSION,
			TARE_VERSION, OCI_VERSION);
		return 0;
	}
	command->argc = argc - 1 - first;
	command->argv = argv + 1 + first;
	if (command->help || command->argc == 0) {
		print_help();
		return 0;
	}
	_cleanup_(buf_finish) struct buf root = BUF_INIT(PATH_MAX);
	r = check_log(command, reterr);
	if (r == 0)
		r = decide_rootless(command, reterr);
	if (r == 0)
		r = find_root(command, &root, reterr);
	if (r == 0 && strcmp(command->argv[0], "serve") == 0)
		return command_serve(command, reterr);
	return r < 0 ? r : command_dispatch(command, reterr);
}

/* Descriptors that a caller wants handed on are told by number: --preserve-fds and LISTEN_FDS; all are kept here, marked. */
int command_main(int argc, char **argv)
{
	struct command command = { .error_code = 1, .view_fd = -1 };
	_autofree_(err) struct err *error = NULL;

	if (argc == 2 && strcmp(argv[1], "seccomp-compile") == 0)
		return seccomp_compile_main(0, 1);
	int r = container_process_prepare(3, argv, &command.view_fd);
	if (r < 0)
		err_errno(&error, r, "cannot protect the runtime's own program");
	signal(SIGPIPE, SIG_IGN);
	json_seed();
	if (r == 0)
		r = run(&command, argc, argv, &error);
	if (r < 0)
		return fail(&command, error);
	return command.exit_code;
}
