/* Limits of memory, CPU, processes and blocks. */
#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/strv.h"
#include "engine/validate.h"
#include "sys/rlimits.h"

#define CPU_PERIOD_MIN_US 1000
#define CPU_PERIOD_MAX_US 1000000
#define CPU_QUOTA_MIN_US  1000
#define NANO_CPUS_MIN     10000000LL
#define BLKIO_WEIGHT_MIN  10
#define BLKIO_WEIGHT_MAX  1000
/* More CPUs or nodes than any kernel is built for. */
#define CPU_LIST_MAX 65536u

static int invalid(struct err **reterr, const char *message)
{
	return err_set(reterr, ERR_INVALID, 0, "%s", message);
}

static int validate_memory(const struct host_resources *resources, char ***warnings, struct err **reterr)
{
	int64_t memory = resources->memory, swap = resources->memory_swap, reservation = resources->memory_reservation;
	const struct json_opt_int *swappiness = &resources->memory_swappiness;
	if (memory < 0 || (memory > 0 && memory < VALIDATE_MEMORY_MIN))
		return invalid(reterr, "Minimum memory limit allowed is 6MB");
	if (swap < -1)
		return invalid(reterr, "invalid memoryswap limit: it is -1 (no limit), 0 or a number of bytes");
	if (memory > 0 && swap > 0 && swap < memory)
		return invalid(reterr, "Minimum memoryswap limit should be larger than memory limit, see usage");
	if (memory == 0 && swap > 0)
		return invalid(reterr, "You should always set the Memory limit when using Memoryswap limit, see usage");
	if (swappiness->set && (swappiness->value < -1 || swappiness->value > 100))
		return err_set(reterr, ERR_INVALID, 0, "Invalid value: %lld, valid memory swappiness range is 0-100",
			(long long)swappiness->value);
	if (reservation < 0 || (reservation > 0 && reservation < VALIDATE_MEMORY_MIN))
		return invalid(reterr, "Minimum memory reservation allowed is 6MB");
	if (memory > 0 && reservation > memory)
		return invalid(reterr, "Minimum memory limit can not be less than memory reservation limit, see usage");
	if (resources->kernel_memory < 0 || resources->kernel_memory_tcp < 0)
		return invalid(reterr, "invalid kernel memory limit: it is a number of bytes");
	if (resources->oom_kill_disable.set && resources->oom_kill_disable.value && memory == 0 &&
		strv_append(warnings,
			"OOM killer is disabled for the container, but no memory limit is set, this can result in the system "
			"running out of resources.") < 0)
		return err_oom(reterr);
	if ((resources->kernel_memory > 0 || resources->kernel_memory_tcp > 0) &&
		strv_append(warnings, "Limits of kernel memory are discarded: kernels no longer have them.") < 0)
		return err_oom(reterr);
	return 0;
}

static int validate_cpu(const struct host_resources *resources, struct err **reterr)
{
	int64_t nano = resources->nano_cpus, period = resources->cpu_period, quota = resources->cpu_quota;
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	if (nano > 0 && period > 0)
		return invalid(reterr, "Conflicting options: Nano CPUs and CPU Period cannot both be set");
	if (nano > 0 && quota > 0)
		return invalid(reterr, "Conflicting options: Nano CPUs and CPU Quota cannot both be set");
	if (nano < 0 || (nano > 0 && nano < NANO_CPUS_MIN) || nano > cpus * 1000000000LL)
		return err_set(reterr, ERR_INVALID, 0,
			"range of CPUs is from 0.01 to %ld.00, as there are only %ld CPUs available", cpus, cpus);
	if (resources->cpu_shares < 0)
		return err_set(reterr, ERR_INVALID, 0, "invalid CPU shares (%lld): value must be a positive integer",
			(long long)resources->cpu_shares);
	if (period != 0 && (period < CPU_PERIOD_MIN_US || period > CPU_PERIOD_MAX_US))
		return invalid(reterr,
			"CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)");
	if (quota > 0 && quota < CPU_QUOTA_MIN_US)
		return invalid(reterr, "CPU cfs quota can not be less than 1ms (i.e. 1000)");
	if (resources->cpu_realtime_period < 0 || resources->cpu_realtime_runtime < 0 ||
		(resources->cpu_realtime_period > 0 &&
			resources->cpu_realtime_runtime > resources->cpu_realtime_period))
		return invalid(reterr, "cpu real-time runtime cannot be higher than cpu real-time period");
	if (resources->cpu_percent != 0 || resources->cpu_count != 0)
		return invalid(reterr, "CPU count and CPU percent are options of Windows alone");
	return 0;
}

