/*
 * linux.intelRdt: shares of the processors' caches and of memory bandwidth, by the kernel's resctrl filesystem. A class of service
 * (CLOS) is a folder there: the container's own, by its ID, which is made and removed with it; or one that closID names, which may
 * be others', too, and stays. With enableMonitoring a monitoring group of the container's own is made in it.
 *
 * `root` is where resctrl is mounted; whoever tests this has a folder in its place.
 */
#pragma once

#include "base/err.h"
#include "spec/oci_runtime.h"

#define RDT_MARK "resctrl:" /* among the container's groups (sys/cgroup.h): a folder to be removed at its end */

/* Heap. ERR_UNSUPPORTED: it is not mounted. */
int rdt_find_root(char **ret, struct err **reterr);

/* What is wrong or not to be had here; and the marks of what rdt_make will make, appended. */
int rdt_plan(const char *root, const struct oci_intel_rdt *rdt, const char *id, char ***marks, struct err **reterr);

/* Folders and schemata. What was made is for rdt_remove, whether this fails or not. */
int rdt_make(const char *root, const struct oci_intel_rdt *rdt, const char *id, struct err **reterr);

/* Files to which the container's processes write "0", as they do to join a group of cgroup v1. Returns how many, at most 2. */
int rdt_open_tasks(const char *root, const struct oci_intel_rdt *rdt, const char *id, int fds[2], struct err **reterr);

/* Other shares for a class that is there; members that are NULL stay. */
int rdt_update(const char *root, const struct oci_intel_rdt *rdt, const char *id, struct err **reterr);

/* Of all marks, those with RDT_MARK. */
int rdt_remove(char *const *marks);
