#include "spec/oci_linux_check.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sys/stat.h>

#include "base/strv.h"
#include "spec/oci_check.h"
#include "spec/oci_validate.h"

#define MEMORY_NODES_MAX 1024 /* the kernel's most */

#define INTERFACE_NAME_MAX 15
#define ERRNO_MAX          4095

/* --- namespaces and what needs them --- */

static int check_namespaces(const struct oci_linux *config, struct err **reterr)
{
	for (size_t i = 0; i < config->namespace_count; i++) {
		const struct oci_namespace *entry = &config->namespaces[i];
		if (!OCI_IS_ONE_OF(entry->type, "mount", "pid", "network", "uts", "ipc", "user", "cgroup", "time"))
			return oci_bad(reterr, "is no namespace", "linux.namespaces[%zu].type", i);
		for (size_t k = 0; k < i; k++)
			if (strcmp(entry->type, config->namespaces[k].type) == 0)
				return oci_bad(reterr, "is there twice", "linux.namespaces[%zu].type", i);
		if (!entry->path || !*entry->path)
			continue;
		if (!oci_is_absolute(entry->path))
			return oci_bad(reterr, "is not an absolute path", "linux.namespaces[%zu].path", i);
		if (strlen(entry->path) >= PATH_MAX)
			return oci_bad(reterr, "is longer than a path can be", "linux.namespaces[%zu].path", i);
	}
	return 0;
}

static bool overlaps(int64_t a, int64_t b, int64_t a_size, int64_t b_size)
{
	return a < b + b_size && b < a + a_size;
}

static const char *mapping_problem(const struct oci_id_mapping *mappings, size_t at)
{
	const struct oci_id_mapping *new = &mappings[at];
	if (!oci_is_id(new->container_id) || !oci_is_id(new->host_id))
		return "has an ID that is not between 0 and 4294967294";
	if (new->size < 1 || new->size > OCI_ID_MAX + 1 - new->container_id ||
		new->size > OCI_ID_MAX + 1 - new->host_id)
		return "has a size that leaves no room";
	for (size_t i = 0; i < at; i++)
		if (overlaps(new->container_id, mappings[i].container_id, new->size, mappings[i].size) ||
			overlaps(new->host_id, mappings[i].host_id, new->size, mappings[i].size))
			return "overlaps another";
	return NULL;
}

/* The kernel takes 340 (since 4.15); the bound also keeps the comparison of all with all short. */
#define MAPPINGS_MAX 340

int oci_check_mappings(const struct oci_id_mapping *mappings, size_t count, struct err **reterr,
	const char *path_format, ...)
{
	char path[96];
	va_list args;
	va_start(args, path_format);
	vsnprintf(path, sizeof path, path_format, args);
	va_end(args);

	if (count > MAPPINGS_MAX)
		return oci_bad(reterr, "has more than 340 entries", "%s", path);
	for (size_t i = 0; i < count; i++) {
		const char *problem = mapping_problem(mappings, i);
		if (problem)
			return oci_bad(reterr, problem, "%s[%zu]", path, i);
	}
	return 0;
}

static int check_user_namespace(const struct oci_spec *spec, struct err **reterr)
{
	const struct oci_linux *config = &spec->linux_config;
	const struct oci_namespace *user = oci_spec_namespace(spec, "user");
	int r = oci_check_mappings(config->uid_mappings, config->uid_mapping_count, reterr, "linux.uidMappings");
	if (r == 0)
		r = oci_check_mappings(config->gid_mappings, config->gid_mapping_count, reterr, "linux.gidMappings");
	if (r < 0)
		return r;
	if (!user && (config->uid_mapping_count || config->gid_mapping_count))
		return oci_bad(reterr, "is of no use without a user namespace", "linux.uidMappings");
	if (user && !user->path && !config->uid_mapping_count != !config->gid_mapping_count)
		return oci_bad(reterr, "is required, since there are mappings of the other kind",
			config->uid_mapping_count ? "linux.gidMappings" : "linux.uidMappings");
	return 0;
}

