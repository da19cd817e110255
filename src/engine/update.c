/*
 * The merged configuration is checked as that of a new container would be, written down, and then told to the monitor, which
 * changes the groups of what runs. If it can't, what is written down is put back: the monitor has put its part back itself.
 * launch.json follows, since a monitor starts its container again without asking.
 *
 * A crash after the row was written leaves a container whose next start has the new limits, although nobody was told so.
 */
#include "engine/update.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/strv.h"
#include "engine/egress.h"
#include "engine/events.h"
#include "engine/launch.h"
#include "engine/launch_resources.h"
#include "engine/monitor_link.h"
#include "engine/operation.h"
#include "engine/ports.h"
#include "engine/validate.h"

/* The members of the operation's document: what is asked for, and, once that is written down, what was before. */
#define WANTED "wanted"
#define BEFORE "before"

static bool is_set(const char *text)
{
	return text && text[0];
}

/* --- merging --- */

static bool asks_for_others(const struct host_resources *r)
{
	bool memory = r->memory_swappiness.set || r->oom_kill_disable.value;
	bool blocks = r->blkio_weight_device_count || r->blkio_read_bps_count || r->blkio_write_bps_count ||
		      r->blkio_read_iops_count || r->blkio_write_iops_count;
	return memory || blocks || r->device_count || r->device_request_count || r->ulimit_count ||
	       strv_count(r->device_cgroup_rules) > 0 || is_set(r->cgroup_parent);
}

static int check_conflicts(const struct host_resources *wanted, const struct host_resources *now, struct err **reterr)
{
	const struct {
		bool conflicts;
		const char *what, *with;
	} pairs[] = {
		{ wanted->nano_cpus > 0 && now->cpu_period > 0, "Nano CPUs", "CPU Period" },
		{ wanted->nano_cpus > 0 && now->cpu_quota > 0, "Nano CPUs", "CPU Quota" },
		{ wanted->cpu_period > 0 && now->nano_cpus > 0, "CPU Period", "NanoCPUs" },
		{ wanted->cpu_quota > 0 && now->nano_cpus > 0, "CPU Quota", "NanoCPUs" },
	};
	for (size_t i = 0; i < ARRAY_SIZE(pairs); i++) {
		if (pairs[i].conflicts)
			return err_set(reterr, ERR_CONFLICT, 0,
				"Conflicting options: %s cannot be updated as %s has already been set", pairs[i].what,
				pairs[i].with);
	}
	if (wanted->memory > 0 && wanted->memory_swap == 0 && now->memory_swap > 0 && wanted->memory > now->memory_swap)
		return err_set(reterr, ERR_CONFLICT, 0,
			"Memory limit should be smaller than already set memoryswap limit, update the memoryswap at the same "
			"time");
	return 0;
}

static int merge_text(char **member, const char *wanted)
{
	if (!is_set(wanted))
		return 0;
	char *copy = strdup(wanted);
	if (!copy)
		return -ENOMEM;
	free(*member);
	*member = copy;
	return 0;
}

/* What is zero stays as it is, as Docker has it. */
static int merge(const struct host_resources *wanted, struct host_resources *into)
{
	const struct {
		int64_t *member;
		int64_t value;
	} numbers[] = {
		{ &into->blkio_weight, wanted->blkio_weight },
		{ &into->cpu_shares, wanted->cpu_shares },
		{ &into->nano_cpus, wanted->nano_cpus },
		{ &into->cpu_period, wanted->cpu_period },
		{ &into->cpu_quota, wanted->cpu_quota },
		{ &into->cpu_realtime_period, wanted->cpu_realtime_period },
		{ &into->cpu_realtime_runtime, wanted->cpu_realtime_runtime },
		{ &into->kernel_memory, wanted->kernel_memory },
		{ &into->kernel_memory_tcp, wanted->kernel_memory_tcp },
		{ &into->memory, wanted->memory },
		{ &into->memory_swap, wanted->memory_swap },
		{ &into->memory_reservation, wanted->memory_reservation },
	};
	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
		if (numbers[i].value)
			*numbers[i].member = numbers[i].value;
	}
	if (wanted->pids_limit.set)
		into->pids_limit = wanted->pids_limit;
	int r = merge_text(&into->cpuset_cpus, wanted->cpuset_cpus);
	return r < 0 ? r : merge_text(&into->cpuset_mems, wanted->cpuset_mems);
}

static int copy_resources(const struct host_resources *from, struct host_resources *to, struct err **reterr)
{
	_autojson_ json_t *document = json_write(&host_resources_table, from);
	return document ? json_read(&host_resources_table, document, to, reterr) : err_oom(reterr);
}

