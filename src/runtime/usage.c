#include "runtime/usage.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/parse.h"
#include "base/strv.h"
#include "runtime/container_internal.h"
#include "sys/cgroup.h"

#define NS_PER_US 1000ULL
#define NS_PER_S  1000000000ULL

/* --- files of "KEY NUMBER" lines --- */

static uint64_t flat_value(const char *text, const char *key)
{
	size_t len = strlen(key);
	for (const char *line = text; line && *line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (strncmp(line, key, len) == 0 && line[len] == ' ')
			return strtoull(line + len + 1, NULL, 10);
	}
	return 0;
}

static uint64_t number(struct cgroup *group, const char *controller, const char *file, uint64_t if_absent)
{
	uint64_t value;
	return cgroup_read_u64(group, controller, file, &value) == 0 ? value : if_absent;
}

/* --- cpu --- */

static int read_per_cpu(struct cgroup *group, struct container_usage *usage)
{
	char text[CGROUP_FILE_MAX];
	if (cgroup_read(group, "cpuacct", "cpuacct.usage_percpu", text, sizeof(text)) < 0)
		return 0;
	for (char *at = text, *end; *at; at = end) {
		uint64_t value = strtoull(at, &end, 10);
		if (end == at)
			break;
		uint64_t *list = reallocarray(usage->per_cpu_ns, usage->per_cpu_count + 1, sizeof(*list));
		if (!list)
			return -ENOMEM;
		usage->per_cpu_ns = list;
		list[usage->per_cpu_count++] = value;
	}
	return 0;
}

static int read_cpu_v1(struct cgroup *group, struct container_usage *usage)
{
	char text[4096];
	const uint64_t tick_ns = NS_PER_S / (uint64_t)sysconf(_SC_CLK_TCK);
	usage->cpu_total_ns = number(group, "cpuacct", "cpuacct.usage", 0);
	if (cgroup_read(group, "cpuacct", "cpuacct.stat", text, sizeof(text)) == 0) {
		usage->cpu_user_ns = flat_value(text, "user") * tick_ns;
		usage->cpu_kernel_ns = flat_value(text, "system") * tick_ns;
	}
	if (cgroup_read(group, "cpu", "cpu.stat", text, sizeof(text)) == 0) {
		usage->periods = flat_value(text, "nr_periods");
		usage->throttled_periods = flat_value(text, "nr_throttled");
		usage->throttled_ns = flat_value(text, "throttled_time");
	}
	return read_per_cpu(group, usage);
}

static int read_cpu_v2(struct cgroup *group, struct container_usage *usage)
{
	char text[4096];
	if (cgroup_read(group, "", "cpu.stat", text, sizeof(text)) < 0)
		return 0;
	usage->cpu_total_ns = flat_value(text, "usage_usec") * NS_PER_US;
	usage->cpu_user_ns = flat_value(text, "user_usec") * NS_PER_US;
	usage->cpu_kernel_ns = flat_value(text, "system_usec") * NS_PER_US;
	usage->periods = flat_value(text, "nr_periods");
	usage->throttled_periods = flat_value(text, "nr_throttled");
	usage->throttled_ns = flat_value(text, "throttled_usec") * NS_PER_US;
	return 0;
}

/* --- memory and processes --- */

static int read_memory(struct cgroup *group, struct container_usage *usage)
{
	char text[CGROUP_FILE_MAX];
	bool is_v2 = cgroup_is_v2(group, "memory");
	uint64_t value;
	if (cgroup_read_u64(group, "memory", is_v2 ? "memory.current" : "memory.usage_in_bytes", &value) < 0)
		return 0;
	usage->has_memory = true;
	usage->memory = value;
	usage->memory_limit = number(group, "memory", is_v2 ? "memory.max" : "memory.limit_in_bytes", UINT64_MAX);
	usage->memory_peak = is_v2 ? 0 : number(group, "memory", "memory.max_usage_in_bytes", 0);
	usage->memory_failures = is_v2 ? 0 : number(group, "memory", "memory.failcnt", 0);
	if (cgroup_read(group, "memory", "memory.stat", text, sizeof(text)) < 0)
		return 0;
	usage->memory_stat = strdup(text);
	return usage->memory_stat ? 0 : -ENOMEM;
}