static int check_time_offsets(const struct oci_spec *spec, struct err **reterr)
{
	struct map_entry *entry;
	const struct oci_namespace *time = oci_spec_namespace(spec, "time");
	if (!spec->linux_config.time_offsets || !map_count(spec->linux_config.time_offsets))
		return 0;
	if (!time || time->path)
		return oci_bad(reterr, "needs a new time namespace", "linux.timeOffsets");
	map_foreach (entry, spec->linux_config.time_offsets) {
		const struct oci_time_offset *offset = entry->value;
		if (!OCI_IS_ONE_OF(entry->key, "boottime", "monotonic"))
			return oci_bad(reterr, "has a clock that is neither boottime nor monotonic",
				"linux.timeOffsets");
		if (offset->nanosecs < 0 || offset->nanosecs > 999999999)
			return oci_bad(reterr, "is not between 0 and 999999999", "linux.timeOffsets.%s.nanosecs",
				entry->key);
	}
	return 0;
}

static bool is_interface_name(const char *name)
{
	return *name && strlen(name) <= INTERFACE_NAME_MAX && strcmp(name, ".") != 0 && strcmp(name, "..") != 0 &&
	       !strpbrk(name, "/: ") && oci_is_one_line(name);
}

static int check_net_devices(const struct oci_spec *spec, struct err **reterr)
{
	struct map_entry *entry;
	const struct map *devices = spec->linux_config.net_devices;
	if (!devices || !map_count(devices))
		return 0;
	if (!oci_spec_namespace(spec, "network"))
		return oci_bad(reterr, "needs a network namespace", "linux.netDevices");
	map_foreach (entry, devices) {
		const struct oci_net_device *device = entry->value;
		if (!is_interface_name(entry->key) ||
			(device->name && *device->name && !is_interface_name(device->name)))
			return oci_bad(reterr, "has a name that no interface can have", "linux.netDevices");
	}
	return 0;
}

/* --- sysctls --- */

int oci_sysctl_path(const char *name, char **ret)
{
	const char *first = strpbrk(name, "./");
	char separator = first ? *first : '.';
	char *path = strdup(name);
	if (!path)
		return -ENOMEM;
	for (char *at = path; *at; at++) {
		if (*at == separator)
			*at = '/';
		else if (*at == '/' || *at == '.')
			*at = '.';
	}
	for (const char *at = path; at; at = strchr(at, '/')) {
		at += at != path;
		size_t len = strcspn(at, "/");
		if (len == 0 || (len == 1 && *at == '.') || (len == 2 && at[0] == '.' && at[1] == '.')) {
			free(path);
			return -EINVAL;
		}
	}
	*ret = path;
	return 0;
}

/* The namespace that a sysctl belongs to, NULL if it is the whole host's. */
static const char *sysctl_namespace(const char *path)
{
	if (strncmp(path, "net/", 4) == 0)
		return "network";
	if (strncmp(path, "fs/mqueue/", 10) == 0 ||
		OCI_IS_ONE_OF(path, "kernel/msgmax", "kernel/msgmnb", "kernel/msgmni", "kernel/sem", "kernel/shmall",
			"kernel/shmmax", "kernel/shmmni", "kernel/shm_rmid_forced"))
		return "ipc";
	if (strcmp(path, "kernel/domainname") == 0)
		return "uts";
	return NULL;
}

/* One line; several numbers are often set apart by tabs. */
static bool is_sysctl_value(const char *value)
{
	for (; value && *value; value++)
		if (((unsigned char)*value < 0x20 && *value != '\t') || *value == 0x7f)
			return false;
	return value != NULL;
}

