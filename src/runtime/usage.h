/* What a container has used, by its groups' own counters. A controller that the host has not got counts nothing. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct container;

struct container_block_usage {
	unsigned major, minor;
	char op[16];   /* v1: "Read", "Write", "Sync", ...; v2: "read", "write" */
	bool is_bytes; /* else a number of requests */
	uint64_t value;
};

struct container_usage {
	bool is_v2;
	uint64_t cpu_total_ns, cpu_user_ns, cpu_kernel_ns;
	uint64_t *per_cpu_ns; /* v1 alone */
	size_t per_cpu_count;
	uint64_t periods, throttled_periods, throttled_ns;
	bool has_memory;
	uint64_t memory, memory_limit; /* UINT64_MAX or a number beyond all memory: none */
	uint64_t memory_peak, memory_failures;
	char *memory_stat; /* the kernel's file; NULL: none */
	bool has_pids;
	uint64_t pids, pids_limit; /* 0: none */
	struct container_block_usage *blocks;
	size_t block_count;
};

/* -ENOMEM, with nothing to finish. */
int container_usage_read(struct container *container, struct container_usage *ret);
void container_usage_finish(struct container_usage *usage);