static void read_pids(struct cgroup *group, struct container_usage *usage)
{
	usage->has_pids = cgroup_read_u64(group, "pids", "pids.current", &usage->pids) == 0;
	usage->pids_limit = number(group, "pids", "pids.max", 0);
}

/* --- blocks --- */

static int add_block(struct container_usage *usage, const struct container_block_usage *block)
{
	struct container_block_usage *list = reallocarray(usage->blocks, usage->block_count + 1, sizeof(*list));
	if (!list)
		return -ENOMEM;
	usage->blocks = list;
	list[usage->block_count++] = *block;
	return 0;
}

/* "8:0 Read 4096", and a line "Total 4096" that names no device. */
static int read_blocks_v1(struct cgroup *group, const char *file, bool is_bytes, struct container_usage *usage)
{
	char text[CGROUP_FILE_MAX];
	char *save = NULL;
	int r = cgroup_read(group, "blkio", file, text, sizeof(text));
	if (r < 0)
		return 0;
	for (char *line = strtok_r(text, "\n", &save); r == 0 && line; line = strtok_r(NULL, "\n", &save)) {
		struct container_block_usage block = { .is_bytes = is_bytes };
		unsigned long long value;
		if (sscanf(line, "%u:%u %15s %llu", &block.major, &block.minor, block.op, &value) != 4)
			continue;
		block.value = value;
		r = add_block(usage, &block);
	}
	return r;
}

/* "8:0 rbytes=4096 wbytes=0 rios=1 wios=0 dbytes=0 dios=0" */
static int read_line_v2(char *line, struct container_usage *usage)
{
	static const struct {
		const char *key, *op;
		bool is_bytes;
	} keys[] = { { "rbytes", "read", true }, { "wbytes", "write", true }, { "rios", "read", false },
		{ "wios", "write", false } };
	struct container_block_usage block = { 0 };
	char *save = NULL;
	int r = 0;
	if (sscanf(line, "%u:%u", &block.major, &block.minor) != 2)
		return 0;
	strtok_r(line, " ", &save);
	for (char *word = strtok_r(NULL, " ", &save); r == 0 && word; word = strtok_r(NULL, " ", &save)) {
		char *equals = strchr(word, '=');
		for (size_t i = 0; r == 0 && equals && i < ARRAY_SIZE(keys); i++) {
			if (strlen(keys[i].key) != (size_t)(equals - word) ||
				strncmp(word, keys[i].key, (size_t)(equals - word)) != 0)
				continue;
			strcpy(block.op, keys[i].op);
			block.is_bytes = keys[i].is_bytes;
			block.value = strtoull(equals + 1, NULL, 10);
			r = add_block(usage, &block);
		}
	}
	return r;
}

static int read_blocks_v2(struct cgroup *group, struct container_usage *usage)
{
	char text[CGROUP_FILE_MAX];
	char *save = NULL;
	int r = cgroup_read(group, "io", "io.stat", text, sizeof(text));
	if (r < 0)
		return 0;
	for (char *line = strtok_r(text, "\n", &save); r == 0 && line; line = strtok_r(NULL, "\n", &save))
		r = read_line_v2(line, usage);
	return r;
}

static int read_blocks(struct cgroup *group, struct container_usage *usage)
{
	if (!cgroup_folder_of(group, "blkio"))
		return read_blocks_v2(group, usage);
	int r = read_blocks_v1(group, "blkio.throttle.io_service_bytes_recursive", true, usage);
	return r < 0 ? r : read_blocks_v1(group, "blkio.throttle.io_serviced_recursive", false, usage);
}

int container_usage_read(struct container *container, struct container_usage *ret)
{
	struct cgroup *group = container->group;
	*ret = (struct container_usage){ .is_v2 = !cgroup_folder_of(group, "cpuacct") };
	int r = ret->is_v2 ? read_cpu_v2(group, ret) : read_cpu_v1(group, ret);
	if (r == 0)
		r = read_memory(group, ret);
	read_pids(group, ret);
	if (r == 0)
		r = read_blocks(group, ret);
	if (r < 0)
		container_usage_finish(ret);
	return r;
}

void container_usage_finish(struct container_usage *usage)
{
	free(usage->per_cpu_ns);
	free(usage->memory_stat);
	free(usage->blocks);
	*usage = (struct container_usage){ 0 };
}
