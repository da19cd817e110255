/*
 * What a container gets unless its request says otherwise: Docker's defaults (capabilities, mounts, device rules, masked
 * and read-only paths), as data. Who makes an OCI document starts from these and adds or takes away.
 */
#pragma once

#include "spec/oci_runtime.h"

#define DEFAULT_PATH_ENV       "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#define DEFAULT_SHM_SIZE_BYTES (64LL * 1024 * 1024)
#define DEFAULT_OOM_SCORE_ADJ  0

/* NULL-terminated. */
extern const char *const default_capabilities[];
extern const char *const default_masked_paths[];
extern const char *const default_readonly_paths[];

/* Every capability's name by its number; NULL-terminated. A kernel may know fewer. */
extern const char *const capability_names[];

/*
 * The default mounts, appended to spec->mounts in the order in which they have to be made: /proc, /dev, /dev/pts, /sys,
 * /sys/fs/cgroup, /dev/mqueue, /dev/shm (of `shm_size_bytes`; none for 0 or less). Returns 0 or -ENOMEM.
 */
int defaults_add_mounts(struct oci_spec *spec, int64_t shm_size_bytes);

/* One mount; strings are copied, `options` is a NULL-terminated vector or NULL. */
int defaults_add_mount(struct oci_spec *spec, const char *destination, const char *type, const char *source,
	const char *const *options);

/* Deny all, then allow what every container may use (null, zero, full, random, urandom, tty, console); appended to
 * resources->devices. The runtime adds pts and ptmx by itself. */
int defaults_add_device_rules(struct oci_resources *resources);
/* One rule; numbers below 0 are left unset: all. */
int defaults_add_device_rule(struct oci_resources *resources, bool allow, const char *type, int64_t major,
	int64_t minor, const char *access);

/* Sets linux.maskedPaths and readonlyPaths. Masked too is each CPU's thermal_throttle folder that this host has: its
 * counters change with a neighbour's load. */
int defaults_set_paths(struct oci_linux *config);

/* Appends a namespace of its own (`path` NULL) or one to join. */
int defaults_add_namespace(struct oci_linux *config, const char *type, const char *path);
