#include "runtime/resources.h"

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/parse.h"
#include "runtime/resources_internal.h"

#define CPU_MAX 8191 /* the kernel's largest NR_CPUS */

int resources_set(struct cgroup *group, struct err **reterr, const char *controller, const char *file,
	const char *format, ...)
{
	char value[512];
	va_list args;

	va_start(args, format);
	int len = vsnprintf(value, sizeof(value), format, args);
	va_end(args);
	if (len < 0 || (size_t)len >= sizeof(value))
		return err_set(reterr, ERR_INVALID, EFBIG, "the value for %s is too long", file);
	int r = cgroup_write(group, controller, file, value);
	if (r == -ENOENT && cgroup_is_v2(group, controller) && *controller && !cgroup_is_handed(group, controller))
		return err_set(reterr, ERR_UNSUPPORTED, ENODEV,
			"cannot set %s: the %s controller does not reach the group %s: one above it does not hand it on "
			"(on cgroup v2 a group with processes of its own can't)",
			file, controller, cgroup_folder_of(group, controller));
	if (r == -ENODEV || r == -ENOENT)
		return err_set(reterr, ERR_UNSUPPORTED, ENODEV,
			"cannot set %s: this host's %s cgroup controller is missing or has no such file", file,
			controller);
	return r < 0 ? err_errno(reterr, r, "failed to write \"%s\" to cgroup file %s", value, file) : 0;
}

/* ---- checks ---- */

/* "0-3,7": ascending ranges of small numbers; never counted out, however large (CVE-2018-20699). */
static bool is_cpu_list(const char *text)
{
	char number[8];
	uint64_t low, high;

	while (*text) {
		for (int part = 0; part < 2; part++) {
			size_t len = strspn(text, "0123456789");
			if (len == 0 || len >= sizeof(number))
				return false;
			snprintf(number, sizeof(number), "%.*s", (int)len, text);
			if (parse_u64(number, CPU_MAX, part ? &high : &low) < 0)
				return false;
			if (part == 0)
				high = low;
			text += len;
			if (part == 1 || *text != '-')
				break;
			text++;
		}
		if (high < low || (*text && *text != ','))
			return false;
		if (*text && !*++text)
			return false;
	}
	return true;
}

int resources_check(const struct oci_resources *resources, struct err **reterr)
{
	const struct oci_memory *memory = &resources->memory;
	const struct oci_cpu *cpu = &resources->cpu;

	if ((cpu->cpus && !is_cpu_list(cpu->cpus)) || (cpu->mems && !is_cpu_list(cpu->mems)))
		return err_set(reterr, ERR_INVALID, 0, "invalid cpuset \"%s\"",
			cpu->cpus && !is_cpu_list(cpu->cpus) ? cpu->cpus : cpu->mems);
	if (memory->limit.set && memory->limit.value > 0 && memory->swap.set && memory->swap.value > 0 &&
		memory->swap.value < memory->limit.value)
		return err_set(reterr, ERR_INVALID, 0, "memory+swap limit should be >= memory limit");
	if (memory->swappiness.set && (memory->swappiness.value < 0 || memory->swappiness.value > 100))
		return err_set(reterr, ERR_INVALID, 0, "invalid memory swappiness value: %lld (valid range is 0-100)",
			(long long)memory->swappiness.value);
	return 0;
}

/* ---- cpu ---- */

/* The period first; where the kernel refuses since the old quota does not fit it, the quota first. */
static int cpu_v1_quota(struct cgroup *group, const struct oci_cpu *cpu, struct err **reterr)
{
	char period[32];

	if (cpu->period.set && cpu->period.value) {
		snprintf(period, sizeof(period), "%lld", (long long)cpu->period.value);
		int r = cgroup_write(group, "cpu", "cpu.cfs_period_us", period);
		if (r < 0 && !(r == -EINVAL && cpu->quota.set && cpu->quota.value))
			return resources_set(group, reterr, "cpu", "cpu.cfs_period_us", "%s", period);
		if (r < 0) {
			r = resources_set(group, reterr, "cpu", "cpu.cfs_quota_us", "%lld",
				(long long)cpu->quota.value);
			return r < 0 ? r : resources_set(group, reterr, "cpu", "cpu.cfs_period_us", "%s", period);
		}
	}
	if (cpu->quota.set && cpu->quota.value)
		return resources_set(group, reterr, "cpu", "cpu.cfs_quota_us", "%lld", (long long)cpu->quota.value);
	return 0;
}

