/*
 * What config.json and process.json may say, beyond their shape: grammar, ranges, and parts that contradict each other.
 * Whatever passes is safe to put into a path, a line of a file or a system call's argument; whether it can be had on this
 * host (a file exists, the kernel knows it) is for the runtime. Nothing here touches the file system.
 *
 * ERR_INVALID names the JSON path and the problem: "process.rlimits[0].soft: is above hard".
 */
#pragma once

#include "spec/oci_runtime.h"

int oci_spec_validate(const struct oci_spec *spec, struct err **reterr);
/* For a process added to a running container. */
int oci_process_validate(const struct oci_process *process, struct err **reterr);
/* For new limits of a running container; paths in the message begin with `path`. */
int oci_resources_validate(const struct oci_resources *resources, const char *path, struct err **reterr);
/* For a filter by itself. */
int oci_seccomp_validate(const struct oci_seccomp *seccomp, struct err **reterr);

/*
 * The path below /proc/sys that a sysctl's name means, heap: "net.ipv4.ip_forward" and "net/ipv4/ip_forward" are one; the
 * separator that comes first separates, and the other stands for itself turned round ("net.ipv4.conf.eth0/1.mtu" is
 * net/ipv4/conf/eth0.1/mtu). -EINVAL: no name at all, or an empty, "." or ".." component.
 */
int oci_sysctl_path(const char *name, char **ret);
