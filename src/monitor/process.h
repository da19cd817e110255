/* The process that an exec asks for, as the runtime library wants it: the container's own process with changes. */
#pragma once

#include "spec/exec_config.h"
#include "spec/oci_runtime.h"

struct err;
struct monitor;

struct process {
	struct oci_process oci;
	const char *user; /* Docker's user string; borrowed, as the next two */
	char *const *group_add;
	int seccomp_fd;
};

int process_for_exec(const struct monitor *monitor, const struct exec_config *config, struct process *ret,
	struct err **reterr);
void process_finish(struct process *process);
