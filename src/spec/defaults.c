#include "spec/defaults.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/strv.h"

const char *const default_capabilities[] = { "CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FSETID", "CAP_FOWNER", "CAP_MKNOD",
	"CAP_NET_RAW", "CAP_SETGID", "CAP_SETUID", "CAP_SETFCAP", "CAP_SETPCAP", "CAP_NET_BIND_SERVICE",
	"CAP_SYS_CHROOT", "CAP_KILL", "CAP_AUDIT_WRITE", NULL };

const char *const default_masked_paths[] = { "/proc/asound", "/proc/acpi", "/proc/interrupts", "/proc/kcore",
	"/proc/keys", "/proc/latency_stats", "/proc/timer_list", "/proc/timer_stats", "/proc/sched_debug", "/proc/scsi",
	"/sys/firmware", "/sys/devices/virtual/powercap", NULL };

const char *const default_readonly_paths[] = { "/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger",
	NULL };

const char *const capability_names[] = { "CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_DAC_READ_SEARCH", "CAP_FOWNER",
	"CAP_FSETID", "CAP_KILL", "CAP_SETGID", "CAP_SETUID", "CAP_SETPCAP", "CAP_LINUX_IMMUTABLE",
	"CAP_NET_BIND_SERVICE", "CAP_NET_BROADCAST", "CAP_NET_ADMIN", "CAP_NET_RAW", "CAP_IPC_LOCK", "CAP_IPC_OWNER",
	"CAP_SYS_MODULE", "CAP_SYS_RAWIO", "CAP_SYS_CHROOT", "CAP_SYS_PTRACE", "CAP_SYS_PACCT", "CAP_SYS_ADMIN",
	"CAP_SYS_BOOT", "CAP_SYS_NICE", "CAP_SYS_RESOURCE", "CAP_SYS_TIME", "CAP_SYS_TTY_CONFIG", "CAP_MKNOD",
	"CAP_LEASE", "CAP_AUDIT_WRITE", "CAP_AUDIT_CONTROL", "CAP_SETFCAP", "CAP_MAC_OVERRIDE", "CAP_MAC_ADMIN",
	"CAP_SYSLOG", "CAP_WAKE_ALARM", "CAP_BLOCK_SUSPEND", "CAP_AUDIT_READ", "CAP_PERFMON", "CAP_BPF",
	"CAP_CHECKPOINT_RESTORE", NULL };

/* /dev/shm is not here: it has a size of its own. */
static const struct {
	const char *destination;
	const char *type;
	const char *source;
	const char *options[8];
} mounts[] = {
	{ "/proc", "proc", "proc", { "nosuid", "noexec", "nodev" } },
	{ "/dev", "tmpfs", "tmpfs", { "nosuid", "strictatime", "mode=755", "size=65536k" } },
	{ "/dev/pts", "devpts", "devpts",
		{ "nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5" } },
	{ "/sys", "sysfs", "sysfs", { "nosuid", "noexec", "nodev", "ro" } },
	{ "/sys/fs/cgroup", "cgroup", "cgroup", { "ro", "nosuid", "noexec", "nodev" } },
	{ "/dev/mqueue", "mqueue", "mqueue", { "nosuid", "noexec", "nodev" } },
};

static const struct {
	bool allow;
	const char *type;
	int64_t major;
	int64_t minor;
} device_rules[] = {
	{ false, NULL, -1, -1 }, { true, "c", 1, 3 }, /* null */
	{ true, "c", 1, 5 },                          /* zero */
	{ true, "c", 1, 7 },                          /* full */
	{ true, "c", 1, 8 },                          /* random */
	{ true, "c", 1, 9 },                          /* urandom */
	{ true, "c", 5, 0 },                          /* tty */
	{ true, "c", 5, 1 },                          /* console */
	{ false, "c", 10, 229 },                      /* fuse */
};

/* --- mounts --- */

static int copy_string(const char *from, char **ret)
{
	*ret = from ? strdup(from) : NULL;
	return from && !*ret ? -ENOMEM : 0;
}