static int check_sysctl(const struct oci_spec *spec, const char *name, const char *value, struct err **reterr)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./";
	_cleanup_free_ char *path = NULL;
	if (!*name || name[strspn(name, allowed)])
		return oci_bad(reterr, "has a name that is no sysctl", "linux.sysctl");
	int r = oci_sysctl_path(name, &path);
	if (r == -ENOMEM)
		return err_oom(reterr);
	if (r < 0)
		return oci_bad(reterr, "is no sysctl", "linux.sysctl.%s", name);
	if (!is_sysctl_value(value))
		return oci_bad(reterr, "has a control character", "linux.sysctl.%s", name);
	if (strcmp(path, "kernel/hostname") == 0)
		return oci_bad(reterr, "is what hostname is for", "linux.sysctl.%s", name);
	const char *type = sysctl_namespace(path);
	if (!type)
		return oci_bad(reterr, "is not in a separate kernel namespace", "linux.sysctl.%s", name);
	if (!oci_spec_namespace(spec, type))
		return oci_bad(reterr, "needs a namespace that the container shares with the host", "linux.sysctl.%s",
			name);
	return 0;
}

static int check_sysctls(const struct oci_spec *spec, struct err **reterr)
{
	struct map_entry *entry;
	int r = 0;
	if (!spec->linux_config.sysctl)
		return 0;
	map_foreach (entry, spec->linux_config.sysctl)
		if ((r = check_sysctl(spec, entry->key, entry->value, reterr)) < 0)
			return r;
	return 0;
}

/* --- resources --- */

static bool is_device_number(int64_t number, int64_t min)
{
	return number >= min && number <= UINT32_MAX;
}

static int check_device_rules(const struct oci_resources *resources, const char *path, struct err **reterr)
{
	for (size_t i = 0; i < resources->device_count; i++) {
		const struct oci_device_rule *rule = &resources->devices[i];
		if (rule->type && *rule->type && !OCI_IS_ONE_OF(rule->type, "a", "b", "c"))
			return oci_bad(reterr, "is not a, b or c", "%s.devices[%zu].type", path, i);
		if (rule->access && rule->access[strspn(rule->access, "rwma")])
			return oci_bad(reterr, "has letters besides r, w and m", "%s.devices[%zu].access", path, i);
		if ((rule->major.set && !is_device_number(rule->major.value, -1)) ||
			(rule->minor.set && !is_device_number(rule->minor.value, -1)))
			return oci_bad(reterr, "has a number out of range", "%s.devices[%zu]", path, i);
	}
	return 0;
}

static int check_cpu(const struct oci_cpu *cpu, const char *path, struct err **reterr)
{
	if (cpu->cpus && !oci_is_number_list(cpu->cpus))
		return oci_bad(reterr, "is no list of CPUs", "%s.cpu.cpus", path);
	if (cpu->mems && !oci_is_number_list(cpu->mems))
		return oci_bad(reterr, "is no list of memory nodes", "%s.cpu.mems", path);
	if (cpu->shares.value < 0)
		return oci_bad(reterr, "is negative", "%s.cpu.shares", path);
	if (cpu->period.value < 0 || cpu->realtime_period.value < 0)
		return oci_bad(reterr, "is negative", "%s.cpu.period", path);
	if (cpu->quota.value < -1 || cpu->realtime_runtime.value < -1)
		return oci_bad(reterr, "is below -1", "%s.cpu.quota", path);
	if (cpu->burst.value < 0)
		return oci_bad(reterr, "is negative", "%s.cpu.burst", path);
	if (cpu->idle.value < 0 || cpu->idle.value > 1)
		return oci_bad(reterr, "is neither 0 nor 1", "%s.cpu.idle", path);
	return 0;
}

static int check_memory(const struct oci_memory *memory, const char *path, struct err **reterr)
{
	const struct {
		const char *name;
		const struct json_opt_int *value;
	} sizes[] = {
		{ "limit", &memory->limit },
		{ "reservation", &memory->reservation },
		{ "swap", &memory->swap },
		{ "kernel", &memory->kernel },
		{ "kernelTCP", &memory->kernel_tcp },
	};
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++)
		if (sizes[i].value->value < -1)
			return oci_bad(reterr, "is below -1", "%s.memory.%s", path, sizes[i].name);
	if (memory->swappiness.value < 0 || memory->swappiness.value > 100)
		return oci_bad(reterr, "is not between 0 and 100", "%s.memory.swappiness", path);
	if (memory->limit.value > 0 && memory->swap.value > 0 && memory->swap.value < memory->limit.value)
		return oci_bad(reterr, "is below the memory limit, which it includes", "%s.memory.swap", path);
	return 0;
}

