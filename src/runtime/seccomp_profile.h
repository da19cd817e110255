/*
 * Docker's form of a seccomp profile made into the OCI document's: its rules may hold for certain capabilities, architectures
 * and kernels only ("includes", "excludes"), and its architectures are a map.
 */
#pragma once

#include "base/err.h"
#include "spec/oci_runtime.h"

/* What conditions are measured against. */
struct seccomp_context {
	char *const *capabilities;
	const char *go_arch;     /* "amd64" */
	const char *native_arch; /* "SCMP_ARCH_X86_64" */
	unsigned kernel_major;
	unsigned kernel_minor;
};

/* Either form; `out` is to be json_finish'ed with oci_seccomp_table. */
int seccomp_profile_read(json_t *profile, const struct seccomp_context *context, struct oci_seccomp *out,
	struct err **reterr);

/* This machine's architecture and kernel. */
void seccomp_context_of_host(struct seccomp_context *out);