static int cpu_v1(struct cgroup *group, const struct oci_resources *resources, struct err **reterr)
{
	const struct oci_cpu *cpu = &resources->cpu;
	const struct {
		const char *file;
		const struct json_opt_int *value;
	} plain[] = {
		{ "cpu.shares", &cpu->shares },
		{ "cpu.idle", &cpu->idle },
		{ "cpu.rt_period_us", &cpu->realtime_period },
		{ "cpu.rt_runtime_us", &cpu->realtime_runtime },
	};
	int r = 0;

	for (size_t i = 0; i < ARRAY_SIZE(plain) && r == 0; i++)
		if (plain[i].value->set && (plain[i].value->value || plain[i].value == &cpu->idle))
			r = resources_set(group, reterr, "cpu", plain[i].file, "%lld",
				(long long)plain[i].value->value);
	if (r == 0)
		r = cpu_v1_quota(group, cpu, reterr);
	if (r == 0 && cpu->burst.set)
		r = resources_set(group, reterr, "cpu", "cpu.cfs_burst_us", "%lld", (long long)cpu->burst.value);
	return r;
}

/* 2 to 262144 with 1024 as usual, onto 1 to 10000 with 100 as usual: a quadratic through these on a logarithmic scale. */
unsigned resources_cpu_weight(int64_t shares)
{
	if (shares <= 2)
		return 1;
	if (shares >= 262144)
		return 10000;
	double l = log2((double)shares);
	return (unsigned)ceil(pow(10, (l * l + 125 * l) / 612.0 - 7.0 / 34.0));
}

static int cpu_v2(struct cgroup *group, const struct oci_resources *resources, struct err **reterr)
{
	const struct oci_cpu *cpu = &resources->cpu;
	long long period = cpu->period.set && cpu->period.value ? cpu->period.value : 100000;
	int r = 0;

	if (cpu->realtime_runtime.set || cpu->realtime_period.set)
		return err_set(reterr, ERR_UNSUPPORTED, 0, "cgroup v2 has no realtime CPU limits");
	if (cpu->idle.set)
		r = resources_set(group, reterr, "cpu", "cpu.idle", "%lld", (long long)cpu->idle.value);
	if (r == 0 && cpu->shares.set && cpu->shares.value && !(cpu->idle.set && cpu->idle.value))
		r = resources_set(group, reterr, "cpu", "cpu.weight", "%u", resources_cpu_weight(cpu->shares.value));
	if (r == 0 && cpu->quota.set && cpu->quota.value > 0)
		r = resources_set(group, reterr, "cpu", "cpu.max", "%lld %lld", (long long)cpu->quota.value, period);
	else if (r == 0 && ((cpu->quota.set && cpu->quota.value < 0) || (cpu->period.set && cpu->period.value)))
		r = resources_set(group, reterr, "cpu", "cpu.max", "max %lld", period);
	if (r == 0 && cpu->burst.set)
		r = resources_set(group, reterr, "cpu", "cpu.max.burst", "%lld", (long long)cpu->burst.value);
	return r;
}

static bool cpu_asked(const struct oci_resources *resources)
{
	const struct oci_cpu *cpu = &resources->cpu;

	return cpu->shares.value || cpu->quota.value || cpu->period.value || cpu->burst.set || cpu->idle.set ||
	       cpu->realtime_period.value || cpu->realtime_runtime.value;
}

static int cpuset(struct cgroup *group, const struct oci_resources *resources, struct err **reterr)
{
	const struct oci_cpu *cpu = &resources->cpu;
	int r = 0;

	if (cpu->cpus && *cpu->cpus)
		r = resources_set(group, reterr, "cpuset", "cpuset.cpus", "%s", cpu->cpus);
	if (r == 0 && cpu->mems && *cpu->mems)
		r = resources_set(group, reterr, "cpuset", "cpuset.mems", "%s", cpu->mems);
	return r;
}

static bool cpuset_asked(const struct oci_resources *resources)
{
	return (resources->cpu.cpus && *resources->cpu.cpus) || (resources->cpu.mems && *resources->cpu.mems);
}

/* ---- memory ---- */

static bool memory_asked(const struct oci_resources *resources)
{
	const struct oci_memory *memory = &resources->memory;

	return memory->limit.value || memory->swap.value || memory->reservation.value || memory->swappiness.set ||
	       memory->disable_oom_killer.value || memory->kernel_tcp.value;
}