/* Into the zeroed `out`, which the caller finishes. */
static int merged_resources(const struct container *container, const struct host_resources *wanted,
	struct host_resources *out, char ***warnings, struct err **reterr)
{
	const struct host_resources *now = &container->record.host.resources;
	if (asks_for_others(wanted))
		return err_set(reterr, ERR_UNSUPPORTED, 0,
			"of an existing container only limits of CPU, memory and processes, the weight of block I/O and the restart "
			"policy can be changed");
	int r = copy_resources(now, out, reterr);
	if (r == 0)
		r = check_conflicts(wanted, now, reterr);
	if (r < 0)
		return err_wrap(reterr, r, "Cannot update container %s", container->id);
	if (merge(wanted, out) < 0)
		return err_oom(reterr);
	r = validate_resources(out, warnings, reterr);
	validate_complete_resources(out);
	return r;
}

static int merged_policy(const struct container *container, const struct restart_policy *wanted,
	struct restart_policy *out, struct err **reterr)
{
	const struct restart_policy *now = &container->record.host.restart_policy;
	bool is_wanted = is_set(wanted->name);
	int r = is_wanted ? validate_restart_policy(wanted, false, reterr) : 0;
	if (r < 0)
		return r;
	if (is_wanted && container->record.host.auto_remove && strcmp(wanted->name, "no") != 0)
		return err_set(reterr, ERR_INVALID, 0,
			"Cannot update container %s: Restart policy cannot be updated because AutoRemove is enabled for the "
			"container",
			container->id);
	*out = is_wanted ? *wanted : *now;
	out->name = strdup(out->name ? out->name : "no");
	return out->name ? 0 : err_oom(reterr);
}

/* --- the record --- */

static void swap(struct container *container, struct container_update *update)
{
	struct host_config *host = &container->record.host;
	const struct host_resources resources = host->resources;
	const struct restart_policy policy = host->restart_policy;
	host->resources = update->resources;
	host->restart_policy = update->restart_policy;
	*update = (struct container_update){ .resources = resources, .restart_policy = policy };
}

/* The row, and what the monitor starts from. On failure the record is as before. `update` gets what was. */
static int put(struct container *container, struct container_update *update, struct err **reterr)
{
	swap(container, update);
	int r = records_update_container(container->engine->records, container->id, &container->record, reterr);
	if (r < 0)
		swap(container, update);
	return r;
}

static json_t *warnings_answer(char *const *warnings)
{
	json_t *list = strv_count(warnings) ? json_array() : json_null();
	strv_foreach (warning, warnings)
		json_array_append_new(list, json_string(*warning));
	return json_pack("{s:o}", "Warnings", list);
}

static int save_merged(struct operation *operation, const struct container_update *wanted, struct err **reterr)
{
	struct container *container = operation->container;
	struct container_update merged = { 0 };
	_autofree_(strv) char **warnings = NULL;
	int r = merged_resources(container, &wanted->resources, &merged.resources, &warnings, reterr);
	if (r == 0)
		r = merged_policy(container, &wanted->restart_policy, &merged.restart_policy, reterr);
	if (r == 0 && !(operation->result = warnings_answer(warnings)))
		r = err_oom(reterr);
	if (r == 0)
		r = put(container, &merged, reterr);
	if (r == 0 && json_object_set_new(operation->args.document, BEFORE,
			      json_write(&container_update_table, &merged)) < 0) {
		put(container, &merged, NULL);
		r = err_oom(reterr);
	}
	json_finish(&container_update_table, &merged);
	return r;
}

static int save(struct operation *operation, struct err **reterr)
{
	struct container_update wanted = { 0 };
	if (operation->container->removing)
		return err_set(reterr, ERR_CONFLICT, 0, CONTAINER_REMOVING_TEXT, operation->container->id);
	int r = json_read(&container_update_table, json_object_get(operation->args.document, WANTED), &wanted, reterr);
	if (r == 0)
		r = save_merged(operation, &wanted, reterr);
	json_finish(&container_update_table, &wanted);
	return r < 0 ? r : STEP_NEXT;
}

static void write_launch(struct container *container)
{
	_autofree_(err) struct err *err = NULL;
	if (monitor_link_is_up(container) && launch_write(container, &err) < 0)
		log_error("container %s would be started again with the limits of before: %s", container->id,
			err_message(err));
}

static void put_back(struct operation *operation)
{
	struct container_update before = { 0 };
	_autofree_(err) struct err *err = NULL;
	json_t *document = json_object_get(operation->args.document, BEFORE);
	if (!document)
		return;
	int r = json_read(&container_update_table, document, &before, &err);
	if (r == 0)
		r = put(operation->container, &before, &err);
	if (r < 0)
		log_error("container %s keeps limits that could not be set: %s", operation->container->id,
			err_message(err));
	json_finish(&container_update_table, &before);
	write_launch(operation->container);
}