static bool is_weight(const struct json_opt_int *weight)
{
	return !weight->set || weight->value == 0 || (weight->value >= 10 && weight->value <= 1000);
}

static int check_throttles(const char *path, const char *name, const struct oci_block_throttle *devices, size_t count,
	struct err **reterr)
{
	for (size_t i = 0; i < count; i++)
		if (!is_device_number(devices[i].major, 0) || !is_device_number(devices[i].minor, 0))
			return oci_bad(reterr, "has a number out of range", "%s.blockIO.%s[%zu]", path, name, i);
	return 0;
}

static int check_block_io(const struct oci_block_io *io, const char *path, struct err **reterr)
{
	if (!is_weight(&io->weight) || !is_weight(&io->leaf_weight))
		return oci_bad(reterr, "is not between 10 and 1000", "%s.blockIO.weight", path);
	for (size_t i = 0; i < io->weight_device_count; i++) {
		const struct oci_block_weight *device = &io->weight_device[i];
		if (!is_device_number(device->major, 0) || !is_device_number(device->minor, 0))
			return oci_bad(reterr, "has a number out of range", "%s.blockIO.weightDevice[%zu]", path, i);
		if (!is_weight(&device->weight) || !is_weight(&device->leaf_weight))
			return oci_bad(reterr, "is not between 10 and 1000", "%s.blockIO.weightDevice[%zu].weight",
				path, i);
	}
	int r = check_throttles(path, "throttleReadBpsDevice", io->throttle_read_bps, io->throttle_read_bps_count,
		reterr);
	if (r == 0)
		r = check_throttles(path, "throttleWriteBpsDevice", io->throttle_write_bps,
			io->throttle_write_bps_count, reterr);
	if (r == 0)
		r = check_throttles(path, "throttleReadIOPSDevice", io->throttle_read_iops,
			io->throttle_read_iops_count, reterr);
	if (r == 0)
		r = check_throttles(path, "throttleWriteIOPSDevice", io->throttle_write_iops,
			io->throttle_write_iops_count, reterr);
	return r;
}

/* [1-9][0-9]*[KMG]B */
static bool is_page_size(const char *size)
{
	size_t digits = strspn(size, "0123456789");
	return digits && size[0] != '0' && size[digits] && strchr("KMG", size[digits]) &&
	       strcmp(size + digits + 1, "B") == 0;
}

/* A file's name in the group's folder, and what goes into it. */
static int check_unified(const struct map *unified, const char *path, struct err **reterr)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-";
	struct map_entry *entry;
	if (!unified)
		return 0;
	map_foreach (entry, unified) {
		const char *dot = strchr(entry->key, '.');
		if (!dot || dot == entry->key || entry->key[strspn(entry->key, allowed)])
			return oci_bad(reterr, "has a name that is no control file", "%s.unified", path);
	}
	return 0;
}

static int check_network_class(const struct oci_network_class *network, const char *path, struct err **reterr)
{
	if (network->class_id.value < 0 || network->class_id.value > UINT32_MAX)
		return oci_bad(reterr, "is out of range", "%s.network.classID", path);
	for (size_t i = 0; i < network->priority_count; i++) {
		const struct oci_network_priority *priority = &network->priorities[i];
		if (!is_interface_name(priority->name))
			return oci_bad(reterr, "is no interface", "%s.network.priorities[%zu].name", path, i);
		if (priority->priority < 0 || priority->priority > UINT32_MAX)
			return oci_bad(reterr, "is out of range", "%s.network.priorities[%zu].priority", path, i);
	}
	return 0;
}

static int check_rdma(const struct map *rdma, const char *path, struct err **reterr)
{
	struct map_entry *entry;
	if (!rdma)
		return 0;
	map_foreach (entry, rdma) {
		const struct oci_rdma *limits = entry->value;
		if (!*entry->key || strpbrk(entry->key, "/ ") || !oci_is_one_line(entry->key))
			return oci_bad(reterr, "has a name that is no device", "%s.rdma", path);
		if (limits->hca_handles.value < 0 || limits->hca_handles.value > UINT32_MAX ||
			limits->hca_objects.value < 0 || limits->hca_objects.value > UINT32_MAX)
			return oci_bad(reterr, "has a number out of range", "%s.rdma.%s", path, entry->key);
	}
	return 0;
}