static int memory_v1_swap(struct cgroup *group, const struct oci_memory *memory, struct err **reterr)
{
	if (!memory->swap.set || !memory->swap.value)
		return 0;
	int r = resources_set(group, NULL, "memory", "memory.memsw.limit_in_bytes", "%lld",
		(long long)memory->swap.value);
	/* A kernel that does not count swap limits it to nothing less than asked only if it was asked for no limit. */
	if (r == -ENODEV && memory->swap.value < 0)
		return 0;
	if (r < 0)
		return resources_set(group, reterr, "memory", "memory.memsw.limit_in_bytes", "%lld",
			(long long)memory->swap.value);
	return 0;
}

/* memory <= memory+swap must hold all the time: raising starts with the one, lowering with the other. */
static int memory_v1_limits(struct cgroup *group, const struct oci_memory *memory, struct err **reterr)
{
	if (!memory->limit.set || !memory->limit.value)
		return memory_v1_swap(group, memory, reterr);

	struct err *first = NULL;
	int r = resources_set(group, &first, "memory", "memory.limit_in_bytes", "%lld", (long long)memory->limit.value);
	err_free(first);
	if (r == 0)
		return memory_v1_swap(group, memory, reterr);
	r = memory_v1_swap(group, memory, reterr);
	if (r == 0)
		r = resources_set(group, reterr, "memory", "memory.limit_in_bytes", "%lld",
			(long long)memory->limit.value);
	return r;
}

static int memory_v1(struct cgroup *group, const struct oci_resources *resources, struct err **reterr)
{
	const struct oci_memory *memory = &resources->memory;
	int r = memory_v1_limits(group, memory, reterr);

	if (r == 0 && memory->reservation.set && memory->reservation.value)
		r = resources_set(group, reterr, "memory", "memory.soft_limit_in_bytes", "%lld",
			(long long)memory->reservation.value);
	if (r == 0 && memory->kernel_tcp.set && memory->kernel_tcp.value)
		r = resources_set(group, reterr, "memory", "memory.kmem.tcp.limit_in_bytes", "%lld",
			(long long)memory->kernel_tcp.value);
	if (r == 0 && memory->disable_oom_killer.set && memory->disable_oom_killer.value)
		r = resources_set(group, reterr, "memory", "memory.oom_control", "1");
	if (r == 0 && memory->swappiness.set)
		r = resources_set(group, reterr, "memory", "memory.swappiness", "%lld",
			(long long)memory->swappiness.value);
	return r;
}

static int set_v2_bytes(struct cgroup *group, const char *file, int64_t bytes, struct err **reterr)
{
	if (bytes < 0)
		return resources_set(group, reterr, "memory", file, "max");
	return resources_set(group, reterr, "memory", file, "%lld", (long long)bytes);
}

static int memory_v2_swap(struct cgroup *group, const struct oci_memory *memory, struct err **reterr)
{
	if (!memory->swap.set || !memory->swap.value)
		return 0;
	if (memory->swap.value < 0)
		return cgroup_write(group, "memory", "memory.swap.max", "max") == -ENOENT
			       ? 0
			       : set_v2_bytes(group, "memory.swap.max", -1, reterr);
	if (!memory->limit.set || memory->limit.value <= 0)
		return err_set(reterr, ERR_INVALID, 0, "unable to set swap limit without memory limit");
	return set_v2_bytes(group, "memory.swap.max", memory->swap.value - memory->limit.value, reterr);
}

static int memory_v2(struct cgroup *group, const struct oci_resources *resources, struct err **reterr)
{
	const struct oci_memory *memory = &resources->memory;
	uint64_t usage;

	if (memory->disable_oom_killer.value)
		return err_set(reterr, ERR_UNSUPPORTED, 0, "cgroup v2 can't disable the OOM killer");
	if (memory->check_before_update.value && memory->limit.value > 0 &&
		cgroup_read_u64(group, "memory", "memory.current", &usage) == 0 &&
		usage > (uint64_t)memory->limit.value)
		return err_set(reterr, ERR_CONFLICT, EBUSY, "rejecting memory limit %lld: %llu bytes are in use",
			(long long)memory->limit.value, (unsigned long long)usage);
	int r = memory_v2_swap(group, memory, reterr);
	if (r == 0 && memory->limit.set && memory->limit.value)
		r = set_v2_bytes(group, "memory.max", memory->limit.value, reterr);
	if (r == 0 && memory->reservation.set && memory->reservation.value)
		r = set_v2_bytes(group, "memory.low", memory->reservation.value, reterr);
	return r;
}