/* A number of at most five digits, so it never overflows. */
static int take_number(const char **text, unsigned *ret)
{
	const char *at = *text;
	unsigned value = 0;
	if (!isdigit((unsigned char)*at))
		return -EINVAL;
	for (; isdigit((unsigned char)*at); at++) {
		if (value > CPU_LIST_MAX)
			return -ERANGE;
		value = value * 10 + (unsigned)(*at - '0');
	}
	*text = at;
	*ret = value;
	return 0;
}

int validate_cpu_list(const char *text, unsigned limit)
{
	for (;;) {
		unsigned first, last;
		int r = take_number(&text, &first);
		last = first;
		if (r == 0 && *text == '-') {
			text++;
			r = take_number(&text, &last);
		}
		if (r < 0)
			return r;
		if (last < first)
			return -EINVAL;
		if (last >= limit)
			return -ERANGE;
		if (*text == '\0')
			return 0;
		if (*text++ != ',')
			return -EINVAL;
	}
}

static int validate_cpuset(const struct host_resources *resources, struct err **reterr)
{
	const struct {
		const char *text, *what, *things;
		unsigned limit;
	} lists[] = {
		{ resources->cpuset_cpus, "cpus", "CPUs", (unsigned)sysconf(_SC_NPROCESSORS_CONF) },
		{ resources->cpuset_mems, "mems", "memory nodes", CPU_LIST_MAX },
	};
	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
		if (!lists[i].text || !lists[i].text[0])
			continue;
		int r = validate_cpu_list(lists[i].text, lists[i].limit);
		if (r == -ERANGE)
			return err_set(reterr, ERR_INVALID, 0,
				"Requested %s are not available - requested %s, available: 0-%u", lists[i].things,
				lists[i].text, lists[i].limit - 1);
		if (r < 0)
			return err_set(reterr, ERR_INVALID, 0, "Invalid value %s for cpuset %s: invalid format: %s",
				lists[i].text, lists[i].what, lists[i].text);
	}
	return 0;
}

static int check_rates(const struct block_throttle_device *devices, size_t count, struct err **reterr)
{
	for (size_t i = 0; i < count; i++) {
		if (!devices[i].path || devices[i].path[0] != '/')
			return err_set(reterr, ERR_INVALID, 0, "bad format for device path: %s",
				devices[i].path ? devices[i].path : "");
	}
	return 0;
}

static int validate_blkio(const struct host_resources *resources, struct err **reterr)
{
	int64_t weight = resources->blkio_weight;
	if (weight != 0 && (weight < BLKIO_WEIGHT_MIN || weight > BLKIO_WEIGHT_MAX))
		return invalid(reterr, "Range of blkio weight is from 10 to 1000");
	for (size_t i = 0; i < resources->blkio_weight_device_count; i++) {
		weight = resources->blkio_weight_devices[i].weight;
		if (weight != 0 && (weight < BLKIO_WEIGHT_MIN || weight > BLKIO_WEIGHT_MAX))
			return invalid(reterr, "Range of blkio weight is from 10 to 1000");
	}
	if (resources->io_maximum_iops || resources->io_maximum_bandwidth)
		return invalid(reterr, "IO maximum bandwidth and IOps are options of Windows alone");
	int r = check_rates(resources->blkio_read_bps, resources->blkio_read_bps_count, reterr);
	if (r == 0)
		r = check_rates(resources->blkio_write_bps, resources->blkio_write_bps_count, reterr);
	if (r == 0)
		r = check_rates(resources->blkio_read_iops, resources->blkio_read_iops_count, reterr);
	return r < 0 ? r : check_rates(resources->blkio_write_iops, resources->blkio_write_iops_count, reterr);
}

