/*
 * A container's groups as systemd makes them: a transient scope, below a slice, delegated. systemd keeps what of the limits it has
 * words for; the files are written by us in any case, after it, and the hierarchies that it does not care for are made by us.
 *
 * A scope is begun with a process, and ends with its last. So that the container's own is born in its groups as without systemd, a
 * process that only waits is the first, until the container's is there.
 */
#pragma once

#include "base/err.h"
#include "base/map.h"
#include "spec/oci_runtime.h"
#include "sys/cgroup.h"

struct scope;

/* `cgroups_path`: "slice:prefix:name", or none. Asks the manager where that is, and makes nothing. The folders are as cgroup_new
 * takes them, the unit's mark among them. */
int scope_new(const char *cgroups_path, const char *id, bool is_user, const struct cgroup_host *host,
	struct scope **ret, char ***ret_folders, struct err **reterr);
void scope_free(struct scope *scope); /* and the process that waits */
DEFINE_AUTOFREE(scope, struct scope *, scope_free);

/* For `group`, which was made of those folders. On failure nothing is left. */
int scope_start(struct scope *scope, const struct cgroup *group, const struct oci_resources *resources,
	const struct map *annotations, struct err **reterr);

/* For a group that has a unit. Limits: those that are set. Stopping takes that all its processes are gone, and waits for systemd;
 * a unit that is gone is fine. */
int scope_update(struct cgroup *group, const struct oci_resources *resources, struct err **reterr);
int scope_stop(const struct cgroup *group, struct err **reterr);

/* ---- names: for tests ---- */

/* "a-b.slice" is "/a.slice/a-b.slice", "-.slice" the root: "". -EINVAL, -ENOMEM. */
int scope_slice_path(const char *slice, char **ret);
/* Heap, both the receiver's. */
int scope_names(const char *cgroups_path, const char *id, bool is_user, char **ret_slice, char **ret_unit,
	struct err **reterr);