/* ---- the others ---- */

static bool pids_asked(const struct oci_resources *resources)
{
	return resources->pids.limit.set;
}

static int pids(struct cgroup *group, const struct oci_resources *resources, struct err **reterr)
{
	int64_t limit = resources->pids.limit.value;

	if (limit < 0)
		return resources_set(group, reterr, "pids", "pids.max", "max");
	/* 0 is a limit too, since 1.3. As systemd can't have it, all runtimes take it for 1: what is there already stays, and nothing is added. */
	return resources_set(group, reterr, "pids", "pids.max", "%lld", limit ? (long long)limit : 1LL);
}

static bool block_asked(const struct oci_resources *resources)
{
	const struct oci_block_io *io = &resources->block_io;

	return io->weight.value || io->leaf_weight.value || io->weight_device_count || io->throttle_read_bps_count ||
	       io->throttle_write_bps_count || io->throttle_read_iops_count || io->throttle_write_iops_count;
}

struct throttle {
	const char *v1_file;
	const char *v2_key;
	const struct oci_block_throttle *items;
	size_t count;
};

static int set_throttles(struct cgroup *group, const struct oci_block_io *io, bool is_v2, struct err **reterr)
{
	const struct throttle throttles[] = {
		{ "blkio.throttle.read_bps_device", "rbps", io->throttle_read_bps, io->throttle_read_bps_count },
		{ "blkio.throttle.write_bps_device", "wbps", io->throttle_write_bps, io->throttle_write_bps_count },
		{ "blkio.throttle.read_iops_device", "riops", io->throttle_read_iops, io->throttle_read_iops_count },
		{ "blkio.throttle.write_iops_device", "wiops", io->throttle_write_iops, io->throttle_write_iops_count },
	};
	int r = 0;

	for (size_t i = 0; i < ARRAY_SIZE(throttles); i++)
		for (size_t k = 0; k < throttles[i].count && r == 0; k++) {
			const struct oci_block_throttle *item = &throttles[i].items[k];
			long long major = item->major, minor = item->minor;
			unsigned long long rate = item->rate;
			if (!is_v2)
				r = resources_set(group, reterr, "blkio", throttles[i].v1_file, "%lld:%lld %llu", major,
					minor, rate);
			else if (rate == 0)
				r = resources_set(group, reterr, "io", "io.max", "%lld:%lld %s=max", major, minor,
					throttles[i].v2_key);
			else
				r = resources_set(group, reterr, "io", "io.max", "%lld:%lld %s=%llu", major, minor,
					throttles[i].v2_key, rate);
		}
	return r;
}

/* The scheduler in use decides which file is there. */
static int set_block_weight(struct cgroup *group, const char *device, int64_t weight, const char *suffix,
	struct err **reterr)
{
	static const char *const prefixes[] = { "blkio.bfq.", "blkio." };
	char file[64], text[64];

	snprintf(text, sizeof(text), "%s%lld", device, (long long)weight);
	for (size_t i = 0; i < ARRAY_SIZE(prefixes); i++) {
		snprintf(file, sizeof(file), "%s%s", prefixes[i], suffix);
		int r = cgroup_write(group, "blkio", file, text);
		if (r != -ENOENT && r != -EOPNOTSUPP)
			return r < 0 ? err_errno(reterr, r, "failed to write \"%s\" to cgroup file %s", text, file) : 0;
	}
	return err_set(reterr, ERR_UNSUPPORTED, ENOENT, "this kernel has no block I/O weights (blkio.%s)", suffix);
}

static int block_v1(struct cgroup *group, const struct oci_resources *resources, struct err **reterr)
{
	const struct oci_block_io *io = &resources->block_io;
	char device[48];
	int r = 0;

	if (io->weight.value)
		r = set_block_weight(group, "", io->weight.value, "weight", reterr);
	if (r == 0 && io->leaf_weight.value)
		r = set_block_weight(group, "", io->leaf_weight.value, "leaf_weight", reterr);
	for (size_t i = 0; i < io->weight_device_count && r == 0; i++) {
		const struct oci_block_weight *item = &io->weight_device[i];
		snprintf(device, sizeof(device), "%lld:%lld ", (long long)item->major, (long long)item->minor);
		if (item->weight.value)
			r = set_block_weight(group, device, item->weight.value, "weight_device", reterr);
		if (r == 0 && item->leaf_weight.value)
			r = set_block_weight(group, device, item->leaf_weight.value, "leaf_weight_device", reterr);
	}
	return r < 0 ? r : set_throttles(group, io, false, reterr);
}