/* --- the monitor --- */

/* All limits, changed or not: one of them may need another (v2's swap counts from the memory). */
static json_t *limits_document(const struct operation *operation)
{
	struct oci_resources limits = { 0 };
	const json_t *before = json_object_get(operation->args.document, BEFORE);
	int r = launch_limits(&operation->container->record.host.resources, &limits);
	if (!limits.pids.limit.set && json_is_integer(json_object_get(before, "PidsLimit")))
		limits.pids.limit = (struct json_opt_int){ true, -1 };
	json_t *document = r < 0 ? NULL : json_write(&oci_resources_table, &limits);
	json_finish(&oci_resources_table, &limits);
	return document;
}

static int tell_monitor(struct operation *operation, struct err **reterr)
{
	struct container *container = operation->container;
	const struct restart_policy *policy = &container->record.host.restart_policy;
	const struct launch_restart_policy told = { .name = policy->name, .max_retry = policy->maximum_retry_count };
	if (!monitor_link_is_up(container))
		return STEP_NEXT;
	write_launch(container);
	json_t *body = message_new("update", 0);
	message_add(body, "restart_policy", json_write(&launch_restart_policy_table, &told));
	message_add(body, "resources", limits_document(operation));
	return operation_ask(operation, body, MONITOR_ANSWER_MS, reterr);
}

static int told(struct operation *operation, const struct message *answer, struct err **reterr)
{
	if (message_bool(answer, "resources") || !container_is_running(operation->container))
		return STEP_NEXT;
	return err_set(reterr, ERR_UNSUPPORTED, 0,
		"Cannot update container %s: its monitor is of an older version: restart the container first",
		operation->container->id);
}

/* --- published ports --- */

#define PORTS_BEFORE "ports"

static int put_ports(struct container *container, json_t *bindings, struct err **reterr)
{
	json_t *before = container->record.host.port_bindings;
	container->record.host.port_bindings = bindings;
	int r = records_update_container(container->engine->records, container->id, &container->record, reterr);
	if (r < 0) {
		container->record.host.port_bindings = before;
		json_decref(bindings);
		return r;
	}
	json_decref(before);
	return 0;
}

static int save_ports(struct operation *operation, struct err **reterr)
{
	struct container *container = operation->container;
	const json_t *wanted = json_object_get(operation->args.document, WANTED);
	const json_t *add = json_object_get(wanted, "PublishAdd"), *remove = json_object_get(wanted, "PublishRemove");
	json_t *bindings, *before = container->record.host.port_bindings;
	if (!json_object_size(add) && !json_object_size(remove))
		return STEP_NEXT;
	if (container->record.leg_count == 0)
		return err_set(reterr, ERR_CONFLICT, 0,
			"Cannot update container %s: it is on no network that publishes ports", container->id);
	int r = ports_update(before, add, remove, &bindings, reterr);
	if (r < 0)
		return err_wrap(reterr, r, "Cannot update container %s", container->id);
	if (json_object_set_new(operation->args.document, PORTS_BEFORE,
		    before ? json_deep_copy(before) : json_object()) < 0) {
		json_decref(bindings);
		return err_oom(reterr);
	}
	r = put_ports(container, bindings, reterr);
	return r < 0 ? r : STEP_NEXT;
}

static void ports_back(struct operation *operation)
{
	_autofree_(err) struct err *err = NULL;
	json_t *before = json_object_get(operation->args.document, PORTS_BEFORE);
	if (!before)
		return;
	if (put_ports(operation->container, json_incref(before), &err) < 0)
		log_error("container %s keeps ports that could not be published: %s", operation->container->id,
			err_message(err));
	write_launch(operation->container);
}

/* --- the egress policy, limits of bandwidth --- */

#define EGRESS_BEFORE "egress"

/* What of a container_update is about that, and is all there. */
static void swap_network(struct host_config *host, struct container_update *update)
{
	const struct container_update before = { .egress = host->egress,
		.bandwidth_in = { true, host->bandwidth_in },
		.bandwidth_out = { true, host->bandwidth_out } };
	host->egress = update->egress;
	host->bandwidth_in = update->bandwidth_in.value;
	host->bandwidth_out = update->bandwidth_out.value;
	update->egress = before.egress;
	update->bandwidth_in = before.bandwidth_in;
	update->bandwidth_out = before.bandwidth_out;
}

/* `update` gets what was. On failure the record is as before. */
static int put_network(struct container *container, struct container_update *update, struct err **reterr)
{
	swap_network(&container->record.host, update);
	int r = records_update_container(container->engine->records, container->id, &container->record, reterr);
	if (r < 0)
		swap_network(&container->record.host, update);
	return r;
}

