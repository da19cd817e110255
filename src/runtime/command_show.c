/* state, list, ps, spec, features. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/stat.h>
#include <sys/wait.h>

#include "base/io.h"
#include "base/parse.h"
#include "base/strv.h"
#include "runtime/command.h"
#include "runtime/command_bundle.h"
#include "runtime/command_line.h"
#include "runtime/command_state.h"
#include "runtime/mount_options.h"
#include "runtime/seccomp_compile.h"
#include "runtime/spec_example.h"
#include "sys/caps.h"
#include "sys/cgroup.h"
#include "sys/lsm.h"
#include "sys/spawn.h"

#define PS_OUTPUT_MAX (4 * 1024 * 1024)
#define ROW_FORMAT    "%-20s %-8s %-10s %-30s %-30s %s\n" /* of list */

/* Indented, as people and callers of runc read it. */
static int print_document(const struct json_table *table, const void *document, struct err **reterr)
{
	_autojson_ json_t *value = json_write(table, document);

	if (!value || json_dumpf(value, stdout, JSON_INDENT(2)) < 0)
		return err_oom(reterr);
	putchar('\n');
	return 0;
}

static void fill_state(const struct opened *opened, struct oci_state *out)
{
	*out = (struct oci_state){ .version = (char *)OCI_VERSION,
		.id = opened->state.id,
		.status = (char *)state_status_name(opened->status),
		.bundle = opened->state.bundle,
		.annotations = opened->state.annotations,
		.rootfs = opened->state.rootfs,
		.created = opened->state.created,
		.owner = (char *)"" };
	if (opened->status != STATE_STOPPED)
		out->pid = opened->state.pid;
}

static const struct verb_line state_line = { "state", "CONTAINER", "output the state of a container", NULL, 0, 1, 1 };

int command_state(struct command *command, struct err **reterr)
{
	_cleanup_(state_close) struct opened opened = { .folder = -1 };
	struct oci_state state;
	int first;
	int r = verb_line_parse(&state_line, command->argc, command->argv, NULL, &first, reterr);

	if (r < 0 || first < 0)
		return r;
	r = state_open(command->root, command->argv[first], &opened, reterr);
	if (r < 0)
		return r;
	fill_state(&opened, &state);
	return print_document(&oci_state_table, &state, reterr);
}

/* ---- list ---- */

struct list_values {
	const char *format;
	bool quiet;
};

static const struct flag list_flags[] = {
	FLAG(struct list_values, format, "format", 'f', FLAG_STRING, .word = "value",
		.help = "table (default) or json"),
	FLAG(struct list_values, quiet, "quiet", 'q', FLAG_BOOL, .help = "display only container IDs"),
};
static const struct verb_line list_line = { "list", "", "list containers started with the given root", list_flags,
	ARRAY_SIZE(list_flags), 0, 0 };

/* Whose container it is: the owner of its folder. */
static void owner_name(int folder, char *out, size_t size)
{
	struct stat st = { 0 };

	if (fstat(folder, &st) == 0 && st.st_uid != 0)
		snprintf(out, size, "#%u", st.st_uid);
	else
		snprintf(out, size, "root");
}

static int print_row(const struct opened *opened, const struct list_values *values, json_t *array)
{
	struct oci_state state;
	char owner[16], pid[24];

	fill_state(opened, &state);
	owner_name(opened->folder, owner, sizeof(owner));
	state.owner = owner;
	snprintf(pid, sizeof(pid), "%lld", (long long)state.pid);
	if (values->quiet)
		printf("%s\n", state.id);
	else if (array)
		return json_array_append_new(array, json_write(&oci_state_table, &state));
	else
		printf(ROW_FORMAT, state.id, pid, state.status, state.bundle ? state.bundle : "",
			state.created ? state.created : "", state.owner);
	return 0;
}

static void print_rows(const struct command *command, char *const *names, const struct list_values *values,
	json_t *array)
{
	strv_foreach (name, names) {
		struct opened opened;
		if (state_open(command->root, *name, &opened, NULL) < 0)
			continue; /* being made, or half gone */
		print_row(&opened, values, array);
		state_close(&opened);
	}
}

