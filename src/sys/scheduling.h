/* How the kernel schedules the calling process: policy, CPUs, I/O class, memory nodes, execution domain. Nothing allocates. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define NUMBER_SET_BITS 8192 /* the kernel's largest NR_CPUS */
#define WORD_BITS       (8 * sizeof(unsigned long))

/* CPUs or memory nodes. */
struct number_set {
	unsigned long words[NUMBER_SET_BITS / WORD_BITS];
};

struct scheduling {
	uint32_t policy; /* SCHED_* */
	uint64_t flags;  /* SCHED_FLAG_* */
	int32_t nice;
	uint32_t priority;
	uint64_t runtime_ns;
	uint64_t deadline_ns;
	uint64_t period_ns;
};

/* "SCHED_BATCH", "SCHED_FLAG_RECLAIM", "IOPRIO_CLASS_BE", "MPOL_BIND", "MPOL_F_STATIC_NODES", "LINUX32" to the kernel's numbers, or -EINVAL. */
int scheduling_policy(const char *name);
int scheduling_flag(const char *name);
int io_priority_class(const char *name);
int memory_policy_mode(const char *name);
int memory_policy_flag(const char *name);
int personality_domain(const char *name);

/* All: 0 or -errno. */
int scheduling_set(const struct scheduling *scheduling);
int scheduling_set_cpus(const struct number_set *cpus);
int io_priority_set(int class, int level);
/* `mode` with its flags; `nodes` NULL: none. */
int memory_policy_set(int mode, const struct number_set *nodes);
int personality_set(unsigned long domain);
