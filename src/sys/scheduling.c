#include "sys/scheduling.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include <linux/ioprio.h>
#include <linux/mempolicy.h>
#include <linux/sched.h>
#include <linux/sched/types.h>
#include <sys/personality.h>
#include <sys/syscall.h>

#include "base/cleanup.h"

/* Newer than the oldest headers this is built with (6.9). */
#define MODE_WEIGHTED_INTERLEAVE 6

struct word {
	const char *name;
	int value;
};

static int find(const struct word *words, size_t count, const char *name)
{
	for (size_t i = 0; name && i < count; i++)
		if (strcmp(words[i].name, name) == 0)
			return words[i].value;
	return -EINVAL;
}

int scheduling_policy(const char *name)
{
	static const struct word words[] = { { "SCHED_OTHER", 0 }, { "SCHED_FIFO", 1 }, { "SCHED_RR", 2 },
		{ "SCHED_BATCH", 3 }, { "SCHED_ISO", 4 }, { "SCHED_IDLE", 5 }, { "SCHED_DEADLINE", 6 } };

	return find(words, ARRAY_SIZE(words), name);
}

int scheduling_flag(const char *name)
{
	static const struct word words[] = {
		{ "SCHED_FLAG_RESET_ON_FORK", SCHED_FLAG_RESET_ON_FORK },
		{ "SCHED_FLAG_RECLAIM", SCHED_FLAG_RECLAIM },
		{ "SCHED_FLAG_DL_OVERRUN", SCHED_FLAG_DL_OVERRUN },
		{ "SCHED_FLAG_KEEP_POLICY", SCHED_FLAG_KEEP_POLICY },
		{ "SCHED_FLAG_KEEP_PARAMS", SCHED_FLAG_KEEP_PARAMS },
		{ "SCHED_FLAG_UTIL_CLAMP_MIN", SCHED_FLAG_UTIL_CLAMP_MIN },
		{ "SCHED_FLAG_UTIL_CLAMP_MAX", SCHED_FLAG_UTIL_CLAMP_MAX },
	};

	return find(words, ARRAY_SIZE(words), name);
}

int io_priority_class(const char *name)
{
	static const struct word words[] = { { "IOPRIO_CLASS_RT", IOPRIO_CLASS_RT },
		{ "IOPRIO_CLASS_BE", IOPRIO_CLASS_BE }, { "IOPRIO_CLASS_IDLE", IOPRIO_CLASS_IDLE } };

	return find(words, ARRAY_SIZE(words), name);
}

int memory_policy_mode(const char *name)
{
	static const struct word words[] = {
		{ "MPOL_DEFAULT", MPOL_DEFAULT },
		{ "MPOL_PREFERRED", MPOL_PREFERRED },
		{ "MPOL_BIND", MPOL_BIND },
		{ "MPOL_INTERLEAVE", MPOL_INTERLEAVE },
		{ "MPOL_LOCAL", MPOL_LOCAL },
		{ "MPOL_PREFERRED_MANY", MPOL_PREFERRED_MANY },
		{ "MPOL_WEIGHTED_INTERLEAVE", MODE_WEIGHTED_INTERLEAVE },
	};

	return find(words, ARRAY_SIZE(words), name);
}

int memory_policy_flag(const char *name)
{
	static const struct word words[] = { { "MPOL_F_STATIC_NODES", MPOL_F_STATIC_NODES },
		{ "MPOL_F_RELATIVE_NODES", MPOL_F_RELATIVE_NODES },
		{ "MPOL_F_NUMA_BALANCING", MPOL_F_NUMA_BALANCING } };

	return find(words, ARRAY_SIZE(words), name);
}

int personality_domain(const char *name)
{
	static const struct word words[] = { { "LINUX", PER_LINUX }, { "LINUX32", PER_LINUX32 } };

	return find(words, ARRAY_SIZE(words), name);
}

int scheduling_set(const struct scheduling *scheduling)
{
	struct sched_attr attr = { .size = sizeof(attr),
		.sched_policy = scheduling->policy,
		.sched_flags = scheduling->flags,
		.sched_nice = scheduling->nice,
		.sched_priority = scheduling->priority,
		.sched_runtime = scheduling->runtime_ns,
		.sched_deadline = scheduling->deadline_ns,
		.sched_period = scheduling->period_ns };

	return syscall(SYS_sched_setattr, 0, &attr, 0) < 0 ? -errno : 0;
}

int scheduling_set_cpus(const struct number_set *cpus)
{
	return syscall(SYS_sched_setaffinity, 0, sizeof(cpus->words), cpus->words) < 0 ? -errno : 0;
}

int io_priority_set(int class, int level)
{
	return syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, IOPRIO_PRIO_VALUE(class, level)) < 0 ? -errno : 0;
}

/* The kernel takes one bit less than it is told, and refuses bits beyond its own largest node: only as many words as are used. */
int memory_policy_set(int mode, const struct number_set *nodes)
{
	unsigned long max = 0;

	for (size_t i = 0; nodes && i < ARRAY_SIZE(nodes->words); i++)
		if (nodes->words[i])
			max = (i + 1) * WORD_BITS + 1;
	return syscall(SYS_set_mempolicy, mode, max ? nodes->words : NULL, max) < 0 ? -errno : 0;
}

int personality_set(unsigned long domain)
{
	return personality(domain) < 0 ? -errno : 0;
}