static int block_v2(struct cgroup *group, const struct oci_resources *resources, struct err **reterr)
{
	const struct oci_block_io *io = &resources->block_io;
	int r = 0;

	if (io->weight.value &&
		resources_set(group, NULL, "io", "io.bfq.weight", "%lld", (long long)io->weight.value) < 0)
		/* 10 to 1000 onto 1 to 10000 */
		r = resources_set(group, reterr, "io", "io.weight", "default %lld",
			(long long)(1 + (io->weight.value - 10) * 9999 / 990));
	for (size_t i = 0; i < io->weight_device_count && r == 0; i++)
		if (io->weight_device[i].weight.value)
			r = resources_set(group, reterr, "io", "io.bfq.weight", "%lld:%lld %lld",
				(long long)io->weight_device[i].major, (long long)io->weight_device[i].minor,
				(long long)io->weight_device[i].weight.value);
	return r < 0 ? r : set_throttles(group, io, true, reterr);
}

static int hugepages(struct cgroup *group, const struct oci_resources *resources, struct err **reterr)
{
	bool is_v2 = cgroup_is_v2(group, "hugetlb");
	char file[96];
	int r = 0;

	for (size_t i = 0; i < resources->hugepage_limit_count && r == 0; i++) {
		const struct oci_hugepage_limit *limit = &resources->hugepage_limits[i];
		if (!limit->page_size || strlen(limit->page_size) > 32 || strchr(limit->page_size, '/'))
			return err_set(reterr, ERR_INVALID, 0, "invalid hugepage size");
		snprintf(file, sizeof(file), "hugetlb.%s.%s", limit->page_size, is_v2 ? "max" : "limit_in_bytes");
		r = resources_set(group, reterr, "hugetlb", file, "%llu", (unsigned long long)limit->limit);
		/* What is reserved counts too, where the kernel keeps count (5.7). */
		snprintf(file, sizeof(file), "hugetlb.%s.rsvd.%s", limit->page_size, is_v2 ? "max" : "limit_in_bytes");
		if (r == 0)
			resources_set(group, NULL, "hugetlb", file, "%llu", (unsigned long long)limit->limit);
	}
	return r;
}

static bool hugepages_asked(const struct oci_resources *resources)
{
	return resources->hugepage_limit_count > 0;
}

static int network_class(struct cgroup *group, const struct oci_resources *resources, struct err **reterr)
{
	return resources_set(group, reterr, "net_cls", "net_cls.classid", "%lld",
		(long long)resources->network.class_id.value);
}

static bool network_class_asked(const struct oci_resources *resources)
{
	return resources->network.class_id.set && resources->network.class_id.value;
}

static int network_priority(struct cgroup *group, const struct oci_resources *resources, struct err **reterr)
{
	int r = 0;

	for (size_t i = 0; i < resources->network.priority_count && r == 0; i++)
		r = resources_set(group, reterr, "net_prio", "net_prio.ifpriomap", "%s %lld",
			resources->network.priorities[i].name, (long long)resources->network.priorities[i].priority);
	return r;
}

static bool network_priority_asked(const struct oci_resources *resources)
{
	return resources->network.priority_count > 0;
}

static int rdma(struct cgroup *group, const struct oci_resources *resources, struct err **reterr)
{
	struct map_entry *entry;

	map_foreach (entry, resources->rdma) {
		const struct oci_rdma *limit = entry->value;
		int r = 0;
		if (limit->hca_handles.set)
			r = resources_set(group, reterr, "rdma", "rdma.max", "%s hca_handle=%lld", entry->key,
				(long long)limit->hca_handles.value);
		if (r == 0 && limit->hca_objects.set)
			r = resources_set(group, reterr, "rdma", "rdma.max", "%s hca_object=%lld", entry->key,
				(long long)limit->hca_objects.value);
		if (r < 0)
			return r;
	}
	return 0;
}

static bool rdma_asked(const struct oci_resources *resources)
{
	return resources->rdma && map_count(resources->rdma);
}

typedef int resources_fn(struct cgroup *group, const struct oci_resources *resources, struct err **reterr);

