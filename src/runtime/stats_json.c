#include "runtime/stats_json.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "codec/json.h"
#include "runtime/container_internal.h"
#include "runtime/usage.h"
#include "sys/cgroup.h"

#define PAGE_SIZES_FOLDER "/sys/kernel/mm/hugepages"

/* The kernel's "no limit" of v1 and v2 alike is what runc's readers expect of either. */
static json_t *number(uint64_t value)
{
	return value > INT64_MAX ? json_real((double)value) : json_integer((json_int_t)value);
}

/* False if there is no such file, and then nothing was set. */
static bool set_from_file(json_t *object, const char *key, struct cgroup *group, const char *controller,
	const char *file)
{
	uint64_t value;

	if (cgroup_read_u64(group, controller, file, &value) < 0)
		return false;
	json_object_set_new(object, key, number(value));
	return true;
}

/* ---- pressure ---- */

static json_t *pressure_line(const char *text, const char *kind)
{
	static const char *const names[] = { "avg10", "avg60", "avg300" };
	unsigned long long total;
	double averages[3];
	char format[64];

	snprintf(format, sizeof(format), "%s avg10=%%lf avg60=%%lf avg300=%%lf total=%%llu", kind);
	const char *line = strstr(text, kind);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	int count = line ? sscanf(line, format, &averages[0], &averages[1], &averages[2], &total) : 0;
#pragma GCC diagnostic pop
	if (count != 4)
		return NULL;
	json_t *object = json_object();
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		json_object_set_new(object, names[i], json_real(averages[i]));
	json_object_set_new(object, "total", number(total));
	return object;
}

/* v2's "some avg10=0.00 avg60=0.00 avg300=0.00 total=0"; a kernel without it says nothing. */
static void set_pressure(json_t *object, struct cgroup *group, const char *file)
{
	char text[1024];

	if (cgroup_read(group, "", file, text, sizeof(text)) < 0)
		return;
	json_t *psi = json_object();
	json_object_set_new(psi, "some", pressure_line(text, "some"));
	json_object_set_new(psi, "full", pressure_line(text, "full"));
	json_object_set_new(object, "psi", psi);
}

/* ---- cpu ---- */

static json_t *cpu(struct cgroup *group, const struct container_usage *usage)
{
	json_t *object = json_pack("{s:{s:I}, s:{s:I, s:I, s:I}}", "usage", "total", (json_int_t)usage->cpu_total_ns,
		"throttling", "periods", (json_int_t)usage->periods, "throttledPeriods",
		(json_int_t)usage->throttled_periods, "throttledTime", (json_int_t)usage->throttled_ns);
	json_t *times = json_object_get(object, "usage");

	if (usage->per_cpu_count > 0) {
		json_t *list = json_array();
		for (size_t i = 0; i < usage->per_cpu_count; i++)
			json_array_append_new(list, number(usage->per_cpu_ns[i]));
		json_object_set_new(times, "percpu", list);
	}
	json_object_set_new(times, "kernel", number(usage->cpu_kernel_ns));
	json_object_set_new(times, "user", number(usage->cpu_user_ns));
	set_pressure(object, group, "cpu.pressure");
	return object;
}

/* "0-1,4" as [0,1,4]; as many as a processor's number has bits to name. */
static json_t *number_list(const char *text)
{
	json_t *list = json_array();
	char *end;

	for (const char *at = text; *at; at = *end == ',' ? end + 1 : end) {
		unsigned long first = strtoul(at, &end, 10), last = first;
		if (end == at)
			break;
		if (*end == '-')
			last = strtoul(end + 1, &end, 10);
		for (; first <= last && last <= UINT16_MAX; first++)
			json_array_append_new(list, json_integer((json_int_t)first));
	}
	return list;
}

static json_t *cpuset(struct cgroup *group)
{
	static const struct {
		const char *key, *file;
	} numbers[] = { { "cpu_exclusive", "cpuset.cpu_exclusive" }, { "mem_hardwall", "cpuset.mem_hardwall" },
		{ "mem_exclusive", "cpuset.mem_exclusive" }, { "memory_migrate", "cpuset.memory_migrate" },
		{ "memory_spread_page", "cpuset.memory_spread_page" },
		{ "memory_spread_slab", "cpuset.memory_spread_slab" }, { "memory_pressure", "cpuset.memory_pressure" },
		{ "sched_load_balance", "cpuset.sched_load_balance" },
		{ "sched_relax_domain_level", "cpuset.sched_relax_domain_level" } };
	static const char *const lists[] = { "cpus", "mems" };
	json_t *object = json_object();
	char text[4096], file[32];

	for (size_t i = 0; i < ARRAY_SIZE(lists); i++) {
		snprintf(file, sizeof(file), "cpuset.%s", lists[i]);
		if (cgroup_read(group, "cpuset", file, text, sizeof(text)) == 0 && text[0] >= '0' && text[0] <= '9')
			json_object_set_new(object, lists[i], number_list(text));
	}
	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++)
		if (cgroup_read(group, "cpuset", numbers[i].file, text, sizeof(text)) < 0)
			json_object_set_new(object, numbers[i].key, json_integer(0));
		else
			json_object_set_new(object, numbers[i].key, json_integer(strtol(text, NULL, 10)));
	return object;
}

/* ---- memory ---- */

/* v1: one controller's four files with a prefix. */
static json_t *memory_v1(struct cgroup *group, const char *prefix)
{
	static const struct {
		const char *key, *file;
	} files[] = { { "limit", "limit_in_bytes" }, { "usage", "usage_in_bytes" }, { "max", "max_usage_in_bytes" },
		{ "failcnt", "failcnt" } };
	json_t *object = json_pack("{s:i, s:i}", "limit", 0, "failcnt", 0);
	char file[64];

	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		snprintf(file, sizeof(file), "memory.%s%s", prefix, files[i].file);
		set_from_file(object, files[i].key, group, "memory", file);
	}
	return object;
}