/* Into `out` what will be: what `wanted` does not name is as it is. */
static int merge_network(const struct host_config *host, const struct container_update *wanted,
	struct container_update *out, struct err **reterr)
{
	out->bandwidth_in = wanted->bandwidth_in;
	out->bandwidth_out = wanted->bandwidth_out;
	if (!out->bandwidth_in.set)
		out->bandwidth_in = (struct json_opt_int){ true, host->bandwidth_in };
	if (!out->bandwidth_out.set)
		out->bandwidth_out = (struct json_opt_int){ true, host->bandwidth_out };
	int r = egress_check_bandwidth(out->bandwidth_in.value, host, reterr);
	if (r == 0)
		r = egress_check_bandwidth(out->bandwidth_out.value, host, reterr);
	return r < 0 ? r : egress_settle(wanted->egress ?: host->egress, host, &out->egress, reterr);
}

static int change_network(struct operation *operation, const struct container_update *wanted, struct err **reterr)
{
	struct container *container = operation->container;
	struct container_update update = { 0 };
	int r = merge_network(&container->record.host, wanted, &update, reterr);
	if (r < 0)
		err_wrap(reterr, r, "Cannot update container %s", container->id);
	if (r == 0)
		r = put_network(container, &update, reterr);
	if (r == 0 && json_object_set_new(operation->args.document, EGRESS_BEFORE,
			      json_write(&container_update_table, &update)) < 0) {
		put_network(container, &update, NULL);
		r = err_oom(reterr);
	}
	json_finish(&container_update_table, &update);
	return r;
}

static int save_network(struct operation *operation, struct err **reterr)
{
	struct container_update wanted = { 0 };
	int r = json_read(&container_update_table, json_object_get(operation->args.document, WANTED), &wanted, reterr);
	if (r == 0 && (wanted.egress || wanted.bandwidth_in.set || wanted.bandwidth_out.set))
		r = change_network(operation, &wanted, reterr);
	json_finish(&container_update_table, &wanted);
	return r < 0 ? r : STEP_NEXT;
}

static void network_back(struct operation *operation)
{
	_autofree_(err) struct err *err = NULL;
	struct container_update before = { 0 };
	json_t *document = json_object_get(operation->args.document, EGRESS_BEFORE);
	if (!document)
		return;
	int r = json_read(&container_update_table, document, &before, &err);
	if (r == 0)
		r = put_network(operation->container, &before, &err);
	if (r < 0)
		log_error("container %s keeps limits of its network that could not be set: %s",
			operation->container->id, err_message(err));
	json_finish(&container_update_table, &before);
	write_launch(operation->container);
}

/* --- its network is told --- */

static int tell_network(struct operation *operation, struct err **reterr)
{
	struct container *container = operation->container;
	const json_t *document = operation->args.document;
	bool is_changed = json_object_get(document, PORTS_BEFORE) || json_object_get(document, EGRESS_BEFORE);
	if (!is_changed || !monitor_link_is_up(container))
		return STEP_NEXT;
	write_launch(container);
	if (!container_is_running(container))
		return STEP_NEXT;
	return operation_ask(operation, message_new("network", 0), MONITOR_ANSWER_MS, reterr);
}

/* state.json has what was chosen. */
static int network_told(struct operation *operation, const struct message *answer, struct err **reterr)
{
	struct container *container = operation->container;
	(void)answer;
	monitor_link_refresh(container);
	if (json_object_get(operation->args.document, EGRESS_BEFORE) && container_is_running(container) &&
		container->record.leg_count > 0 && container->record.host.egress && !container->state.held)
		return err_set(reterr, ERR_UNSUPPORTED, 0,
			"Cannot update container %s: its monitor is of an older version: restart the container first",
			container->id);
	return STEP_NEXT;
}

static void ended(struct operation *operation, const struct err *err)
{
	if (!err)
		events_tell_container(operation->container, "update");
}

void update_container(struct container *container, const struct container_update *update, engine_done_fn *done,
	void *user)
{
	static const struct step steps[] = { { save, NULL, put_back, 0 }, { tell_monitor, told, NULL, 0 },
		{ save_ports, NULL, ports_back, 0 }, { save_network, NULL, network_back, 0 },
		{ tell_network, network_told, NULL, 0 } };
	static const struct verb verb = { "update", steps, ARRAY_SIZE(steps), .queued = true, .ended = ended };
	_autofree_(err) struct err *err = NULL;
	const struct operation_args args = {
		.document = json_pack("{s:o}", WANTED, json_write(&container_update_table, update)),
	};
	if (args.document) {
		operation_begin(container, &verb, &args, done, user);
		return;
	}
	err_oom(&err);
	done(user, NULL, err);
}