static const struct {
	const char *v1_controller;
	bool (*asked)(const struct oci_resources *resources);
	resources_fn *v1;
	resources_fn *v2; /* NULL: v2 has no such thing */
} controllers[] = {
	{ "cpuset", cpuset_asked, cpuset, cpuset },
	{ "cpu", cpu_asked, cpu_v1, cpu_v2 },
	{ "memory", memory_asked, memory_v1, memory_v2 },
	{ "pids", pids_asked, pids, pids },
	{ "blkio", block_asked, block_v1, block_v2 },
	{ "hugetlb", hugepages_asked, hugepages, hugepages },
	{ "net_cls", network_class_asked, network_class, NULL },
	{ "net_prio", network_priority_asked, network_priority, NULL },
	{ "rdma", rdma_asked, rdma, rdma },
};

static int apply_unified(struct cgroup *group, const struct oci_resources *resources, struct err **reterr)
{
	struct map_entry *entry;

	if (!resources->unified || !map_count(resources->unified))
		return 0;
	if (!cgroup_folder_of(group, ""))
		return err_set(reterr, ERR_UNSUPPORTED, 0, "invalid configuration: cannot use unified on cgroup v1");
	map_foreach (entry, resources->unified) {
		const char *value = entry->value;
		if (strchr(entry->key, '/') || !strchr(entry->key, '.') || strncmp(entry->key, "cgroup.", 7) == 0)
			return err_set(reterr, ERR_INVALID, 0,
				"unified resource \"%s\" must be a file name without slashes", entry->key);
		/* Some files take one line at a time. */
		int r = 0;
		for (const char *line = value; *line && r == 0;) {
			size_t len = strcspn(line, "\n");
			r = resources_set(group, reterr, "", entry->key, "%.*s", (int)len, line);
			line += len + (line[len] == '\n');
		}
		if (r < 0)
			return err_wrap(reterr, r, "invalid configuration: unified");
	}
	return 0;
}

static bool has_v1(struct cgroup *group, const char *controller)
{
	return cgroup_folder_of(group, controller) && !cgroup_is_v2(group, controller);
}

static bool has_leaf_weight(const struct oci_block_io *io)
{
	bool found = io->leaf_weight.value;

	for (size_t i = 0; i < io->weight_device_count; i++)
		found = found || io->weight_device[i].leaf_weight.value;
	return found;
}

void resources_warn(struct cgroup *group, const struct oci_resources *resources, resources_warn_fn *warn,
	void *user_data)
{
	const struct oci_memory *memory = &resources->memory;
	const struct {
		const char *name;
		bool is_lost;
	} members[] = {
		{ "memory.kernel", memory->kernel.value },
		{ "memory.useHierarchy", memory->use_hierarchy.set && !memory->use_hierarchy.value },
		{ "memory.kernelTCP", memory->kernel_tcp.value && !has_v1(group, "memory") },
		{ "memory.swappiness", memory->swappiness.set && !has_v1(group, "memory") },
		{ "blockIO.leafWeight", has_leaf_weight(&resources->block_io) && !has_v1(group, "blkio") },
	};
	char text[96];

	for (size_t i = 0; i < ARRAY_SIZE(members); i++) {
		if (!members[i].is_lost)
			continue;
		snprintf(text, sizeof(text), "linux.resources.%s is without effect: this kernel has no such thing",
			members[i].name);
		warn(text, user_data);
	}
}

int resources_apply(struct cgroup *group, const struct oci_resources *resources, enum resources_scope scope,
	struct err **reterr)
{
	bool limits_devices = scope == RESOURCES_NEW ||
			      (scope == RESOURCES_CHANGED && resources && resources->device_count);
	int r = limits_devices ? resources_devices(group, resources, reterr) : 0;

	if (r == 0 && resources)
		r = resources_check(resources, reterr);
	for (size_t i = 0; i < ARRAY_SIZE(controllers) && r == 0 && resources; i++) {
		if (!controllers[i].asked(resources))
			continue;
		/* A v1 hierarchy of its own goes first; without one it is v2's, which says what is missing there. */
		const char *v1 = controllers[i].v1_controller;
		bool is_v2 = !has_v1(group, v1) && controllers[i].v2 && cgroup_folder_of(group, "");
		r = is_v2 ? controllers[i].v2(group, resources, reterr) : controllers[i].v1(group, resources, reterr);
	}
	return r < 0 || !resources ? r : apply_unified(group, resources, reterr);
}