int oci_resources_validate(const struct oci_resources *resources, const char *path, struct err **reterr)
{
	for (size_t i = 0; i < resources->hugepage_limit_count; i++)
		if (!is_page_size(resources->hugepage_limits[i].page_size))
			return oci_bad(reterr, "is no page size", "%s.hugepageLimits[%zu].pageSize", path, i);
	if (resources->pids.limit.value < -1)
		return oci_bad(reterr, "is below -1", "%s.pids.limit", path);

	int r = check_device_rules(resources, path, reterr);
	if (r == 0)
		r = check_cpu(&resources->cpu, path, reterr);
	if (r == 0)
		r = check_memory(&resources->memory, path, reterr);
	if (r == 0)
		r = check_block_io(&resources->block_io, path, reterr);
	if (r == 0)
		r = check_unified(resources->unified, path, reterr);
	if (r == 0)
		r = check_network_class(&resources->network, path, reterr);
	return r < 0 ? r : check_rdma(resources->rdma, path, reterr);
}

/* --- devices and paths --- */

static int check_devices(const struct oci_linux *config, struct err **reterr)
{
	for (size_t i = 0; i < config->device_count; i++) {
		const struct oci_device *device = &config->devices[i];
		if (!OCI_IS_ONE_OF(device->type, "b", "c", "u", "p"))
			return oci_bad(reterr, "is not b, c, u or p", "linux.devices[%zu].type", i);
		if (!oci_is_absolute(device->path) || !oci_has_no_dotdot(device->path))
			return oci_bad(reterr, "is not an absolute path without ..", "linux.devices[%zu].path", i);
		if (!is_device_number(device->major, 0) || !is_device_number(device->minor, 0))
			return oci_bad(reterr, "has a number out of range", "linux.devices[%zu]", i);
		/* Podman gives the mode of a file of its own, kind and all. */
		if (device->file_mode.set &&
			(device->file_mode.value < 0 || device->file_mode.value > (S_IFMT | 07777)))
			return oci_bad(reterr, "is not a file's mode", "linux.devices[%zu].fileMode", i);
		if ((device->uid.set && !oci_is_id(device->uid.value)) ||
			(device->gid.set && !oci_is_id(device->gid.value)))
			return oci_bad(reterr, "has an owner that is not between 0 and 4294967294",
				"linux.devices[%zu]", i);
	}
	return 0;
}

static int check_path_list(const char *name, char *const *paths, struct err **reterr)
{
	size_t i = 0;
	strv_foreach (path, paths) {
		if (!oci_is_absolute(*path))
			return oci_bad(reterr, "is not an absolute path", "linux.%s[%zu]", name, i);
		i++;
	}
	return 0;
}

static int check_paths(const struct oci_linux *config, struct err **reterr)
{
	const char *group = config->cgroups_path;
	if (group && (!oci_has_no_dotdot(group) || !oci_is_one_line(group)))
		return oci_bad(reterr, "has .. or a control character", "linux.cgroupsPath");
	const char *propagation = config->rootfs_propagation;
	if (propagation && *propagation &&
		!OCI_IS_ONE_OF(propagation, "private", "rprivate", "shared", "rshared", "slave", "rslave", "unbindable",
			"runbindable"))
		return oci_bad(reterr, "is no kind of propagation", "linux.rootfsPropagation");
	if (config->mount_label && !oci_is_one_line(config->mount_label))
		return oci_bad(reterr, "has a control character", "linux.mountLabel");
	int r = check_path_list("maskedPaths", config->masked_paths, reterr);
	return r < 0 ? r : check_path_list("readonlyPaths", config->readonly_paths, reterr);
}

/* --- seccomp --- */