int command_list(struct command *command, struct err **reterr)
{
	struct list_values values = { 0 };
	_autojson_ json_t *array = NULL;
	_autofree_(strv) char **names = NULL;
	int first;
	int r = verb_line_parse(&list_line, command->argc, command->argv, &values, &first, reterr);

	if (r < 0 || first < 0)
		return r;
	bool as_json = values.format && strcmp(values.format, "json") == 0;
	if (values.format && !as_json && strcmp(values.format, "table") != 0)
		return err_set(reterr, ERR_INVALID, 0, "invalid format option");
	if (as_json && !(array = json_array()))
		return err_oom(reterr);
	if (!as_json && !values.quiet)
		printf(ROW_FORMAT, "ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER");
	r = state_names(command->root, command->is_root_given, &names, reterr);
	if (r < 0)
		return r;
	print_rows(command, names, &values, array);
	if (array && !values.quiet) {
		json_dumpf(array, stdout, JSON_COMPACT);
		putchar('\n');
	}
	return 0;
}

/* ---- ps ---- */

static const struct flag ps_flags[] = {
	FLAG(struct list_values, format, "format", 'f', FLAG_STRING, .word = "value",
		.help = "table (default) or json"),
};
static const struct verb_line ps_line = { "ps", "CONTAINER [ps options]",
	"show the processes running inside a container", ps_flags, ARRAY_SIZE(ps_flags), 1, -1 };

static void print_pids(const pid_t *pids, size_t count)
{
	putchar('[');
	for (size_t i = 0; i < count; i++)
		printf("%s%d", i ? "," : "", pids[i]);
	printf("]\n");
}

static bool is_ours(const char *line, int column, const pid_t *pids, size_t count)
{
	const char *at = line;
	int64_t pid = 0;

	for (int i = 0; i <= column; i++) {
		at += strspn(at, " ");
		if (i < column)
			at += strcspn(at, " ");
	}
	for (; *at >= '0' && *at <= '9' && pid < INT32_MAX; at++)
		pid = pid * 10 + (*at - '0');
	for (size_t i = 0; i < count; i++)
		if (pids[i] == pid)
			return true;
	return false;
}

static int pid_column(const char *header)
{
	int column = 0;

	for (const char *at = header + strspn(header, " "); *at; column++) {
		size_t len = strcspn(at, " ");
		if (len == 3 && strncmp(at, "PID", 3) == 0)
			return column;
		at += len;
		at += strspn(at, " ");
	}
	return -1;
}

/* The host's ps, with its lines for other processes left out. */
static int run_ps(char *const *arguments, struct buf *out, struct err **reterr)
{
	_autofree_(strv) char **argv = NULL;
	int pipe_fds[2], status;
	pid_t pid;

	if (strv_append(&argv, "ps") < 0 ||
		(*arguments ? strv_extend(&argv, arguments) : strv_append(&argv, "-ef")) < 0)
		return err_oom(reterr);
	if (pipe2(pipe_fds, O_CLOEXEC) < 0)
		return err_errno(reterr, -errno, "cannot make a pipe");
	const struct spawn spawn = {
		.program_fd = -1, .path = "/bin/ps", .argv = argv, .env = environ, .stdio = { -1, pipe_fds[1], 2 }
	};
	int r = spawn_program(&spawn, &pid, NULL);
	fd_close(&pipe_fds[1]);
	if (r == 0) {
		r = io_read_all(pipe_fds[0], out);
		waitpid(pid, &status, 0);
	}
	fd_close(&pipe_fds[0]);
	return r < 0 ? err_errno(reterr, r, "cannot run ps") : 0;
}

