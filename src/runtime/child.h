/*
 * The side of clone that becomes the container's process. Nothing here allocates or returns an error: a step that fails says
 * which and why over the sync socket and exits (child_fail).
 */
#pragma once

#include <stdbool.h>

#include "runtime/plan.h"

struct child {
	const struct plan *plan;
	int sync;
	int root_fd;    /* the container's root; -1 once it is "/" */
	int proc_fd;    /* private procfs, opened when first needed */
	int proc_mount; /* the container's /proc and /sys, as mounted by us; -1 if the spec has none */
	int sys_mount;
	int dev_mount;
	int console_fd; /* the terminal's slave, until it is 0, 1 and 2 */
	char command[PATH_MAX];
	char home_entry[PATH_MAX + 8];
};

/* The whole life up to execve; for plan_container and plan_exec. `keep` as plan_keep_fds gives it. */
_Noreturn void child_run(const struct plan *plan, int sync, const int *keep, size_t keep_count);

_Noreturn void child_fail(const struct child *child, enum report_stage stage, int errnum, const char *format, ...)
	printf_like(4, 5);
void child_warn(const struct child *child, const char *format, ...) printf_like(2, 3);

/* Closes every descriptor from 3 on but `keep` (sorted, may hold -1 and doubles) and `also`. */
void child_close_others(const int *keep, size_t keep_count, int also);

/* The private procfs of the pid namespace that the child is in. */
int child_procfs(struct child *child, enum report_stage stage);

/* Parts, in the order in which they run. */
void child_mounts(struct child *child); /* child_mounts.c: root, mounts, devices, console, masks */
void child_cgroup_mount(struct child *child, const struct plan_mount *mount, int target);
void child_devices(struct child *child); /* child_devices.c */
void child_console(struct child *child, bool make_dev_console);
void child_privileges_early(struct child *child); /* child_privileges.c: rlimits ... setuid */
void child_privileges_final(struct child *child); /* seccomp and capabilities, last */
void child_run_hooks(struct child *child, const struct oci_hook *hooks, size_t count, const char *name);

/* Attaches a detached mount over `target`. */
void child_attach(struct child *child, int mount, int target, enum report_stage stage, const char *what);