static bool is_action(const char *action)
{
	return OCI_IS_ONE_OF(action, "SCMP_ACT_KILL", "SCMP_ACT_KILL_PROCESS", "SCMP_ACT_KILL_THREAD", "SCMP_ACT_TRAP",
		"SCMP_ACT_ERRNO", "SCMP_ACT_TRACE", "SCMP_ACT_ALLOW", "SCMP_ACT_LOG", "SCMP_ACT_NOTIFY");
}

static bool is_errno(const struct json_opt_int *errno_ret)
{
	return !errno_ret->set || (errno_ret->value >= 0 && errno_ret->value <= ERRNO_MAX);
}

static int check_syscall(const struct oci_seccomp_syscall *rule, size_t at, struct err **reterr)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyz_0123456789";
	if (!rule->names[0])
		return oci_bad(reterr, "must not be empty", "linux.seccomp.syscalls[%zu].names", at);
	strv_foreach (name, rule->names)
		if (!**name || (*name)[strspn(*name, allowed)])
			return oci_bad(reterr, "has a name that is no system call", "linux.seccomp.syscalls[%zu].names",
				at);
	if (!is_action(rule->action))
		return oci_bad(reterr, "is no action", "linux.seccomp.syscalls[%zu].action", at);
	if (!is_errno(&rule->errno_ret))
		return oci_bad(reterr, "is no error number", "linux.seccomp.syscalls[%zu].errnoRet", at);
	for (size_t i = 0; i < rule->arg_count; i++) {
		const struct oci_seccomp_arg *arg = &rule->args[i];
		if (arg->index < 0 || arg->index > 5)
			return oci_bad(reterr, "is not between 0 and 5", "linux.seccomp.syscalls[%zu].args[%zu].index",
				at, i);
		if (!OCI_IS_ONE_OF(arg->op, "SCMP_CMP_NE", "SCMP_CMP_LT", "SCMP_CMP_LE", "SCMP_CMP_EQ", "SCMP_CMP_GE",
			    "SCMP_CMP_GT", "SCMP_CMP_MASKED_EQ"))
			return oci_bad(reterr, "is no comparison", "linux.seccomp.syscalls[%zu].args[%zu].op", at, i);
	}
	return 0;
}

int oci_seccomp_validate(const struct oci_seccomp *seccomp, struct err **reterr)
{
	if (!is_action(seccomp->default_action))
		return oci_bad(reterr, "is no action", "linux.seccomp.defaultAction");
	if (!is_errno(&seccomp->default_errno_ret))
		return oci_bad(reterr, "is no error number", "linux.seccomp.defaultErrnoRet");
	strv_foreach (flag, seccomp->flags)
		if (!OCI_IS_ONE_OF(*flag, "SECCOMP_FILTER_FLAG_TSYNC", "SECCOMP_FILTER_FLAG_LOG",
			    "SECCOMP_FILTER_FLAG_SPEC_ALLOW", "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"))
			return oci_bad(reterr, "has a word that is no flag", "linux.seccomp.flags");
	strv_foreach (architecture, seccomp->architectures)
		if (strncmp(*architecture, "SCMP_ARCH_", 10) != 0)
			return oci_bad(reterr, "has a word that is no architecture", "linux.seccomp.architectures");
	if (seccomp->listener_path && *seccomp->listener_path && !oci_is_absolute(seccomp->listener_path))
		return oci_bad(reterr, "is not an absolute path", "linux.seccomp.listenerPath");
	for (size_t i = 0; i < seccomp->syscall_count; i++) {
		int r = check_syscall(&seccomp->syscalls[i], i, reterr);
		if (r < 0)
			return r;
	}
	return 0;
}

/* --- the small ones --- */

static int check_intel_rdt(const struct oci_intel_rdt *rdt, struct err **reterr)
{
	if (!rdt)
		return 0;
	const char *id = rdt->clos_id;
	bool is_root = id && strcmp(id, "/") == 0;
	if (id && !is_root &&
		(!oci_is_one_line(id) || strchr(id, '/') || strcmp(id, ".") == 0 || strcmp(id, "..") == 0))
		return oci_bad(reterr, "is not a folder's name", "linux.intelRdt.closID");
	if (rdt->l3_cache_schema && strstr(rdt->l3_cache_schema, "MB:"))
		return oci_bad(reterr, "has a line for memory bandwidth", "linux.intelRdt.l3CacheSchema");
	if (rdt->mem_bw_schema && (strncmp(rdt->mem_bw_schema, "MB:", 3) != 0 || !oci_is_one_line(rdt->mem_bw_schema)))
		return oci_bad(reterr, "is not one line that begins with MB:", "linux.intelRdt.memBwSchema");
	return 0;
}