static int copy_options(const char *const *options, char ***ret)
{
	int r = 0;
	for (; r == 0 && options && *options; options++)
		r = strv_append(ret, *options);
	return r;
}

int defaults_add_mount(struct oci_spec *spec, const char *destination, const char *type, const char *source,
	const char *const *options)
{
	struct oci_mount *grown = reallocarray(spec->mounts, spec->mount_count + 1, sizeof *grown);
	if (!grown)
		return -ENOMEM;
	/* Counted at once: whoever frees the document frees a half-filled entry too. */
	struct oci_mount *mount = &grown[spec->mount_count++];
	spec->mounts = grown;
	*mount = (struct oci_mount){ 0 };

	int r = copy_string(destination, &mount->destination);
	if (r == 0)
		r = copy_string(type, &mount->type);
	if (r == 0)
		r = copy_string(source, &mount->source);
	return r < 0 ? r : copy_options(options, &mount->options);
}

int defaults_add_mounts(struct oci_spec *spec, int64_t shm_size_bytes)
{
	for (size_t i = 0; i < ARRAY_SIZE(mounts); i++) {
		int r = defaults_add_mount(spec, mounts[i].destination, mounts[i].type, mounts[i].source,
			mounts[i].options);
		if (r < 0)
			return r;
	}
	if (shm_size_bytes <= 0)
		return 0;
	char size[32];
	snprintf(size, sizeof size, "size=%lld", (long long)shm_size_bytes);
	const char *const options[] = { "nosuid", "noexec", "nodev", "mode=1777", size, NULL };
	return defaults_add_mount(spec, "/dev/shm", "tmpfs", "shm", options);
}

/* --- devices --- */

static struct json_opt_int number_or_all(int64_t number)
{
	return (struct json_opt_int){ .set = number >= 0, .value = number >= 0 ? number : 0 };
}

int defaults_add_device_rule(struct oci_resources *resources, bool allow, const char *type, int64_t major,
	int64_t minor, const char *access)
{
	struct oci_device_rule *grown = reallocarray(resources->devices, resources->device_count + 1, sizeof *grown);
	if (!grown)
		return -ENOMEM;
	struct oci_device_rule *rule = &grown[resources->device_count++];
	resources->devices = grown;
	*rule = (struct oci_device_rule){
		.allow = allow,
		.major = number_or_all(major),
		.minor = number_or_all(minor),
	};
	int r = copy_string(type, &rule->type);
	return r < 0 ? r : copy_string(access, &rule->access);
}

int defaults_add_device_rules(struct oci_resources *resources)
{
	int r = 0;
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(device_rules); i++)
		r = defaults_add_device_rule(resources, device_rules[i].allow, device_rules[i].type,
			device_rules[i].major, device_rules[i].minor, "rwm");
	return r;
}

/* --- paths and namespaces --- */

static int set_paths(char ***to, const char *const *paths)
{
	strv_free(*to);
	*to = NULL;
	return copy_options(paths, to);
}

int defaults_set_paths(struct oci_linux *config)
{
	int r = set_paths(&config->masked_paths, default_masked_paths);
	if (r == 0)
		r = set_paths(&config->readonly_paths, default_readonly_paths);

	long cpus = sysconf(_SC_NPROCESSORS_CONF);
	for (long i = 0; r == 0 && i < cpus; i++) {
		char path[80];
		snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu%ld/thermal_throttle", i);
		if (access(path, F_OK) == 0)
			r = strv_append(&config->masked_paths, path);
	}
	return r;
}

int defaults_add_namespace(struct oci_linux *config, const char *type, const char *path)
{
	struct oci_namespace *grown = reallocarray(config->namespaces, config->namespace_count + 1, sizeof *grown);
	if (!grown)
		return -ENOMEM;
	struct oci_namespace *entry = &grown[config->namespace_count++];
	config->namespaces = grown;
	*entry = (struct oci_namespace){ 0 };
	int r = copy_string(type, &entry->type);
	return r < 0 ? r : copy_string(path, &entry->path);
}
