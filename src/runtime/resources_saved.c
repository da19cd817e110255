#include "runtime/resources_saved.h"

#include <string.h>

/* Limits of v1 and of v2: a group has those of the hierarchy that its controller is in. */
static const struct {
	const char *controller;
	const char *file;
} files[] = {
	{ "cpuset", "cpuset.cpus" },
	{ "cpuset", "cpuset.mems" },
	{ "cpu", "cpu.shares" },
	{ "cpu", "cpu.cfs_period_us" },
	{ "cpu", "cpu.cfs_quota_us" },
	{ "cpu", "cpu.rt_period_us" },
	{ "cpu", "cpu.rt_runtime_us" },
	{ "cpu", "cpu.weight" },
	{ "cpu", "cpu.max" },
	{ "memory", "memory.limit_in_bytes" },
	{ "memory", "memory.memsw.limit_in_bytes" },
	{ "memory", "memory.soft_limit_in_bytes" },
	{ "memory", "memory.swappiness" },
	{ "memory", "memory.max" },
	{ "memory", "memory.swap.max" },
	{ "memory", "memory.low" },
	{ "pids", "pids.max" },
	{ "blkio", "blkio.weight" },
	{ "blkio", "blkio.bfq.weight" },
	{ "io", "io.weight" },
	{ "io", "io.bfq.weight" },
};
_Static_assert(ARRAY_SIZE(files) <= RESOURCES_SAVED_MAX, "a place for each");

void resources_save(struct cgroup *group, struct resources_saved *ret)
{
	ret->count = 0;
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		char *text = ret->limits[ret->count].text;
		if (cgroup_read(group, files[i].controller, files[i].file, text, RESOURCES_SAVED_TEXT_MAX) < 0)
			continue;
		ret->limits[ret->count].controller = files[i].controller;
		ret->limits[ret->count++].file = files[i].file;
	}
}

static int restore_once(struct cgroup *group, const struct resources_saved *saved)
{
	char now[RESOURCES_SAVED_TEXT_MAX];
	int ret = 0;
	for (size_t i = 0; i < saved->count; i++) {
		const char *controller = saved->limits[i].controller, *file = saved->limits[i].file;
		const char *text = saved->limits[i].text;
		if (cgroup_read(group, controller, file, now, sizeof(now)) == 0 && strcmp(now, text) == 0)
			continue;
		int r = cgroup_write(group, controller, file, text);
		ret = ret ? ret : r;
	}
	return ret;
}

/* Twice, since a limit may have to wait for another one (memory, and memory with swap) that comes later. */
int resources_restore(struct cgroup *group, const struct resources_saved *saved)
{
	return restore_once(group, saved) == 0 ? 0 : restore_once(group, saved);
}
