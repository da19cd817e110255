/* start, kill, delete, pause, resume, update. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <regex.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "base/strv.h"
#include "runtime/command.h"
#include "runtime/command_bundle.h"
#include "runtime/command_line.h"
#include "runtime/command_notify.h"
#include "runtime/command_state.h"
#include "runtime/hooks.h"
#include "runtime/rdt.h"
#include "spec/oci_validate.h"
#include "sys/channel.h"
#include "sys/signals.h"

#define DESTROY_TIMEOUT_MS 10000
#define KILL_TIMEOUT_MS    10000

/* ---- start ---- */

static const struct verb_line start_line = { "start", "CONTAINER", "start the process of a created container", NULL, 0,
	1, 1 };

static int run_poststart(const struct opened *opened, const struct oci_hooks *hooks, struct err **reterr)
{
	_cleanup_free_ char *state = hooks_state_json(opened->state.id, "running", opened->state.pid,
		opened->state.bundle, opened->state.annotations);

	return state ? hooks_run(hooks->poststart, hooks->poststart_count, "poststart", state, opened->state.bundle,
			       reterr)
		     : err_oom(reterr);
}

void command_run_poststop(struct command *command, const struct oci_spec *spec, const char *id, const char *bundle)
{
	_cleanup_free_ char *state = hooks_state_json(id, "stopped", 0, bundle, spec->annotations);

	if (state)
		hooks_run_poststop(&spec->hooks, state, bundle, command_warn, command);
}

static int start(struct opened *opened, const struct oci_spec *spec, struct notify *notify, struct err **reterr)
{
	_cleanup_free_ char *state = NULL;
	struct container_listener listener = { .path = NULL };
	int fd = -1;

	if (opened->status == STATE_STOPPED)
		return err_set(reterr, ERR_CONFLICT, 0, "cannot start a container that has stopped");
	if (opened->status != STATE_CREATED)
		return err_set(reterr, ERR_CONFLICT, 0, "cannot start an already running container");
	int r = channel_connect(opened->folder, STATE_START_SOCKET, &fd);
	if (r < 0)
		return err_errno(reterr, r, "cannot reach the container's first process");
	r = command_listener(spec, &opened->state, "created", &listener, &state, reterr);
	if (r == 0)
		r = notify_listen(opened->folder, notify, reterr);
	if (r < 0) {
		fd_close(&fd);
		return r;
	}
	r = container_start_remote(fd, opened->container, &listener, reterr);
	if (r < 0)
		return err_wrap(reterr, r, "unable to start container process");
	unlinkat(opened->folder, STATE_START_SOCKET, 0);
	return 0;
}

int command_start(struct command *command, struct err **reterr)
{
	_cleanup_(state_close) struct opened opened = { .folder = -1 };
	_cleanup_(buf_finish) struct buf text = BUF_INIT(OCI_DOCUMENT_MAX);
	_cleanup_(oci_spec_finish) struct oci_spec spec = { 0 };
	_cleanup_(notify_close) struct notify notify = NOTIFY_INIT;
	int first;
	int r = verb_line_parse(&start_line, command->argc, command->argv, NULL, &first, reterr);

	if (r < 0 || first < 0)
		return r;
	r = state_open(command->root, command->argv[first], &opened, reterr);
	if (r == 0)
		r = bundle_read_spec(opened.folder, &spec, &text, reterr);
	if (r == 0)
		r = start(&opened, &spec, &notify, reterr);
	if (r < 0)
		return r;
	r = spec.hooks.poststart_count ? run_poststart(&opened, &spec.hooks, reterr) : 0;
	if (r < 0) { /* as the specification has it: the end of the container */
		command_destroy(command, &opened, NULL);
		return r;
	}
	notify_wait(&notify, container_pid(opened.container), container_pidfd(opened.container));
	return 0;
}

/* ---- kill ---- */

struct kill_values {
	bool all;
};

static const struct flag kill_flags[] = { FLAG(struct kill_values, all, "all", 'a', FLAG_BOOL,
	.help = "send the signal to all processes inside the container") };
