/*
 * Each call is a command line of tare-runtime's, done by the container's helper; what it can't say so has an operation of its own
 * (spec/serve.h). Nothing of a container's state is kept here: whoever asks hears what is so now.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/io.h"
#include "base/strv.h"
#include "library/config.h"
#include "library/helper.h"
#include "library/process.h"

#define ID_PREFIX "tare-"
#define ID_BYTES  8

struct tare_container {
	struct helper helper;
	char *id;
	char *root; /* for a second helper, should the first be killed */
	char *runtime;
	bool is_made; /* by this handle, and to end with it */
	tare_process *init;
};

static int run_words(tare_container *container, struct call *call, const char *const *words, size_t count,
	struct reply *ret, struct tare_error *error)
{
	_autofree_(strv) char **all = NULL;
	int r = 0;

	for (size_t i = 0; r == 0 && i < count; i++)
		r = strv_append(&all, words[i]);
	if (r < 0)
		return error_errno(error, r, "cannot ask tare-runtime");
	call->op = SERVE_COMMAND;
	call->words = all;
	return helper_call(&container->helper, call, ret, error);
}

#define WORDS(...) (const char *const[]){ __VA_ARGS__ }, sizeof((const char *const[]){ __VA_ARGS__ }) / sizeof(char *)

static int simple_command(tare_container *container, const char *verb, struct tare_error *error)
{
	struct call call = { .op = SERVE_COMMAND };

	if (!container)
		return error_set(error, TARE_INVALID, 0, "no container");
	return run_words(container, &call, WORDS(verb, "--", container->id), NULL, error);
}

/* ---- made and ended ---- */

static int copy_text(const char *text, char **ret)
{
	*ret = text ? strdup(text) : NULL;
	return text && !*ret ? -ENOMEM : 0;
}

static int choose_id(const struct tare_options *options, char **ret)
{
	char random[2 * ID_BYTES + 1];

	if (options && options->id)
		return copy_text(options->id, ret);
	io_random_hex(random, ID_BYTES);
	if (asprintf(ret, ID_PREFIX "%s", random) < 0) {
		*ret = NULL;
		return -ENOMEM;
	}
	return 0;
}

static void free_strings(tare_container *container)
{
	free(container->id);
	free(container->root);
	free(container->runtime);
	free(container);
}

static int new_container(const struct tare_options *options, tare_container **ret, struct tare_error *error)
{
	tare_container *container = calloc(1, sizeof(*container));
	int r = container ? choose_id(options, &container->id) : -ENOMEM;

	if (r == 0)
		r = copy_text(options ? options->root : NULL, &container->root);
	if (r == 0)
		r = copy_text(options ? options->runtime : NULL, &container->runtime);
	if (r < 0)
		error_errno(error, r, "cannot make a container's handle");
	else
		r = helper_start(&container->helper, options, container->id, error);
	if (r < 0 && container)
		free_strings(container);
	if (r == 0)
		*ret = container;
	return r < 0 ? -1 : 0;
}

static int create(tare_container *container, const tare_config *config, const struct tare_options *options,
	struct tare_error *error)
{
	_cleanup_(buf_finish) struct buf text = BUF_INIT(OCI_DOCUMENT_MAX);
	const char *bundle;
	struct reply reply;
	int r = config_document(config, container->id, &text, &bundle, error);

	if (r < 0)
		return r;
	struct call call = { .op = SERVE_COMMAND,
		.stdio = options && options->has_stdio ? options->stdio : NULL,
		.document = text.data ? text.data : "",
		.document_size = text.len };
	r = run_words(container, &call,
		WORDS("create", "--bundle", bundle, "--config", SERVE_DOCUMENT, "--", container->id), &reply, error);
	if (r < 0)
		return r;
	container->is_made = !(options && options->outlives_host);
	container->init = process_new(&container->helper, &reply, error);
	return container->init ? 0 : -1;
}

int tare_container_create(const tare_config *config, const struct tare_options *options, tare_container **ret,
	struct tare_error *error)
{
	tare_container *container = NULL;

	if (!ret)
		return error_set(error, TARE_INVALID, 0, "no place for the handle");
	*ret = NULL;
	if (new_container(options, &container, error) < 0)
		return -1;
	if (create(container, config, options, error) < 0) {
		tare_container_free(container);
		return -1;
	}
	*ret = container;
	return 0;
}