static int print_table(char *const *arguments, const pid_t *pids, size_t count, struct err **reterr)
{
	_cleanup_(buf_finish) struct buf text = BUF_INIT(PS_OUTPUT_MAX);
	char *save = NULL;
	int r = run_ps(arguments, &text, reterr);

	if (r < 0)
		return r;
	char *line = text.data ? strtok_r(text.data, "\n", &save) : NULL;
	int column = line ? pid_column(line) : -1;
	if (column < 0)
		return err_set(reterr, ERR_INVALID, 0, "couldn't find PID field in ps output");
	printf("%s\n", line);
	while ((line = strtok_r(NULL, "\n", &save)))
		if (is_ours(line, column, pids, count))
			printf("%s\n", line);
	return 0;
}

int command_ps(struct command *command, struct err **reterr)
{
	_cleanup_(state_close) struct opened opened = { .folder = -1 };
	_cleanup_free_ pid_t *pids = NULL;
	struct list_values values = { 0 };
	size_t count = 0;
	int first;
	int r = verb_line_parse(&ps_line, command->argc, command->argv, &values, &first, reterr);

	if (r < 0 || first < 0)
		return r;
	r = state_open(command->root, command->argv[first], &opened, reterr);
	if (r == 0)
		r = container_pids(opened.container, &pids, &count, reterr);
	if (r < 0)
		return r;
	if (values.format && strcmp(values.format, "json") == 0) {
		print_pids(pids, count);
		return 0;
	}
	return print_table(command->argv + first + 1, pids, count, reterr);
}

/* ---- spec ---- */

struct spec_values {
	const char *bundle;
	bool rootless;
};

static const struct flag spec_flags[] = {
	FLAG(struct spec_values, bundle, "bundle", 'b', FLAG_STRING, .word = "value", .help = "folder to write to"),
	FLAG(struct spec_values, rootless, "rootless", 0, FLAG_BOOL,
		.help = "for a user without rights: the one who asks is root inside"),
};
static const struct verb_line spec_line = { "spec", "", "create a new specification file", spec_flags,
	ARRAY_SIZE(spec_flags), 0, 0 };

static void add_namespace(json_t *document, const char *type)
{
	json_t *namespaces = json_object_get(json_object_get(document, "linux"), "namespaces");

	json_array_append_new(namespaces, json_pack("{s:s}", "type", type));
}

/* As runc: a cgroup namespace by default on cgroup v2 alone. */
static bool is_unified(void)
{
	_autofree_(cgroup_host) struct cgroup_host *host = NULL;

	return cgroup_host_new(&host) == 0 && cgroup_host_is_unified(host);
}

static json_t *own_id(unsigned id)
{
	return json_pack("[{s:i, s:I, s:i}]", "containerID", 0, "hostID", (json_int_t)id, "size", 1);
}

/* sysfs belongs to the network namespace, which is the host's here: it is bound. Groups of others' ids don't exist. */
static void make_rootless_mounts(json_t *mounts)
{
	for (size_t i = json_array_size(mounts); i-- > 0;) {
		json_t *mount = json_array_get(mounts, i), *options = json_object_get(mount, "options");
		const char *to = json_string_value(json_object_get(mount, "destination"));
		if (strcmp(to, "/sys/fs/cgroup") == 0) {
			json_array_remove(mounts, i);
		} else if (strcmp(to, "/sys") == 0) {
			json_object_set_new(mount, "type", json_string("none"));
			json_object_set_new(mount, "source", json_string("/sys"));
			json_array_insert_new(options, 0, json_string("rbind"));
		} else {
			for (size_t k = json_array_size(options); k-- > 0;)
				if (strncmp(json_string_value(json_array_get(options, k)), "gid=", 4) == 0)
					json_array_remove(options, k);
		}
	}
}

static void make_rootless(json_t *document)
{
	json_t *config = json_object_get(document, "linux"), *namespaces = json_object_get(config, "namespaces");

	for (size_t i = json_array_size(namespaces); i-- > 0;)
		if (strcmp(json_string_value(json_object_get(json_array_get(namespaces, i), "type")), "network") == 0)
			json_array_remove(namespaces, i);
	add_namespace(document, "user");
	if (is_unified())
		add_namespace(document, "cgroup");
	json_object_set_new(config, "uidMappings", own_id(geteuid()));
	json_object_set_new(config, "gidMappings", own_id(getegid()));
	json_object_del(config, "resources");
	make_rootless_mounts(json_object_get(document, "mounts"));
}