static const struct verb_line kill_line = { "kill", "CONTAINER [signal]",
	"send a signal (default: SIGTERM) to the container's init process", kill_flags, ARRAY_SIZE(kill_flags), 1, 2 };

/* Whether all die with the first process: those of a pid namespace do, which is the container's own. */
static bool has_own_pids(const struct opened *opened)
{
	_cleanup_(buf_finish) struct buf text = BUF_INIT(OCI_DOCUMENT_MAX);
	struct oci_spec spec = { 0 };
	bool found = false;

	if (bundle_read_spec(opened->folder, &spec, &text, NULL) < 0)
		return true;
	for (size_t i = 0; i < spec.linux_config.namespace_count; i++) {
		const struct oci_namespace *one = &spec.linux_config.namespaces[i];
		found |= strcmp(one->type, "pid") == 0 && !(one->path && *one->path);
	}
	oci_spec_finish(&spec);
	return found;
}

static int kill_all(const struct opened *opened, struct err **reterr)
{
	int r = container_kill_all(opened->container, reterr);
	struct pollfd init = { .fd = container_pidfd(opened->container), .events = POLLIN };

	if (r == 0 && init.fd >= 0)
		poll(&init, 1, KILL_TIMEOUT_MS); /* whoever asks next is to hear that it has stopped */
	return r;
}

static int send(const struct opened *opened, int signo, bool all, struct err **reterr)
{
	if (signo == SIGKILL && (all || !has_own_pids(opened)))
		return kill_all(opened, reterr);
	if (all)
		return container_signal_all(opened->container, signo, reterr);
	int r = container_kill(opened->container, signo, reterr);
	/* What is frozen dies when it thaws (v2 alone sees to that itself). */
	if (r == 0 && signo == SIGKILL && opened->status == STATE_PAUSED)
		container_resume(opened->container, NULL);
	return r;
}

/* "0" asks whether it lives. */
static int parse_signal(const char *name)
{
	return strcmp(name, "0") == 0 ? 0 : signal_parse(name);
}

int command_kill(struct command *command, struct err **reterr)
{
	_cleanup_(state_close) struct opened opened = { .folder = -1 };
	struct kill_values values = { 0 };
	int first;
	int r = verb_line_parse(&kill_line, command->argc, command->argv, &values, &first, reterr);

	if (r < 0 || first < 0)
		return r;
	const char *name = first + 1 < command->argc ? command->argv[first + 1] : "SIGTERM";
	int signo = parse_signal(name);
	if (signo < 0)
		return err_set(reterr, ERR_INVALID, 0, "unknown signal \"%s\"", name);
	r = state_open(command->root, command->argv[first], &opened, reterr);
	return r < 0 ? r : send(&opened, signo, values.all, reterr);
}

/* ---- delete ---- */

struct delete_values {
	bool force;
	bool regex;
};

static const struct flag delete_flags[] = {
	FLAG(struct delete_values, force, "force", 'f', FLAG_BOOL,
		.help = "forcibly deletes the container if it is still running (uses SIGKILL)"),
	FLAG(struct delete_values, regex, "regex", 'r', FLAG_BOOL,
		.help = "the ID is an extended regular expression: all that match are deleted"),
};
static const struct verb_line delete_line = { "delete", "CONTAINER", "delete any resources held by the container",
	delete_flags, ARRAY_SIZE(delete_flags), 1, 1 };

/* What a killed creation left: the groups it had noted, and the folder. */
static int clear_remains(struct command *command, const char *id, bool force, struct err **reterr)
{
	_autofree_(container) struct container *container = NULL;
	_autofree_(strv) char **groups = NULL;
	_autoclose_ int folder = -1;
	int r = state_folder_open(command->root, id, &folder, reterr);

	if (r < 0)
		return r;
	if (!force)
		return err_set(reterr, ERR_NOT_FOUND, ENOENT,
			"container does not exist: its creation was cut short; delete --force clears the rest");
	r = state_read_groups(folder, &groups);
	if (r < 0)
		return err_errno(reterr, r, "cannot read the groups of container %s", id);
	if (groups) {
		r = container_adopt(id, groups, -1, -1, &container, reterr);
		if (r == 0)
			r = container_destroy(container, DESTROY_TIMEOUT_MS, reterr);
		if (r < 0)
			return r;
	}
	state_folder_remove(command->root, id);
	return 0;
}