static int validate_ulimits(const struct host_resources *resources, struct err **reterr)
{
	for (size_t i = 0; i < resources->ulimit_count; i++) {
		const struct ulimit *ulimit = &resources->ulimits[i];
		char name[32];
		size_t len = ulimit->name ? strlen(ulimit->name) : 0;
		bool known = len > 0 && len < sizeof(name) - sizeof("RLIMIT_");
		if (known) {
			strcpy(name, "RLIMIT_");
			for (size_t k = 0; k <= len; k++)
				name[sizeof("RLIMIT_") - 1 + k] = (char)toupper((unsigned char)ulimit->name[k]);
			known = rlimit_from_name(name) >= 0;
		}
		if (!known)
			return err_set(reterr, ERR_INVALID, 0, "invalid ulimit type: %s",
				ulimit->name ? ulimit->name : "");
		if (ulimit->soft < -1 || ulimit->hard < -1)
			return err_set(reterr, ERR_INVALID, 0, "invalid ulimit %s: limits are -1 (none) or more",
				ulimit->name);
		if (ulimit->hard >= 0 && (ulimit->soft > ulimit->hard || ulimit->soft < 0))
			return err_set(reterr, ERR_INVALID, 0,
				"ulimit soft limit must be less than or equal to hard limit: %lld > %lld",
				(long long)ulimit->soft, (long long)ulimit->hard);
	}
	return 0;
}

static int validate_devices(const struct host_resources *resources, struct err **reterr)
{
	for (size_t i = 0; i < resources->device_count; i++) {
		const struct device_mapping *device = &resources->devices[i];
		const char *in = device->path_in_container, *permissions = device->permissions;
		if (!device->path_on_host || device->path_on_host[0] != '/' || (in && in[0] && in[0] != '/'))
			return err_set(reterr, ERR_INVALID, 0,
				"invalid device specification: %s: paths must be absolute",
				device->path_on_host ? device->path_on_host : "");
		if (permissions && strspn(permissions, "rwm") != strlen(permissions))
			return err_set(reterr, ERR_INVALID, 0, "invalid device specification: %s: bad mode: %s",
				device->path_on_host, permissions);
	}
	if (resources->device_request_count > 0) {
		const char *driver = resources->device_requests[0].driver;
		return err_set(reterr, ERR_INVALID, 0,
			"could not select device driver \"%s\": device requests are not supported",
			driver ? driver : "");
	}
	return 0;
}

int validate_resources(const struct host_resources *resources, char ***warnings, struct err **reterr)
{
	int r = validate_memory(resources, warnings, reterr);
	if (r == 0)
		r = validate_cpu(resources, reterr);
	if (r == 0)
		r = validate_cpuset(resources, reterr);
	if (r == 0)
		r = validate_blkio(resources, reterr);
	if (r == 0)
		r = validate_ulimits(resources, reterr);
	if (r == 0)
		r = validate_devices(resources, reterr);
	if (r < 0)
		return r;
	if (resources->pids_limit.set && resources->pids_limit.value < -1)
		return invalid(reterr, "invalid pids limit: it is -1 or 0 (no limit) or a number of processes");
	if (resources->cgroup_parent &&
		(!validate_is_plain(resources->cgroup_parent) || strstr(resources->cgroup_parent, "..")))
		return err_set(reterr, ERR_INVALID, 0, "invalid cgroup parent: %s", resources->cgroup_parent);
	return 0;
}

void validate_complete_resources(struct host_resources *resources)
{
	if (resources->memory > 0 && resources->memory_swap == 0)
		resources->memory_swap = resources->memory > INT64_MAX / 2 ? INT64_MAX : resources->memory * 2;
	if (resources->pids_limit.set && resources->pids_limit.value <= 0)
		resources->pids_limit.set = false;
	if (resources->memory_swappiness.set && resources->memory_swappiness.value == -1)
		resources->memory_swappiness.set = false;
}
