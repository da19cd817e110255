#include "engine/launch_resources.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/parse.h"
#include "base/strv.h"
#include "spec/defaults.h"

#define CPU_PERIOD_DEFAULT_US 100000
#define CGROUP_PARENT_DEFAULT "/tare"
#define DEVICE_NUMBER_MAX     UINT32_MAX

static void set_int(struct json_opt_int *member, int64_t value)
{
	if (value != 0)
		*member = (struct json_opt_int){ true, value };
}

static int set_text(char **member, const char *value)
{
	if (!value || !value[0])
		return 0;
	*member = strdup(value);
	return *member ? 0 : -ENOMEM;
}

static int fill_cpu(const struct host_resources *from, struct oci_cpu *cpu)
{
	set_int(&cpu->shares, from->cpu_shares);
	set_int(&cpu->period, from->cpu_period);
	set_int(&cpu->quota, from->cpu_quota);
	set_int(&cpu->realtime_period, from->cpu_realtime_period);
	set_int(&cpu->realtime_runtime, from->cpu_realtime_runtime);
	if (from->nano_cpus > 0) {
		set_int(&cpu->period, CPU_PERIOD_DEFAULT_US);
		set_int(&cpu->quota, from->nano_cpus * CPU_PERIOD_DEFAULT_US / 1000000000LL);
	}
	int r = set_text(&cpu->cpus, from->cpuset_cpus);
	return r < 0 ? r : set_text(&cpu->mems, from->cpuset_mems);
}

static void fill_memory(const struct host_resources *from, struct oci_memory *memory)
{
	set_int(&memory->limit, from->memory);
	set_int(&memory->swap, from->memory_swap);
	set_int(&memory->reservation, from->memory_reservation);
	memory->swappiness = from->memory_swappiness;
	if (from->oom_kill_disable.set && from->oom_kill_disable.value)
		memory->disable_oom_killer = from->oom_kill_disable;
}

/* "c 1:3 mr", "b 8:* rwm", "a *:* rwm". */
static int add_device_rule(struct oci_resources *resources, const char *text, struct err **reterr)
{
	char type[2] = { text[0], '\0' }, numbers[64], access[8];
	int used = 0;
	if (sscanf(text, "%*1[abc] %63[0-9:*] %7[rwm]%n", numbers, access, &used) != 2 || text[used] != '\0')
		return err_set(reterr, ERR_INVALID, 0, "invalid device cgroup rule format: '%s'", text);
	char *minor_text = strchr(numbers, ':');
	int64_t major = -1, minor = -1;
	bool valid = minor_text != NULL;
	if (valid) {
		*minor_text++ = '\0';
		valid = strcmp(numbers, "*") == 0 || parse_i64(numbers, 0, DEVICE_NUMBER_MAX, &major) == 0;
		valid = valid &&
			(strcmp(minor_text, "*") == 0 || parse_i64(minor_text, 0, DEVICE_NUMBER_MAX, &minor) == 0);
	}
	if (!valid)
		return err_set(reterr, ERR_INVALID, 0, "invalid device cgroup rule format: '%s'", text);
	int r = defaults_add_device_rule(resources, true, type, major, minor, access);
	return r < 0 ? err_oom(reterr) : 0;
}

static int fill_device_rules(const struct container *container, struct oci_resources *resources, struct err **reterr)
{
	const struct host_config *host = &container->record.host;
	int r = host->privileged ? defaults_add_device_rule(resources, true, NULL, -1, -1, "rwm")
				 : defaults_add_device_rules(resources);
	if (r < 0)
		return err_oom(reterr);
	strv_foreach (rule, host->resources.device_cgroup_rules) {
		r = add_device_rule(resources, *rule, reterr);
		if (r < 0)
			return r;
	}
	return 0;
}

static int add_device(struct launch *launch, const struct device_mapping *from)
{
	struct launch_device *devices = realloc(launch->devices, (launch->device_count + 1) * sizeof(*devices));
	if (!devices)
		return -ENOMEM;
	launch->devices = devices;
	const char *in = from->path_in_container && from->path_in_container[0] ? from->path_in_container
									       : from->path_on_host;
	const char *permissions = from->permissions && from->permissions[0] ? from->permissions : "rwm";
	struct launch_device *device = &devices[launch->device_count++];
	*device = (struct launch_device){
		.host_path = strdup(from->path_on_host),
		.container_path = strdup(in),
		.permissions = strdup(permissions),
	};
	return device->host_path && device->container_path && device->permissions ? 0 : -ENOMEM;
}