int command_destroy(struct command *command, struct opened *opened, struct err **reterr)
{
	_cleanup_(buf_finish) struct buf text = BUF_INIT(OCI_DOCUMENT_MAX);
	_cleanup_(oci_spec_finish) struct oci_spec spec = { 0 };
	_autofree_(err) struct err *error = NULL;
	int r = container_destroy(opened->container, DESTROY_TIMEOUT_MS, reterr);

	if (r < 0)
		return r;
	bool has_spec = bundle_read_spec(opened->folder, &spec, &text, &error) == 0;
	state_folder_remove(command->root, opened->state.id);
	if (has_spec)
		command_run_poststop(command, &spec, opened->state.id, opened->state.bundle);
	return 0;
}

static int destroy(struct command *command, struct opened *opened, const char *id, bool force, struct err **reterr)
{
	bool is_alive = opened->status != STATE_STOPPED;

	if (is_alive && !force && opened->status != STATE_CREATED)
		return err_set(reterr, ERR_CONFLICT, 0, "cannot delete container %s that is not stopped: %s", id,
			state_status_name(opened->status));
	return command_destroy(command, opened, reterr);
}

static int delete_one(struct command *command, const char *id, bool force, struct err **reterr)
{
	_cleanup_(state_close) struct opened opened = { .folder = -1 };
	_autofree_(err) struct err *error = NULL;
	int r = state_open(command->root, id, &opened, &error);

	if (r == 0)
		return destroy(command, &opened, id, force, reterr);
	if (error && error->kind != ERR_NOT_FOUND) {
		if (reterr)
			*reterr = TAKE(error);
		return r;
	}
	r = clear_remains(command, id, force, reterr);
	if (r == -ENOENT && force && reterr && *reterr && (*reterr)->kind == ERR_NOT_FOUND) {
		err_free(TAKE(*reterr));
		return 0; /* gone is what was asked for */
	}
	return r;
}

/* One that can't be deleted does not keep the others from it; the first such is what is told. */
static int delete_matching(struct command *command, const regex_t *pattern, bool force, struct err **reterr)
{
	_autofree_(strv) char **names = NULL;
	int first = state_names(command->root, command->is_root_given, &names, reterr);

	strv_foreach (name, names) {
		if (regexec(pattern, *name, 0, NULL, 0) != 0)
			continue;
		int r = delete_one(command, *name, force, first < 0 ? NULL : reterr);
		first = first < 0 ? first : r;
	}
	return first;
}

int command_delete(struct command *command, struct err **reterr)
{
	struct delete_values values = { 0 };
	regex_t pattern;
	int first;
	int r = verb_line_parse(&delete_line, command->argc, command->argv, &values, &first, reterr);

	if (r < 0 || first < 0)
		return r;
	const char *id = command->argv[first];
	if (!values.regex)
		return delete_one(command, id, values.force, reterr);
	if (regcomp(&pattern, id, REG_EXTENDED | REG_NOSUB) != 0)
		return err_set(reterr, ERR_INVALID, 0, "invalid regular expression \"%.100s\"", id);
	r = delete_matching(command, &pattern, values.force, reterr);
	regfree(&pattern);
	return r;
}

/* ---- pause and resume ---- */

static const struct verb_line pause_line = { "pause", "CONTAINER", "suspend all processes inside the container", NULL,
	0, 1, 1 };
static const struct verb_line resume_line = { "resume", "CONTAINER", "resume all processes that have been paused", NULL,
	0, 1, 1 };

