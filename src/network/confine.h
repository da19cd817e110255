/*
 * How a helper that deals with strangers shuts itself in, once it has open what it needs: namespaces of its own with an empty root,
 * no capabilities, limits, and a list of system calls.
 */
#pragma once

#include <stdint.h>

#include "sys/seccomp.h"

struct confine {
	struct seccomp_calls calls; /* beyond those of a loop, memory and the log */
	uint64_t memory_bytes;
	uint64_t files; /* 0: as it is */
};

int confine_self(const struct confine *confine);
