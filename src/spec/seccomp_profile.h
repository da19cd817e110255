/*
 * Seccomp profiles in Docker's form, the one people write and pass with --security-opt seccomp=FILE: an OCI filter whose
 * rules may depend on the machine, the kernel and the container's capabilities. Resolved for one container they become a
 * plain struct oci_seccomp, which tare-runtime compiles. An OCI filter as such is a profile without conditions.
 */
#pragma once

#include "spec/oci_runtime.h"

/* What conditions are about. */
struct seccomp_target {
	const char *architecture; /* libseccomp's word: "amd64", "arm64" */
	unsigned kernel;          /* the 6 and the 18 of 6.18.3 */
	unsigned major;
	char *const *capabilities; /* the bounding set */
};

struct seccomp_condition {
	char **caps;
	char **arches;
	char *min_kernel; /* "4.8" */
};

struct seccomp_rule {
	char *name; /* the old form, instead of names */
	char **names;
	char *action;
	struct json_opt_int errno_ret;
	struct oci_seccomp_arg *args;
	size_t arg_count;
	struct seccomp_condition *includes; /* all must hold */
	struct seccomp_condition *excludes; /* none may hold */
};

struct seccomp_arch_map {
	char *architecture;
	char **sub_architectures;
};

struct seccomp_profile {
	char *default_action;
	struct json_opt_int default_errno_ret;
	char **flags;
	char *listener_path;
	char *listener_metadata;
	char **architectures;
	struct seccomp_arch_map *arch_map;
	size_t arch_map_count;
	struct seccomp_rule *syscalls;
	size_t syscall_count;
};

/* This machine and kernel; capabilities NULL. */
void seccomp_target_host(struct seccomp_target *ret);
/* "SCMP_ARCH_X86_64" for "amd64"; NULL if libseccomp has no word for it. */
const char *seccomp_architecture(const char *native);

/*
 * A user's profile, parsed JSON, for one target. An empty profile (no default action, no rules) means no filter:
 * out->default_action is NULL then. ERR_INVALID names the member. `out` is freed with json_finish and oci_seccomp_table.
 */
int seccomp_profile_resolve(json_t *profile, const struct seccomp_target *target, struct oci_seccomp *out,
	struct err **reterr);

/* Appends a rule for these names (a vector that is taken, also on failure). Returns 0 or -ENOMEM. */
int seccomp_add_rule(struct oci_seccomp *seccomp, char **names, const char *action, struct json_opt_int errno_ret,
	const struct oci_seccomp_arg *args, size_t arg_count);
