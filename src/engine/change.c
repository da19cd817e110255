#include "engine/change.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "engine/events.h"
#include "engine/monitor_link.h"
#include "engine/operation.h"
#include "engine/validate.h"
#include "spec/launch.h"

#define ALLOCATING_NAME "Error when allocating new name"

int change_name(struct container *container, const char *name, struct err **reterr)
{
	struct engine *engine = container->engine;
	if (!name || !name[0] || strcmp(name, "/") == 0)
		return err_set(reterr, ERR_INVALID, 0, "Neither old nor new names may be empty");
	name += name[0] == '/';
	int r = container_name_check(name, reterr);
	if (r < 0)
		return err_wrap(reterr, r, ALLOCATING_NAME);
	if (container->removing)
		return err_set(reterr, ERR_CONFLICT, 0, CONTAINER_REMOVING_TEXT, container->id);
	if (strcmp(container->name, name) == 0)
		return err_set(reterr, ERR_INVALID, 0, "Renaming a container with the same name as its current name");
	r = containers_check_name(engine->containers, name, reterr);
	if (r < 0)
		return err_wrap(reterr, r, ALLOCATING_NAME);
	/* The row first: what fails after it is memory alone, and that is put right below. */
	_cleanup_free_ char *old = strdup(container->name);
	bool auto_remove = container->record.host.auto_remove;
	if (!old)
		return err_oom(reterr);
	r = records_rename_container(engine->records, container->id, name, auto_remove, reterr);
	if (r < 0)
		return r;
	r = containers_rename(engine->containers, container, name, reterr);
	if (r < 0) {
		records_rename_container(engine->records, container->id, old, auto_remove, NULL);
		return r;
	}
	char *shown;
	if (asprintf(&shown, "/%s", old) >= 0) {
		events_tell_container_with(container, "rename", "oldName", shown);
		free(shown);
	}
	return 0;
}

/* --- update --- */

static bool is_set(const char *text)
{
	return text && text[0];
}

static bool asks_for_limits(const struct host_resources *r)
{
	bool memory = r->memory || r->memory_swap || r->memory_reservation || r->kernel_memory ||
		      r->kernel_memory_tcp || r->memory_swappiness.set || r->oom_kill_disable.value;
	bool cpu = r->nano_cpus || r->cpu_shares || r->cpu_period || r->cpu_quota || r->cpu_realtime_period ||
		   r->cpu_realtime_runtime || is_set(r->cpuset_cpus) || is_set(r->cpuset_mems);
	bool blocks = r->blkio_weight || r->blkio_weight_device_count || r->blkio_read_bps_count ||
		      r->blkio_write_bps_count || r->blkio_read_iops_count || r->blkio_write_iops_count;
	return memory || cpu || blocks || r->pids_limit.set || r->device_count || r->ulimit_count;
}

static int tell_monitor(struct operation *operation, struct err **reterr)
{
	struct container *container = operation->container;
	const struct restart_policy *policy = &container->record.host.restart_policy;
	if (!monitor_link_is_up(container))
		return STEP_NEXT;
	const struct launch_restart_policy told = { .name = policy->name, .max_retry = policy->maximum_retry_count };
	json_t *body = message_new("update", 0);
	message_add(body, "restart_policy", json_write(&launch_restart_policy_table, &told));
	return operation_ask(operation, body, MONITOR_ANSWER_MS, reterr);
}

static int set_policy(struct container *container, const struct restart_policy *policy, struct err **reterr)
{
	struct restart_policy *own = &container->record.host.restart_policy;
	struct restart_policy before = *own;
	char *name = strdup(policy->name);
	if (!name)
		return err_oom(reterr);
	*own = (struct restart_policy){ .name = name, .maximum_retry_count = policy->maximum_retry_count };
	int r = records_update_container(container->engine->records, container->id, &container->record, reterr);
	if (r < 0) {
		free(name);
		*own = before;
		return r;
	}
	free(before.name);
	events_tell_container(container, "update");
	return 0;
}

static int apply_update(struct container *container, const struct container_update *update, struct err **reterr)
{
	const struct restart_policy *policy = &update->restart_policy;
	if (asks_for_limits(&update->resources))
		return err_set(reterr, ERR_UNSUPPORTED, 0,
			"limits of an existing container can't be changed yet: make it anew with other limits");
	if (!policy->name || !policy->name[0])
		return 0;
	if (container->removing)
		return err_set(reterr, ERR_CONFLICT, 0, CONTAINER_REMOVING_TEXT, container->id);
	int r = validate_restart_policy(policy, false, reterr);
	if (r < 0)
		return r;
	if (container->record.host.auto_remove && strcmp(policy->name, "no") != 0)
		return err_set(reterr, ERR_INVALID, 0,
			"Restart policy cannot be updated because AutoRemove is enabled for the container");
	return set_policy(container, policy, reterr);
}

void change_update(struct container *container, const struct container_update *update, engine_done_fn *done, void *user)
{
	static const struct step steps[] = { { tell_monitor } };
	static const struct verb verb = { "update", steps, ARRAY_SIZE(steps) };
	_autofree_(err) struct err *err = NULL;
	if (apply_update(container, update, &err) < 0)
		done(user, NULL, err);
	else
		operation_begin(container, &verb, NULL, done, user);
}
