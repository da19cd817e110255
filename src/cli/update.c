#include "base/strv.h"
#include "cli/client.h"
#include "cli/container_config.h"
#include "cli/object.h"
#include "cli/ports.h"
#include "cli/print.h"
#include "cli/values.h"
#include "cli/verbs.h"
#include "codec/json.h"

struct update_options {
	int64_t blkio_weight;
	int64_t cpu_period;
	int64_t cpu_quota;
	int64_t cpu_rt_period;
	int64_t cpu_rt_runtime;
	int64_t cpu_shares;
	int64_t nano_cpus;
	const char *cpuset_cpus;
	const char *cpuset_mems;
	int64_t kernel_memory;
	int64_t memory;
	int64_t memory_reservation;
	int64_t memory_swap;
	int64_t pids_limit;
	const char *restart;
	struct option_int bandwidth_in, bandwidth_out;
	char **egress;
	char **publish_add;
	char **publish_remove;
};

#define OPTION(...) OPTION_IN(struct update_options, __VA_ARGS__)
static const struct option_spec specs[] = {
	OPTION("bandwidth-in", 0, OPTION_BITS, bandwidth_in,
		"Most that it receives on each of its networks (500k, 10m, 1g); 0: no limit"),
	OPTION("bandwidth-out", 0, OPTION_BITS, bandwidth_out,
		"Most that it sends on each of its networks; 0: no limit"),
	OPTION("blkio-weight", 0, OPTION_UINT16, blkio_weight, "Share of block I/O, 10 to 1000"),
	OPTION("cpu-period", 0, OPTION_INT, cpu_period, "Length of a scheduling period in microseconds"),
	OPTION("cpu-quota", 0, OPTION_INT, cpu_quota, "CPU time in each period in microseconds"),
	OPTION("cpu-rt-period", 0, OPTION_INT, cpu_rt_period,
		"Length of a real-time scheduling period in microseconds"),
	OPTION("cpu-rt-runtime", 0, OPTION_INT, cpu_rt_runtime, "Real-time CPU time in each period in microseconds"),
	OPTION("cpu-shares", 'c', OPTION_INT, cpu_shares, "Weight among containers that want the CPU"),
	OPTION("cpus", 0, OPTION_DECIMAL, nano_cpus, "Number of CPUs' worth of time, such as 1.5"),
	OPTION("cpuset-cpus", 0, OPTION_STRING, cpuset_cpus, "Run on these CPUs only (0-3, 0,1)"),
	OPTION("cpuset-mems", 0, OPTION_STRING, cpuset_mems, "Use memory of these nodes only (0-3, 0,1)"),
	OPTION("egress", 0, OPTION_LIST, egress,
		"What the container may reach, in place of all that was said (default=allow: everything)"),
	OPTION("kernel-memory", 0, OPTION_BYTES, kernel_memory, "Limit of the kernel's memory (obsolete)",
		.hidden = true),
	OPTION("memory", 'm', OPTION_BYTES, memory, "Limit of the memory"),
	OPTION("memory-reservation", 0, OPTION_BYTES, memory_reservation,
		"Memory to shrink to when the host runs short"),
	OPTION("memory-swap", 0, OPTION_BYTES, memory_swap, "Limit of memory and swap together; -1 for no limit"),
	OPTION("pids-limit", 0, OPTION_INT, pids_limit, "Most processes; -1 for no limit"),
	OPTION("publish-add", 0, OPTION_LIST, publish_add,
		"Publish a port of the running container ([[address:]host-port:]port[/protocol])"),
	OPTION("publish-rm", 0, OPTION_LIST, publish_remove, "Publish it no longer; a port alone: wherever it is"),
	OPTION("restart", 0, OPTION_STRING, restart,
		"Start again after an exit: no, on-failure[:times], always, unless-stopped"),
};
static const struct option_table table = OPTION_TABLE(specs);

static int put_ports(struct object *body, const char *key, char *const *wanted, struct err **reterr)
{
	_autojson_ json_t *exposed = json_object(), *bindings = json_object();
	int ret = exposed && bindings ? 0 : err_oom(reterr);
	strv_foreach (spec, wanted)
		ret = ret < 0 ? ret : ports_publish(*spec, exposed, bindings, reterr);
	if (ret == 0 && json_object_size(bindings) > 0)
		object_put(body, key, TAKE(bindings));
	return ret;
}

