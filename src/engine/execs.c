#include "engine/execs.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/io.h"
#include "base/list.h"
#include "base/parse.h"
#include "base/strv.h"
#include "engine/lifecycle.h"
#include "engine/monitor_link.h"
#include "engine/operation.h"

#define EXIT_CODE_KILLED (128 + SIGKILL)

struct exec {
	char id[CONTAINER_ID_SIZE];
	char container[CONTAINER_ID_SIZE];
	bool ended;
	int64_t exit_code;
};

struct execs {
	struct map *by_id; /* of struct exec, in order of creation */
};

struct execs *execs_new(void)
{
	struct execs *execs = calloc(1, sizeof(*execs));
	if (execs && !(execs->by_id = map_new(free))) {
		free(execs);
		return NULL;
	}
	return execs;
}

void execs_free(struct execs *execs)
{
	if (!execs)
		return;
	map_free(execs->by_id);
	free(execs);
}

static int execs_add(struct execs *execs, const char *id, const char *container)
{
	struct exec *exec = calloc(1, sizeof(*exec));
	if (!exec)
		return -ENOMEM;
	memcpy(exec->id, id, sizeof(exec->id));
	memcpy(exec->container, container, sizeof(exec->container));
	if (map_set(execs->by_id, id, exec) < 0) {
		free(exec);
		return -ENOMEM;
	}
	return 0;
}

void execs_found(struct container *container, const char *id)
{
	struct execs *execs = container->engine->execs;
	if (is_hex(id, CONTAINER_ID_SIZE - 1) && !map_has(execs->by_id, id))
		execs_add(execs, id, container->id);
}

/* Of what has ended in this container only the newest stay. */
static void drop_ended(struct execs *execs, const char *container)
{
	struct map_entry *entry;
	size_t ended = 0;
	map_foreach (entry, execs->by_id) {
		const struct exec *exec = entry->value;
		ended += exec->ended && strcmp(exec->container, container) == 0;
	}
	map_foreach (entry, execs->by_id) {
		const struct exec *exec = entry->value;
		if (ended <= EXECS_ENDED_MAX)
			return;
		if (!exec->ended || strcmp(exec->container, container) != 0)
			continue;
		map_remove(execs->by_id, exec->id);
		ended--;
	}
}

void execs_died(struct container *container, const char *id, const char *exit_code)
{
	struct exec *exec = id ? map_get(container->engine->execs->by_id, id) : NULL;
	if (!exec)
		return;
	exec->ended = true;
	if (!exit_code || parse_i64(exit_code, 0, INT32_MAX, &exec->exit_code) < 0)
		exec->exit_code = -1;
	drop_ended(container->engine->execs, container->id);
}

void execs_lost(struct container *container)
{
	struct map_entry *entry;
	map_foreach (entry, container->engine->execs->by_id) {
		struct exec *exec = entry->value;
		if (exec->ended || strcmp(exec->container, container->id) != 0)
			continue;
		exec->ended = true;
		exec->exit_code = EXIT_CODE_KILLED;
	}
	drop_ended(container->engine->execs, container->id);
}

void execs_forget(struct execs *execs, const char *container_id)
{
	struct map_entry *entry;
	map_foreach (entry, execs->by_id) {
		const struct exec *exec = entry->value;
		if (strcmp(exec->container, container_id) == 0)
			map_remove(execs->by_id, exec->id);
	}
}

int execs_of(const struct execs *execs, const char *container_id, char ***ret)
{
	struct map_entry *entry;
	int r = 0;
	*ret = NULL;
	map_foreach (entry, execs->by_id) {
		const struct exec *exec = entry->value;
		if (r == 0 && !exec->ended && strcmp(exec->container, container_id) == 0)
			r = strv_append(ret, exec->id);
	}
	return r;
}

int execs_find(struct engine *engine, const char *id, struct container **ret, struct err **reterr)
{
	const struct exec *exec = map_get(engine->execs->by_id, id);
	struct container *container = exec ? containers_by_id(engine->containers, exec->container) : NULL;
	if (!container)
		return err_set(reterr, ERR_NOT_FOUND, 0, "No such exec instance: %s", id);
	*ret = container;
	return 0;
}

/* --- create --- */

static int ask_create(struct operation *operation, struct err **reterr)
{
	int r = lifecycle_need_active(operation->container, reterr);
	if (r < 0)
		return r;
	json_t *body = message_new("exec-create", 0);
	message_add(body, "exec", json_string(operation->text));
	message_add(body, "config", json_incref(operation->args.document));
	return operation_ask(operation, body, MONITOR_ANSWER_MS, reterr);
}

static int created(struct operation *operation, const struct message *answer, struct err **reterr)
{
	(void)answer;
	struct container *container = operation->container;
	if (execs_add(container->engine->execs, operation->text, container->id) < 0)
		return err_oom(reterr);
	operation->result = json_pack("{s:s}", "Id", operation->text);
	return operation->result ? STEP_NEXT : err_oom(reterr);
}

void execs_create(struct container *container, struct exec_config *config, engine_done_fn *done, void *user)
{
	static const struct step steps[] = { { ask_create, created } };
	static const struct verb verb = { "exec-create", steps, ARRAY_SIZE(steps) };
	char id[CONTAINER_ID_SIZE];
	io_random_hex(id, (CONTAINER_ID_SIZE - 1) / 2);
	const struct operation_args args = { .text = id, .document = json_write(&exec_config_table, config) };
	operation_begin(container, &verb, &args, done, user);
}

/* --- inspect --- */

static int ask_inspect(struct operation *operation, struct err **reterr)
{
	json_t *body = message_new("exec-inspect", 0);
	message_add(body, "exec", json_string(operation->text));
	return operation_ask(operation, body, MONITOR_ANSWER_MS, reterr);
}

static int inspected(struct operation *operation, const struct message *answer, struct err **reterr)
{
	json_t *state = json_object_get(answer->body, "exec_state");
	operation->result = json_incref(state);
	return state ? STEP_NEXT : err_set(reterr, ERR_INTERNAL, 0, "the container's monitor said nothing of the exec");
}

/* What is known here of an exec whose monitor has ended. */
static json_t *remembered(const struct exec *exec)
{
	struct exec_process_config process = { .entrypoint = (char *)"" };
	const struct exec_inspect inspect = {
		.id = (char *)exec->id,
		.running = false,
		.exit_code = { exec->ended, exec->exit_code },
		.process = &process,
		.container_id = (char *)exec->container,
		.detach_keys = (char *)"",
	};
	return json_write(&exec_inspect_table, &inspect);
}

void execs_inspect(struct engine *engine, const char *id, engine_done_fn *done, void *user)
{
	static const struct step steps[] = { { ask_inspect, inspected } };
	static const struct verb verb = { "exec-inspect", steps, ARRAY_SIZE(steps) };
	_autofree_(err) struct err *err = NULL;
	struct container *container;
	if (execs_find(engine, id, &container, &err) < 0) {
		done(user, NULL, err);
		return;
	}
	if (monitor_link_is_up(container) && container_is_running(container)) {
		const struct operation_args args = { .text = id };
		operation_begin(container, &verb, &args, done, user);
		return;
	}
	_autojson_ json_t *document = remembered(map_get(engine->execs->by_id, id));
	if (!document)
		err_oom(&err);
	done(user, document, err);
}