static int fill_rlimits(const struct host_resources *from, struct oci_process *process)
{
	process->rlimits = calloc(from->ulimit_count + 1, sizeof(*process->rlimits));
	if (!process->rlimits)
		return -ENOMEM;
	for (size_t i = 0; i < from->ulimit_count; i++) {
		const struct ulimit *ulimit = &from->ulimits[i];
		struct oci_rlimit *rlimit = &process->rlimits[i];
		if (asprintf(&rlimit->type, "RLIMIT_%s", ulimit->name) < 0) {
			rlimit->type = NULL;
			return -ENOMEM;
		}
		for (char *c = rlimit->type; *c; c++)
			*c = (char)toupper((unsigned char)*c);
		rlimit->hard = ulimit->hard < 0 ? UINT64_MAX : (uint64_t)ulimit->hard;
		rlimit->soft = ulimit->soft < 0 ? UINT64_MAX : (uint64_t)ulimit->soft;
		process->rlimit_count++;
	}
	return 0;
}

static int add_block(struct launch *launch, const char *path, const char *limit, int64_t value)
{
	struct launch_block *blocks = realloc(launch->blocks, (launch->block_count + 1) * sizeof(*blocks));
	if (!blocks)
		return -ENOMEM;
	launch->blocks = blocks;
	struct launch_block *block = &blocks[launch->block_count++];
	*block = (struct launch_block){ .path = strdup(path), .limit = strdup(limit), .value = value };
	return block->path && block->limit ? 0 : -ENOMEM;
}

static int fill_blocks(const struct host_resources *from, struct launch *launch)
{
	const struct {
		const char *limit;
		const struct block_throttle_device *devices;
		size_t count;
	} rates[] = {
		{ "read_bps", from->blkio_read_bps, from->blkio_read_bps_count },
		{ "write_bps", from->blkio_write_bps, from->blkio_write_bps_count },
		{ "read_iops", from->blkio_read_iops, from->blkio_read_iops_count },
		{ "write_iops", from->blkio_write_iops, from->blkio_write_iops_count },
	};
	int r = 0;
	for (size_t i = 0; r == 0 && i < from->blkio_weight_device_count; i++)
		r = add_block(launch, from->blkio_weight_devices[i].path, "weight",
			from->blkio_weight_devices[i].weight);
	for (size_t i = 0; i < ARRAY_SIZE(rates); i++) {
		for (size_t k = 0; r == 0 && k < rates[i].count; k++)
			r = add_block(launch, rates[i].devices[k].path, rates[i].limit,
				(int64_t)rates[i].devices[k].rate);
	}
	return r;
}

static int fill_cgroup(const struct container *container, struct oci_linux *config)
{
	const char *parent = container->record.host.resources.cgroup_parent;
	bool is_systemd = container->engine->settings.systemd_cgroup;
	if (!parent || !parent[0])
		parent = container->engine->cgroup_parent;
	if (!parent)
		parent = is_systemd ? SETTINGS_SYSTEMD_PARENT : CGROUP_PARENT_DEFAULT;
	if (asprintf(&config->cgroups_path, is_systemd ? "%s:tare:%s" : "%s/%s", parent, container->id) < 0) {
		config->cgroups_path = NULL;
		return -ENOMEM;
	}
	return 0;
}

int launch_limits(const struct host_resources *from, struct oci_resources *out)
{
	fill_memory(from, &out->memory);
	set_int(&out->block_io.weight, from->blkio_weight);
	out->pids.limit = from->pids_limit;
	return fill_cpu(from, &out->cpu);
}

int launch_resources(const struct container *container, struct launch *launch, struct err **reterr)
{
	const struct host_resources *from = &container->record.host.resources;
	struct oci_linux *config = &launch->oci.linux_config;
	struct oci_resources *resources = config->resources = calloc(1, sizeof(*resources));
	int r = resources ? fill_cgroup(container, config) : -ENOMEM;
	if (r == 0)
		r = launch_limits(from, resources);
	if (r == 0)
		r = fill_rlimits(from, launch->oci.process);
	for (size_t i = 0; r == 0 && i < from->device_count; i++)
		r = add_device(launch, &from->devices[i]);
	if (r == 0)
		r = fill_blocks(from, launch);
	return r < 0 ? err_oom(reterr) : fill_device_rules(container, resources, reterr);
}