int command_spec(struct command *command, struct err **reterr)
{
	struct spec_values values = { 0 };
	int first;
	int r = verb_line_parse(&spec_line, command->argc, command->argv, &values, &first, reterr);

	if (r < 0 || first < 0)
		return r;
	if (values.bundle && chdir(values.bundle) < 0)
		return err_errno(reterr, -errno, "cannot enter %s", values.bundle);
	_autoclose_ int fd = open("config.json", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
	if (fd < 0 && errno == EEXIST)
		return err_set(reterr, ERR_CONFLICT, EEXIST, "File config.json exists. Remove it first");
	_autojson_ json_t *document = NULL;
	r = fd < 0 ? err_errno(reterr, -errno, "cannot write config.json")
		   : json_load((const char *)spec_example_json, sizeof(spec_example_json), &document, reterr);
	if (r < 0)
		return r;
	if (values.rootless)
		make_rootless(document);
	else if (is_unified())
		add_namespace(document, "cgroup");
	_cleanup_free_ char *text = json_dumps(document, JSON_INDENT(2) | JSON_PRESERVE_ORDER);
	if (!text)
		return err_oom(reterr);
	r = io_write_full(fd, text, strlen(text));
	return r < 0 ? err_errno(reterr, r, "cannot write config.json") : 0;
}

/* ---- features ---- */

static const struct verb_line features_line = { "features", "", "show what this runtime supports", NULL, 0, 0, 0 };

int command_features(struct command *command, struct err **reterr)
{
	static char *hooks[] = { (char *)"prestart", (char *)"createRuntime", (char *)"createContainer",
		(char *)"startContainer", (char *)"poststart", (char *)"poststop", NULL };
	static char *namespaces[] = { (char *)"cgroup", (char *)"ipc", (char *)"mount", (char *)"network",
		(char *)"pid", (char *)"time", (char *)"user", (char *)"uts", NULL };
	const struct json_opt_bool yes = { true, true };
	char *caps[65] = { NULL };
	int first;
	int r = verb_line_parse(&features_line, command->argc, command->argv, NULL, &first, reterr);

	if (r < 0 || first < 0)
		return r;
	for (unsigned i = 0; i < cap_count() && cap_name(i); i++)
		caps[i] = (char *)cap_name(i);
	/* What changes how a container is run: a file that CRIU reads, a unit's properties, groups that are kept. */
	static char *unsafe[] = { (char *)"org.criu.config", (char *)"org.systemd.property.",
		(char *)BUNDLE_GROUPS_ANNOTATION, NULL };
	struct oci_features_cgroup cgroup = { .v1 = yes, .v2 = yes, .systemd = yes, .systemd_user = yes, .rdma = yes };
	struct oci_features_seccomp seccomp = { .enabled = yes,
		.actions = (char **)seccomp_known_actions(),
		.operators = (char **)seccomp_known_operators(),
		.archs = (char **)seccomp_known_archs(),
		.known_flags = (char **)seccomp_known_flags(),
		.supported_flags = (char **)seccomp_known_flags() };
	struct oci_features_flag apparmor = { yes }, selinux = { yes }, on = { yes };
	struct oci_features_mount_extensions extensions = { .idmap = &on };
	struct oci_features_linux linux_features = { .namespaces = namespaces,
		.capabilities = caps,
		.cgroup = &cgroup,
		.seccomp = &seccomp,
		.apparmor = &apparmor,
		.selinux = &selinux,
		.intel_rdt = &on,
		.memory_policy = &on,
		.mount_extensions = &extensions,
		.net_devices = &on };
	struct oci_features features = { .version_min = (char *)OCI_VERSION_MIN,
		.version_max = (char *)OCI_VERSION,
		.hooks = hooks,
		.mount_options = (char **)mount_words_known(),
		.linux_features = &linux_features,
		.potentially_unsafe_config_annotations = unsafe };
	return print_document(&oci_features_table, &features, reterr);
}
