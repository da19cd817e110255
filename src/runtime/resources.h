/*
 * The OCI document's resources written into a container's groups. Each controller is written in the form of the hierarchy it
 * is in, so v1, v2 and hybrid hosts are one case. A limit whose controller the host has not got is an error, never silence.
 */
#pragma once

#include "base/err.h"
#include "spec/oci_runtime.h"
#include "sys/cgroup.h"

enum resources_scope {
	RESOURCES_CHANGED,     /* what is set in the document */
	RESOURCES_NEW,         /* also closes the groups to all devices but the listed and the usual ones */
	RESOURCES_BUT_DEVICES, /* which only root can limit */
};

int resources_apply(struct cgroup *group, const struct oci_resources *resources, enum resources_scope scope,
	struct err **reterr);

/* What the kernel, or v2, has no place for, and callers send all the same: told one by one. */
typedef void resources_warn_fn(const char *message, void *user_data);
void resources_warn(struct cgroup *group, const struct oci_resources *resources, resources_warn_fn *warn,
	void *user_data);

/* What is wrong in itself, without touching anything. */
int resources_check(const struct oci_resources *resources, struct err **reterr);