int command_pause(struct command *command, struct err **reterr)
{
	_cleanup_(state_close) struct opened opened = { .folder = -1 };
	int first;
	int r = verb_line_parse(&pause_line, command->argc, command->argv, NULL, &first, reterr);

	if (r < 0 || first < 0)
		return r;
	r = state_open(command->root, command->argv[first], &opened, reterr);
	if (r < 0)
		return r;
	if (opened.status != STATE_RUNNING && opened.status != STATE_CREATED)
		return err_set(reterr, ERR_CONFLICT, 0, "container not running or created: %s",
			state_status_name(opened.status));
	return container_pause(opened.container, reterr);
}

int command_resume(struct command *command, struct err **reterr)
{
	_cleanup_(state_close) struct opened opened = { .folder = -1 };
	int first;
	int r = verb_line_parse(&resume_line, command->argc, command->argv, NULL, &first, reterr);

	if (r < 0 || first < 0)
		return r;
	r = state_open(command->root, command->argv[first], &opened, reterr);
	if (r < 0)
		return r;
	if (!container_is_paused(opened.container))
		return err_set(reterr, ERR_CONFLICT, 0, "container not paused");
	return container_resume(opened.container, reterr);
}

/* ---- update ---- */

struct update_values {
	const char *resources;
	struct json_opt_int blkio_weight;
	struct json_opt_int cpu_period;
	struct json_opt_int cpu_quota;
	struct json_opt_int cpu_burst;
	struct json_opt_int cpu_share;
	struct json_opt_int cpu_rt_period;
	struct json_opt_int cpu_rt_runtime;
	struct json_opt_int cpu_idle;
	const char *cpuset_cpus;
	const char *cpuset_mems;
	struct json_opt_int memory;
	struct json_opt_int memory_reservation;
	struct json_opt_int memory_swap;
	struct json_opt_int pids_limit;
	const char *l3_cache_schema;
	const char *mem_bw_schema;
};

#define NUMBER(member, name_) FLAG(struct update_values, member, name_, 0, FLAG_INT, .word = "value")
#define BYTES(member, name_)  FLAG(struct update_values, member, name_, 0, FLAG_BYTES, .word = "value")

static const struct flag update_flags[] = {
	FLAG(struct update_values, resources, "resources", 'r', FLAG_STRING, .word = "value",
		.help = "file with the resources as JSON, or - for standard input"),
	NUMBER(blkio_weight, "blkio-weight"),
	NUMBER(cpu_period, "cpu-period"),
	NUMBER(cpu_quota, "cpu-quota"),
	NUMBER(cpu_burst, "cpu-burst"),
	NUMBER(cpu_share, "cpu-share"),
	NUMBER(cpu_rt_period, "cpu-rt-period"),
	NUMBER(cpu_rt_runtime, "cpu-rt-runtime"),
	NUMBER(cpu_idle, "cpu-idle"),
	FLAG(struct update_values, cpuset_cpus, "cpuset-cpus", 0, FLAG_STRING, .word = "value"),
	FLAG(struct update_values, cpuset_mems, "cpuset-mems", 0, FLAG_STRING, .word = "value"),
	BYTES(memory, "memory"),
	BYTES(memory_reservation, "memory-reservation"),
	BYTES(memory_swap, "memory-swap"),
	{ .name = "kernel-memory", .type = FLAG_IGNORED }, /* the kernel has no such limit any more */
	{ .name = "kernel-memory-tcp", .type = FLAG_IGNORED },
	NUMBER(pids_limit, "pids-limit"),
	FLAG(struct update_values, l3_cache_schema, "l3-cache-schema", 0, FLAG_STRING, .word = "value"),
	FLAG(struct update_values, mem_bw_schema, "mem-bw-schema", 0, FLAG_STRING, .word = "value"),
};
static const struct verb_line update_line = { "update", "CONTAINER", "update a container's resource limits",
	update_flags, ARRAY_SIZE(update_flags), 1, 1 };

static int read_resources(const char *path, struct oci_resources *out, struct err **reterr)
{
	_cleanup_(buf_finish) struct buf text = BUF_INIT(OCI_DOCUMENT_MAX);
	_autoclose_ int fd = strcmp(path, "-") == 0 ? dup(0) : open(path, O_RDONLY | O_CLOEXEC);
	int r = fd < 0 ? -errno : io_read_all(fd, &text);

	if (r < 0)
		return err_errno(reterr, r, "cannot read %s", path);
	return json_parse(&oci_resources_table, text.data ? text.data : "", text.len, out, reterr);
}