int tare_container_open(const struct tare_options *options, tare_container **ret, struct tare_error *error)
{
	const struct call call = { .op = SERVE_OPEN };
	tare_container *container = NULL;
	struct reply reply;

	if (!ret || !options || !options->id)
		return error_set(error, TARE_INVALID, 0, "which container is to be opened was not said");
	*ret = NULL;
	if (new_container(options, &container, error) < 0)
		return -1;
	int r = helper_call(&container->helper, &call, &reply, error);
	if (r == 0 && reply.pidfd >= 0) {
		container->init = process_new(&container->helper, &reply, error);
		r = container->init ? 0 : -1;
	}
	if (r < 0)
		tare_container_free(container);
	else
		*ret = container;
	return r;
}

int tare_container_start(tare_container *container, struct tare_error *error)
{
	return simple_command(container, "start", error);
}

int tare_container_delete(tare_container *container, struct tare_error *error)
{
	struct call call = { .op = SERVE_COMMAND };
	struct tare_status status;

	/* `delete --force` is content if there is none; whoever has a handle is told. */
	if (tare_container_status(container, &status, error) < 0)
		return -1;
	return run_words(container, &call, WORDS("delete", "--force", "--", container->id), NULL, error);
}

/* What was to see to the end of it has been killed: another does. */
static void end_without_helper(const tare_container *container)
{
	const struct tare_options options = {
		.id = container->id, .root = container->root, .runtime = container->runtime
	};
	tare_container *other = NULL;

	if (tare_container_open(&options, &other, NULL) < 0)
		return;
	tare_container_delete(other, NULL);
	tare_container_free(other);
}

void tare_container_free(tare_container *container)
{
	const struct call ask = { .op = SERVE_STATUS };
	struct tare_error error = { .code = TARE_OK };

	if (!container)
		return;
	helper_call(&container->helper, &ask, NULL, &error);
	tare_process_free(container->init);
	helper_finish(&container->helper);
	if (container->is_made && error.code == TARE_HELPER_LOST)
		end_without_helper(container);
	free_strings(container);
}

const char *tare_container_id(const tare_container *container)
{
	return container ? container->id : NULL;
}

tare_process *tare_container_init(const tare_container *container)
{
	return container ? container->init : NULL;
}

int tare_container_event_fd(const tare_container *container)
{
	return container ? container->helper.news : -1;
}

char *tare_container_take_warnings(tare_container *container)
{
	if (!container)
		return NULL;
	pthread_mutex_lock(&container->helper.lock);
	char *warnings = TAKE(container->helper.warnings);
	pthread_mutex_unlock(&container->helper.lock);
	return warnings;
}

/* ---- while it runs ---- */

int tare_container_signal(tare_container *container, int signo, enum tare_signal_target target,
	struct tare_error *error)
{
	struct call call = { .op = SERVE_COMMAND };
	char number[16];

	if (!container || (target != TARE_SIGNAL_INIT && target != TARE_SIGNAL_ALL))
		return error_set(error, TARE_INVALID, 0, "no such target of a signal");
	snprintf(number, sizeof(number), "%d", signo);
	return target == TARE_SIGNAL_ALL
		       ? run_words(container, &call, WORDS("kill", "--all", "--", container->id, number), NULL, error)
		       : run_words(container, &call, WORDS("kill", "--", container->id, number), NULL, error);
}

int tare_container_pause(tare_container *container, struct tare_error *error)
{
	return simple_command(container, "pause", error);
}

int tare_container_resume(tare_container *container, struct tare_error *error)
{
	return simple_command(container, "resume", error);
}

int tare_container_update_oci(tare_container *container, const char *json, size_t size, struct tare_error *error)
{
	struct call call = { .op = SERVE_COMMAND, .document = json ? json : "", .document_size = json ? size : 0 };

	if (!container)
		return error_set(error, TARE_INVALID, 0, "no container");
	return run_words(container, &call, WORDS("update", "--resources", SERVE_DOCUMENT, "--", container->id), NULL,
		error);
}