static int build_body(const struct update_options *options, json_t **ret, struct err **reterr)
{
	_cleanup_(object_finish) struct object body;
	object_init(&body);
	object_put_int(&body, "BlkioWeight", options->blkio_weight);
	object_put_int(&body, "CpuPeriod", options->cpu_period);
	object_put_int(&body, "CpuQuota", options->cpu_quota);
	object_put_int(&body, "CpuRealtimePeriod", options->cpu_rt_period);
	object_put_int(&body, "CpuRealtimeRuntime", options->cpu_rt_runtime);
	object_put_int(&body, "CpuShares", options->cpu_shares);
	object_put_int(&body, "NanoCpus", options->nano_cpus);
	object_put_string(&body, "CpusetCpus", options->cpuset_cpus);
	object_put_string(&body, "CpusetMems", options->cpuset_mems);
	object_put_int(&body, "KernelMemory", options->kernel_memory);
	object_put_int(&body, "Memory", options->memory);
	object_put_int(&body, "MemoryReservation", options->memory_reservation);
	object_put_int(&body, "MemorySwap", options->memory_swap);
	object_put_int(&body, "PidsLimit", options->pids_limit);
	if (options->bandwidth_in.set)
		object_put(&body, "BandwidthIn", json_integer(options->bandwidth_in.value));
	if (options->bandwidth_out.set)
		object_put(&body, "BandwidthOut", json_integer(options->bandwidth_out.value));
	if (options->egress)
		object_put_array(&body, "Egress", options->egress);
	int r = put_ports(&body, "PublishAdd", options->publish_add, reterr);
	if (r == 0)
		r = put_ports(&body, "PublishRemove", options->publish_remove, reterr);
	if (r < 0)
		return r;
	if (!body.failed && !json_object_size(body.json) && !options->restart)
		return err_set(reterr, ERR_INVALID, 0, "you must provide one or more flags when using this command");
	if (options->restart && *options->restart) {
		json_t *policy = NULL;
		r = container_restart_policy(options->restart, &policy, reterr);
		if (r < 0)
			return r;
		object_put(&body, "RestartPolicy", policy);
	}
	return object_take(&body, ret, reterr);
}

static int update_one(const struct invocation *invocation, const char *name, const json_t *body, struct err **reterr)
{
	_cleanup_(buf_finish) struct buf path = BUF_INIT(CLIENT_PATH_MAX);
	_autojson_ json_t *answer = NULL;
	int ret = client_path(&path, "/containers/", name, "/update");
	if (ret < 0)
		return err_errno(reterr, ret, "cannot make the request");
	ret = client_call(invocation->client, "POST", path.data, body, &answer, reterr);
	if (ret == 0)
		ret = print_line(reterr, "%s", name);
	size_t i;
	const json_t *warning;
	json_array_foreach (value_at(answer, "Warnings"), i, warning)
		print_error("%s", json_string_value(warning));
	return ret;
}

static int update_run(const struct invocation *invocation, struct err **reterr)
{
	_autojson_ json_t *body = NULL;
	int ret = build_body(invocation->options, &body, reterr);
	if (ret < 0)
		return ret;
	int code = 0;
	for (size_t i = 0; i < invocation->arg_count; i++) {
		_autofree_(err) struct err *err = NULL;
		if (update_one(invocation, invocation->args[i], body, &err) < 0) {
			print_error("%s", err_message(err));
			code = 1;
		}
	}
	return code;
}

const struct command update_command = {
	.names = { "container update", "update" },
	.usage = "[OPTIONS] CONTAINER [CONTAINER...]",
	.summary = "Change limits and the restart policy of containers",
	.options = { { &table } },
	.options_size = sizeof(struct update_options),
	.min_args = 1,
	.max_args = COMMAND_ARGS_ANY,
	.arguments = ARGUMENTS_CONTAINERS,
	.flags = COMMAND_ENGINE,
	.run = update_run,
};