static void take_flags(const struct update_values *values, struct oci_resources *out)
{
	out->block_io.weight = values->blkio_weight;
	out->cpu.period = values->cpu_period;
	out->cpu.quota = values->cpu_quota;
	out->cpu.burst = values->cpu_burst;
	out->cpu.shares = values->cpu_share;
	out->cpu.realtime_period = values->cpu_rt_period;
	out->cpu.realtime_runtime = values->cpu_rt_runtime;
	out->cpu.idle = values->cpu_idle;
	out->cpu.cpus = values->cpuset_cpus ? strdup(values->cpuset_cpus) : NULL;
	out->cpu.mems = values->cpuset_mems ? strdup(values->cpuset_mems) : NULL;
	out->memory.limit = values->memory;
	out->memory.reservation = values->memory_reservation;
	out->memory.swap = values->memory_swap;
	out->pids.limit = values->pids_limit;
}

/* Of a container that has a class of service. */
static int update_rdt(const struct opened *opened, const struct update_values *values, struct err **reterr)
{
	_cleanup_(buf_finish) struct buf text = BUF_INIT(OCI_DOCUMENT_MAX);
	_cleanup_(oci_spec_finish) struct oci_spec spec = { 0 };
	_cleanup_free_ char *root = NULL;

	if (!values->l3_cache_schema && !values->mem_bw_schema)
		return 0;
	int r = rdt_find_root(&root, reterr);
	if (r == 0)
		r = bundle_read_spec(opened->folder, &spec, &text, reterr);
	if (r == 0 && !spec.linux_config.intel_rdt)
		r = err_set(reterr, ERR_INVALID, 0, "container %s was created without linux.intelRdt",
			opened->state.id);
	if (r < 0)
		return r;
	const struct oci_intel_rdt rdt = { .clos_id = spec.linux_config.intel_rdt->clos_id,
		.l3_cache_schema = (char *)values->l3_cache_schema,
		.mem_bw_schema = (char *)values->mem_bw_schema };
	return rdt_update(root, &rdt, opened->state.id, reterr);
}

/* A document of limits has no version: its container's has. */
static int take_version(const struct opened *opened, struct oci_resources *resources, struct err **reterr)
{
	_cleanup_(buf_finish) struct buf text = BUF_INIT(OCI_DOCUMENT_MAX);
	_cleanup_(oci_spec_finish) struct oci_spec spec = { 0 };

	if (!resources->pids.limit.set || resources->pids.limit.value != 0)
		return 0;
	int r = bundle_read_spec(opened->folder, &spec, &text, reterr);
	if (r == 0)
		oci_resources_take_version(resources, spec.version);
	return r;
}

int command_update(struct command *command, struct err **reterr)
{
	_cleanup_(state_close) struct opened opened = { .folder = -1 };
	struct update_values values = { 0 };
	struct oci_resources resources = { 0 };
	int first;
	int r = verb_line_parse(&update_line, command->argc, command->argv, &values, &first, reterr);

	if (r < 0 || first < 0)
		return r;
	r = state_open(command->root, command->argv[first], &opened, reterr);
	if (r < 0)
		return r;
	if (values.resources)
		r = read_resources(values.resources, &resources, reterr);
	else
		take_flags(&values, &resources);
	/* No limit of memory is none of memory and swap: v1 would refuse it above that. */
	if (resources.memory.limit.set && resources.memory.limit.value == -1 && !resources.memory.swap.set)
		resources.memory.swap = resources.memory.limit;
	if (r == 0)
		r = take_version(&opened, &resources, reterr);
	if (r == 0)
		r = oci_resources_validate(&resources, "resources", reterr);
	if (r == 0)
		r = container_resources_set(opened.container, &resources, reterr);
	if (r == 0)
		r = update_rdt(&opened, &values, reterr);
	json_finish(&oci_resources_table, &resources);
	return r;
}