/* Two modes take no nodes, three need some. The words are runc's. */
static int check_memory_nodes(const struct oci_memory_policy *policy, struct err **reterr)
{
	unsigned long nodes[MEMORY_NODES_MAX / (8 * sizeof(unsigned long))] = { 0 };
	unsigned count = 0;

	if (policy->nodes && oci_number_list_bits(policy->nodes, nodes, MEMORY_NODES_MAX) < 0)
		return oci_bad(reterr, "invalid memory policy nodes", "linux.memoryPolicy.nodes");
	for (size_t i = 0; i < ARRAY_SIZE(nodes); i++)
		count += (unsigned)__builtin_popcountl(nodes[i]);
	if (count && OCI_IS_ONE_OF(policy->mode, "MPOL_DEFAULT", "MPOL_LOCAL"))
		return err_set(reterr, ERR_INVALID, 0, "memory policy mode requires 0 nodes but got %u", count);
	if (!count && !OCI_IS_ONE_OF(policy->mode, "MPOL_DEFAULT", "MPOL_LOCAL", "MPOL_PREFERRED"))
		return err_set(reterr, ERR_INVALID, 0, "memory policy mode requires at least one node but got 0");
	return 0;
}

static int check_memory_policy(const struct oci_memory_policy *policy, struct err **reterr)
{
	if (!policy)
		return 0;
	if (!OCI_IS_ONE_OF(policy->mode, "MPOL_DEFAULT", "MPOL_BIND", "MPOL_INTERLEAVE", "MPOL_WEIGHTED_INTERLEAVE",
		    "MPOL_PREFERRED", "MPOL_PREFERRED_MANY", "MPOL_LOCAL"))
		return oci_bad(reterr, "invalid memory policy mode", "linux.memoryPolicy.mode");
	strv_foreach (flag, policy->flags)
		if (!OCI_IS_ONE_OF(*flag, "MPOL_F_NUMA_BALANCING", "MPOL_F_RELATIVE_NODES", "MPOL_F_STATIC_NODES"))
			return oci_bad(reterr, "invalid memory policy flag", "linux.memoryPolicy.flags");
	return check_memory_nodes(policy, reterr);
}

static int check_personality(const struct oci_personality *personality, struct err **reterr)
{
	if (!personality)
		return 0;
	if (!OCI_IS_ONE_OF(personality->domain, "LINUX", "LINUX32"))
		return oci_bad(reterr, "is neither LINUX nor LINUX32", "linux.personality.domain");
	if (personality->flags && personality->flags[0])
		return oci_bad(reterr, "is not supported", "linux.personality.flags");
	return 0;
}

int oci_linux_check(const struct oci_spec *spec, struct err **reterr)
{
	static int (*const whole[])(const struct oci_spec *, struct err **) = { check_user_namespace,
		check_time_offsets, check_net_devices, check_sysctls };
	const struct oci_linux *config = &spec->linux_config;

	int r = check_namespaces(config, reterr);
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(whole); i++)
		r = whole[i](spec, reterr);
	if (r == 0)
		r = check_devices(config, reterr);
	if (r == 0 && config->resources)
		r = oci_resources_validate(config->resources, "linux.resources", reterr);
	if (r == 0)
		r = check_paths(config, reterr);
	if (r == 0 && config->seccomp)
		r = oci_seccomp_validate(config->seccomp, reterr);
	if (r == 0)
		r = check_intel_rdt(config->intel_rdt, reterr);
	if (r == 0)
		r = check_memory_policy(config->memory_policy, reterr);
	return r < 0 ? r : check_personality(config->personality, reterr);
}