static json_t *memory_v2(struct cgroup *group, const char *prefix)
{
	static const struct {
		const char *key, *file;
	} files[] = { { "limit", "max" }, { "usage", "current" }, { "max", "peak" } };
	json_t *object = json_pack("{s:i, s:i}", "limit", 0, "failcnt", 0);
	char file[64];

	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		snprintf(file, sizeof(file), "memory.%s%s", prefix, files[i].file);
		set_from_file(object, files[i].key, group, "memory", file);
	}
	return object;
}

/* The kernel's file of "KEY NUMBER" lines. */
static json_t *raw_memory(const char *text)
{
	json_t *object = json_object();
	unsigned long long value;
	char key[64];

	for (const char *line = text; line && *line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (sscanf(line, "%63s %llu", key, &value) == 2)
			json_object_set_new(object, key, number(value));
	}
	return object;
}

static json_t *memory(struct cgroup *group, const struct container_usage *usage)
{
	bool is_v2 = cgroup_is_v2(group, "memory");
	json_t *raw = raw_memory(usage->memory_stat);
	json_t *object = json_object();
	json_t *cache = json_object_get(raw, is_v2 ? "file" : "cache");

	if (cache)
		json_object_set(object, "cache", cache);
	json_object_set_new(object, "usage", is_v2 ? memory_v2(group, "") : memory_v1(group, ""));
	json_object_set_new(object, "swap", is_v2 ? memory_v2(group, "swap.") : memory_v1(group, "memsw."));
	json_object_set_new(object, "kernel", is_v2 ? memory_v2(group, "kmem.") : memory_v1(group, "kmem."));
	json_object_set_new(object, "kernelTCP", is_v2 ? memory_v2(group, "kmem.tcp.") : memory_v1(group, "kmem.tcp."));
	json_object_set_new(object, "raw", raw);
	set_pressure(object, group, "memory.pressure");
	return object;
}

/* ---- the rest ---- */

static json_t *pids(const struct container_usage *usage)
{
	json_t *object = json_object();

	if (usage->pids)
		json_object_set_new(object, "current", number(usage->pids));
	if (usage->pids_limit && usage->pids_limit <= INT64_MAX)
		json_object_set_new(object, "limit", number(usage->pids_limit));
	return object;
}

static json_t *blocks(const struct container_usage *usage, bool bytes)
{
	json_t *list = json_array();

	for (size_t i = 0; i < usage->block_count; i++) {
		const struct container_block_usage *block = &usage->blocks[i];
		if (block->is_bytes == bytes)
			json_array_append_new(list,
				json_pack("{s:i, s:i, s:s, s:I}", "major", (int)block->major, "minor",
					(int)block->minor, "op", block->op, "value", (json_int_t)block->value));
	}
	return list;
}

static json_t *blkio(struct cgroup *group, const struct container_usage *usage)
{
	json_t *object = json_object();

	if (usage->block_count > 0) {
		json_object_set_new(object, "ioServiceBytesRecursive", blocks(usage, true));
		json_object_set_new(object, "ioServicedRecursive", blocks(usage, false));
	}
	set_pressure(object, group, "io.pressure");
	return object;
}

/* "hugepages-2048kB" is what the groups' files call "2MB". */
static bool page_size_name(const char *folder, char *out, size_t size)
{
	static const char units[] = "KMG";
	unsigned long kilobytes;
	size_t unit = 0;

	if (sscanf(folder, "hugepages-%lukB", &kilobytes) != 1)
		return false;
	for (; kilobytes >= 1024 && unit + 1 < sizeof(units) - 1; unit++)
		kilobytes /= 1024;
	snprintf(out, size, "%lu%cB", kilobytes, units[unit]);
	return true;
}

static json_t *huge_pages(struct cgroup *group, const char *size)
{
	bool is_v2 = cgroup_is_v2(group, "hugetlb");
	json_t *object = json_object();
	char file[96];

	snprintf(file, sizeof(file), "hugetlb.%s.%s", size, is_v2 ? "current" : "usage_in_bytes");
	bool found = set_from_file(object, "usage", group, "hugetlb", file);
	snprintf(file, sizeof(file), "hugetlb.%s.max_usage_in_bytes", size);
	set_from_file(object, "max", group, "hugetlb", file);
	snprintf(file, sizeof(file), "hugetlb.%s.failcnt", size);
	if (!set_from_file(object, "failcnt", group, "hugetlb", file))
		json_object_set_new(object, "failcnt", json_integer(0));
	if (found)
		return object;
	json_decref(object);
	return NULL;
}

static json_t *hugetlb(struct cgroup *group)
{
	json_t *object = json_object();
	DIR *dir = opendir(PAGE_SIZES_FOLDER);
	char name[32];

	for (struct dirent *entry; dir && (entry = readdir(dir));) {
		json_t *one = page_size_name(entry->d_name, name, sizeof(name)) ? huge_pages(group, name) : NULL;
		if (one)
			json_object_set_new(object, name, one);
	}
	if (dir)
		closedir(dir);
	return object;
}

json_t *stats_json(struct container *container)
{
	struct cgroup *group = container->group;
	struct container_usage usage;

	if (container_usage_read(container, &usage) < 0)
		return NULL;
	json_t *object = json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:{}, s:n}", "cpu", cpu(group, &usage), "cpuset",
		cpuset(group), "memory", memory(group, &usage), "pids", pids(&usage), "blkio", blkio(group, &usage),
		"hugetlb", hugetlb(group), "intel_rdt", "network_interfaces");
	container_usage_finish(&usage);
	return object;
}