int tare_container_update(tare_container *container, const struct tare_limits *limits, struct tare_error *error)
{
	_cleanup_(buf_finish) struct buf text = BUF_INIT(OCI_DOCUMENT_MAX);
	struct oci_resources resources = { 0 };

	if (!limits)
		return error_set(error, TARE_INVALID, 0, "no limits");
	config_resources(limits, &resources);
	int r = json_print(&oci_resources_table, &resources, &text);
	return r < 0 ? error_errno(error, r, "cannot write the limits")
		     : tare_container_update_oci(container, text.data, text.len, error);
}

int tare_container_status(tare_container *container, struct tare_status *ret, struct tare_error *error)
{
	const struct call call = { .op = SERVE_STATUS };
	struct reply reply;
	uint64_t count;

	if (!container || !ret)
		return error_set(error, TARE_INVALID, 0, "no container, or no place for its status");
	/* Before the question: what happens after it makes it readable again. */
	if (read(container->helper.news, &count, sizeof(count)) < 0)
		errno = 0;
	if (helper_call(&container->helper, &call, &reply, error) < 0)
		return -1;
	*ret = (struct tare_status){
		.state = reply.answer.state, .pid = reply.answer.pid, .oom_kills = reply.answer.stats.oom_kills
	};
	return 0;
}

int tare_container_stats(tare_container *container, struct tare_stats *ret, struct tare_error *error)
{
	const struct call call = { .op = SERVE_STATS };
	struct reply reply;

	if (!container || !ret)
		return error_set(error, TARE_INVALID, 0, "no container, or no place for its statistics");
	if (helper_call(&container->helper, &call, &reply, error) < 0)
		return -1;
	const struct serve_stats *stats = &reply.answer.stats;
	*ret = (struct tare_stats){ .cpu_ns = stats->cpu_ns,
		.cpu_user_ns = stats->cpu_user_ns,
		.cpu_kernel_ns = stats->cpu_kernel_ns,
		.throttled_periods = stats->throttled_periods,
		.throttled_ns = stats->throttled_ns,
		.memory_bytes = stats->memory_bytes,
		.memory_peak_bytes = stats->memory_peak_bytes,
		.memory_limit_bytes = stats->memory_limit_bytes,
		.pids = stats->pids,
		.pids_limit = stats->pids_limit,
		.io_read_bytes = stats->io_read_bytes,
		.io_write_bytes = stats->io_write_bytes,
		.io_reads = stats->io_reads,
		.io_writes = stats->io_writes,
		.oom_kills = stats->oom_kills };
	return 0;
}

/* ---- exec ---- */

static int exec_words(const tare_container *container, const struct tare_exec *exec, char ***words)
{
	int r = strv_append(words, "exec");

	if (r == 0)
		r = strv_append(words, "--detach");
	if (r == 0 && exec->terminal)
		r = strv_append(words, "--tty");
	if (r == 0 && exec->cwd)
		r = strv_appendf(words, "--cwd=%s", exec->cwd);
	if (r == 0 && exec->user)
		r = strv_appendf(words, "--user=%s", exec->user);
	strv_foreach (entry, (char *const *)exec->env)
		if (r == 0)
			r = strv_appendf(words, "--env=%s", *entry);
	if (r == 0)
		r = strv_append(words, "--");
	if (r == 0)
		r = strv_append(words, container->id);
	return r < 0 ? r : strv_extend(words, (char *const *)exec->args);
}

int tare_container_exec(tare_container *container, const struct tare_exec *exec, tare_process **ret,
	struct tare_error *error)
{
	_autofree_(strv) char **words = NULL;
	struct reply reply;

	if (!container || !exec || !exec->args || !exec->args[0] || !ret)
		return error_set(error, TARE_INVALID, 0, "nothing to execute");
	*ret = NULL;
	int r = exec_words(container, exec, &words);
	if (r < 0)
		return error_errno(error, r, "cannot ask tare-runtime");
	const struct call call = { .op = SERVE_COMMAND, .words = words, .stdio = exec->has_stdio ? exec->stdio : NULL };
	if (helper_call(&container->helper, &call, &reply, error) < 0)
		return -1;
	*ret = process_new(&container->helper, &reply, error);
	return *ret ? 0 : -1;
}
