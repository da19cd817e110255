#include "spec/oci_runtime.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const struct json_field oci_id_mapping_fields[] = {
	JSON_FIELD(struct oci_id_mapping, container_id, "containerID", JSON_INT, .flags = JSON_REQUIRED),
	JSON_FIELD(struct oci_id_mapping, host_id, "hostID", JSON_INT, .flags = JSON_REQUIRED),
	JSON_FIELD(struct oci_id_mapping, size, "size", JSON_INT, .flags = JSON_REQUIRED),
};
static const struct json_table oci_id_mapping_table = JSON_TABLE(struct oci_id_mapping, oci_id_mapping_fields);

static const struct json_field oci_user_fields[] = {
	JSON_FIELD(struct oci_user, uid, "uid", JSON_INT),
	JSON_FIELD(struct oci_user, gid, "gid", JSON_INT),
	JSON_FIELD(struct oci_user, umask, "umask", JSON_OPT_INT, .flags = JSON_OMITEMPTY),
	JSON_FIELD_ARRAY(struct oci_user, additional_gids, additional_gid_count, "additionalGids", JSON_INTS,
		.flags = JSON_OMITEMPTY),
	JSON_FIELD(struct oci_user, username, "username", JSON_STRING_FIELD, .flags = JSON_OMITEMPTY),
};
static const struct json_table oci_user_table = JSON_TABLE(struct oci_user, oci_user_fields);

static const struct json_field oci_console_size_fields[] = {
	JSON_FIELD(struct oci_console_size, height, "height", JSON_INT),
	JSON_FIELD(struct oci_console_size, width, "width", JSON_INT),
};
static const struct json_table oci_console_size_table = JSON_TABLE(struct oci_console_size, oci_console_size_fields);

static const struct json_field oci_capabilities_fields[] = {
	JSON_FIELD(struct oci_capabilities, bounding, "bounding", JSON_STRV, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct oci_capabilities, effective, "effective", JSON_STRV, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct oci_capabilities, inheritable, "inheritable", JSON_STRV, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct oci_capabilities, permitted, "permitted", JSON_STRV, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct oci_capabilities, ambient, "ambient", JSON_STRV, .flags = JSON_OMITEMPTY),
};
static const struct json_table oci_capabilities_table = JSON_TABLE(struct oci_capabilities, oci_capabilities_fields);

static const struct json_field oci_rlimit_fields[] = {
	JSON_FIELD(struct oci_rlimit, type, "type", JSON_STRING_FIELD, .flags = JSON_REQUIRED),
	JSON_FIELD(struct oci_rlimit, hard, "hard", JSON_UINT),
	JSON_FIELD(struct oci_rlimit, soft, "soft", JSON_UINT),
};
static const struct json_table oci_rlimit_table = JSON_TABLE(struct oci_rlimit, oci_rlimit_fields);

static const struct json_field oci_scheduler_fields[] = {
	JSON_FIELD(struct oci_scheduler, policy, "policy", JSON_STRING_FIELD, .flags = JSON_REQUIRED),
	JSON_FIELD(struct oci_scheduler, nice, "nice", JSON_OPT_INT, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct oci_scheduler, priority, "priority", JSON_OPT_INT, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct oci_scheduler, flags, "flags", JSON_STRV, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct oci_scheduler, runtime, "runtime", JSON_OPT_INT, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct oci_scheduler, deadline, "deadline", JSON_OPT_INT, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct oci_scheduler, period, "period", JSON_OPT_INT, .flags = JSON_OMITEMPTY),
};
static const struct json_table oci_scheduler_table = JSON_TABLE(struct oci_scheduler, oci_scheduler_fields);

static const struct json_field oci_io_priority_fields[] = {
	JSON_FIELD(struct oci_io_priority, io_class, "class", JSON_STRING_FIELD, .flags = JSON_REQUIRED),
	JSON_FIELD(struct oci_io_priority, priority, "priority", JSON_INT),
};
static const struct json_table oci_io_priority_table = JSON_TABLE(struct oci_io_priority, oci_io_priority_fields);

static const struct json_field oci_cpu_affinity_fields[] = {
	JSON_FIELD(struct oci_cpu_affinity, initial, "initial", JSON_STRING_FIELD, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct oci_cpu_affinity, final, "final", JSON_STRING_FIELD, .flags = JSON_OMITEMPTY),
};
static const struct json_table oci_cpu_affinity_table = JSON_TABLE(struct oci_cpu_affinity, oci_cpu_affinity_fields);

static const struct json_field oci_process_fields[] = {
	JSON_FIELD(struct oci_process, terminal, "terminal", JSON_BOOL_FIELD, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct oci_process, console_size, "consoleSize", JSON_OBJECT_PTR, .table = &oci_console_size_table,
		.flags = JSON_OMITEMPTY),
	JSON_FIELD(struct oci_process, user, "user", JSON_OBJECT_FIELD, .table = &oci_user_table),
	JSON_FIELD(struct oci_process, args, "args", JSON_STRV, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct oci_process, env, "env", JSON_STRV, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct oci_process, cwd, "cwd", JSON_STRING_FIELD, .flags = JSON_REQUIRED),
	JSON_FIELD(struct oci_process, capabilities, "capabilities", JSON_OBJECT_PTR, .table = &oci_capabilities_table,
		.flags = JSON_OMITEMPTY),
	JSON_FIELD_ARRAY(struct oci_process, rlimits, rlimit_count, "rlimits", JSON_OBJECTS, .table = &oci_rlimit_table,
		.flags = JSON_OMITEMPTY),
	JSON_FIELD(struct oci_process, no_new_privileges, "noNewPrivileges", JSON_BOOL_FIELD, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct oci_process, apparmor_profile, "apparmorProfile", JSON_STRING_FIELD, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct oci_process, oom_score_adj, "oomScoreAdj", JSON_OPT_INT, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct oci_process, selinux_label, "selinuxLabel", JSON_STRING_FIELD, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct oci_process, scheduler, "scheduler", JSON_OBJECT_PTR, .table = &oci_scheduler_table,
		.flags = JSON_OMITEMPTY),
	JSON_FIELD(struct oci_process, io_priority, "ioPriority", JSON_OBJECT_PTR, .table = &oci_io_priority_table,
		.flags = JSON_OMITEMPTY),
	JSON_FIELD(struct oci_process, exec_cpu_affinity, "execCPUAffinity", JSON_OBJECT_PTR,
		.table = &oci_cpu_affinity_table, .flags = JSON_OMITEMPTY),
};
const struct json_table oci_process_table = JSON_TABLE(struct oci_process, oci_process_fields);

static const struct json_field oci_root_fields[] = {
	JSON_FIELD(struct oci_root, path, "path", JSON_STRING_FIELD, .flags = JSON_REQUIRED),
	JSON_FIELD(struct oci_root, readonly, "readonly", JSON_BOOL_FIELD, .flags = JSON_OMITEMPTY),
};
static const struct json_table oci_root_table = JSON_TABLE(struct oci_root, oci_root_fields);

static const struct json_field oci_mount_fields[] = {
	JSON_FIELD(struct oci_mount, destination, "destination", JSON_STRING_FIELD, .flags = JSON_REQUIRED),
	JSON_FIELD(struct oci_mount, type, "type", JSON_STRING_FIELD, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct oci_mount, source, "source", JSON_STRING_FIELD, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct oci_mount, options, "options", JSON_STRV, .flags = JSON_OMITEMPTY),
	JSON_FIELD_ARRAY(struct oci_mount, uid_mappings, uid_mapping_count, "uidMappings", JSON_OBJECTS,
		.table = &oci_id_mapping_table, .flags = JSON_OMITEMPTY),
	JSON_FIELD_ARRAY(struct oci_mount, gid_mappings, gid_mapping_count, "gidMappings", JSON_OBJECTS,
		.table = &oci_id_mapping_table, .flags = JSON_OMITEMPTY),
};
static const struct json_table oci_mount_table = JSON_TABLE(struct oci_mount, oci_mount_fields);

static const struct json_field oci_hook_fields[] = {
	JSON_FIELD(struct oci_hook, path, "path", JSON_STRING_FIELD, .flags = JSON_REQUIRED),
	JSON_FIELD(struct oci_hook, args, "args", JSON_STRV, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct oci_hook, env, "env", JSON_STRV, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct oci_hook, timeout_s, "timeout", JSON_OPT_INT, .flags = JSON_OMITEMPTY),
};
static const struct json_table oci_hook_table = JSON_TABLE(struct oci_hook, oci_hook_fields);

static const struct json_field oci_hooks_fields[] = {
	JSON_FIELD_ARRAY(struct oci_hooks, prestart, prestart_count, "prestart", JSON_OBJECTS, .table = &oci_hook_table,
		.flags = JSON_OMITEMPTY),
	JSON_FIELD_ARRAY(struct oci_hooks, create_runtime, create_runtime_count, "createRuntime", JSON_OBJECTS,
		.table = &oci_hook_table, .flags = JSON_OMITEMPTY),
	JSON_FIELD_ARRAY(struct oci_hooks, create_container, create_container_count, "createContainer", JSON_OBJECTS,
		.table = &oci_hook_table, .flags = JSON_OMITEMPTY),
	JSON_FIELD_ARRAY(struct oci_hooks, start_container, start_container_count, "startContainer", JSON_OBJECTS,
		.table = &oci_hook_table, .flags = JSON_OMITEMPTY),
	JSON_FIELD_ARRAY(struct oci_hooks, poststart, poststart_count, "poststart", JSON_OBJECTS,
		.table = &oci_hook_table, .flags = JSON_OMITEMPTY),
	JSON_FIELD_ARRAY(struct oci_hooks, poststop, poststop_count, "poststop", JSON_OBJECTS, .table = &oci_hook_table,
		.flags = JSON_OMITEMPTY),
};
static const struct json_table oci_hooks_table = JSON_TABLE(struct oci_hooks, oci_hooks_fields);

static const struct json_field oci_namespace_fields[] = {
	JSON_FIELD(struct oci_namespace, type, "type", JSON_STRING_FIELD, .flags = JSON_REQUIRED),
	JSON_FIELD(struct oci_namespace, path, "path", JSON_STRING_FIELD, .flags = JSON_OMITEMPTY),
};
static const struct json_table oci_namespace_table = JSON_TABLE(struct oci_namespace, oci_namespace_fields);

static const struct json_field oci_device_fields[] = {
	JSON_FIELD(struct oci_device, type, "type", JSON_STRING_FIELD, .flags = JSON_REQUIRED),
	JSON_FIELD(struct oci_device, path, "path", JSON_STRING_FIELD, .flags = JSON_REQUIRED),
	JSON_FIELD(struct oci_device, major, "major", JSON_INT),
	JSON_FIELD(struct oci_device, minor, "minor", JSON_INT),
	JSON_FIELD(struct oci_device, file_mode, "fileMode", JSON_OPT_INT, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct oci_device, uid, "uid", JSON_OPT_INT, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct oci_device, gid, "gid", JSON_OPT_INT, .flags = JSON_OMITEMPTY),
};
static const struct json_table oci_device_table = JSON_TABLE(struct oci_device, oci_device_fields);

static const struct json_field oci_device_rule_fields[] = {
	JSON_FIELD(struct oci_device_rule, allow, "allow", JSON_BOOL_FIELD),
	JSON_FIELD(struct oci_device_rule, type, "type", JSON_STRING_FIELD, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct oci_device_rule, major, "major", JSON_OPT_INT, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct oci_device_rule, minor, "minor", JSON_OPT_INT, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct oci_device_rule, access, "access", JSON_STRING_FIELD, .flags = JSON_OMITEMPTY),
};
static const struct json_table oci_device_rule_table = JSON_TABLE(struct oci_device_rule, oci_device_rule_fields);

static const struct json_field oci_pids_fields[] = {
	JSON_FIELD(struct oci_pids, limit, "limit", JSON_OPT_INT, .flags = JSON_OMITEMPTY),
};
static const struct json_table oci_pids_table = JSON_TABLE(struct oci_pids, oci_pids_fields);

static const struct json_field oci_memory_fields[] = {
	JSON_FIELD(struct oci_memory, limit, "limit", JSON_OPT_INT, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct oci_memory, reservation, "reservation", JSON_OPT_INT, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct oci_memory, swap, "swap", JSON_OPT_INT, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct oci_memory, kernel, "kernel", JSON_OPT_INT, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct oci_memory, kernel_tcp, "kernelTCP", JSON_OPT_INT, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct oci_memory, swappiness, "swappiness", JSON_OPT_INT, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct oci_memory, disable_oom_killer, "disableOOMKiller", JSON_OPT_BOOL, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct oci_memory, use_hierarchy, "useHierarchy", JSON_OPT_BOOL, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct oci_memory, check_before_update, "checkBeforeUpdate", JSON_OPT_BOOL, .flags = JSON_OMITEMPTY),
};
static const struct json_table oci_memory_table = JSON_TABLE(struct oci_memory, oci_memory_fields);

static const struct json_field oci_cpu_fields[] = {
	JSON_FIELD(struct oci_cpu, shares, "shares", JSON_OPT_INT, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct oci_cpu, quota, "quota", JSON_OPT_INT, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct oci_cpu, burst, "burst", JSON_OPT_INT, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct oci_cpu, period, "period", JSON_OPT_INT, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct oci_cpu, realtime_runtime, "realtimeRuntime", JSON_OPT_INT, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct oci_cpu, realtime_period, "realtimePeriod", JSON_OPT_INT, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct oci_cpu, cpus, "cpus", JSON_STRING_FIELD, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct oci_cpu, mems, "mems", JSON_STRING_FIELD, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct oci_cpu, idle, "idle", JSON_OPT_INT, .flags = JSON_OMITEMPTY),
};
static const struct json_table oci_cpu_table = JSON_TABLE(struct oci_cpu, oci_cpu_fields);

static const struct json_field oci_block_weight_fields[] = {
	JSON_FIELD(struct oci_block_weight, major, "major", JSON_INT),
	JSON_FIELD(struct oci_block_weight, minor, "minor", JSON_INT),
	JSON_FIELD(struct oci_block_weight, weight, "weight", JSON_OPT_INT, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct oci_block_weight, leaf_weight, "leafWeight", JSON_OPT_INT, .flags = JSON_OMITEMPTY),
};
static const struct json_table oci_block_weight_table = JSON_TABLE(struct oci_block_weight, oci_block_weight_fields);

static const struct json_field oci_block_throttle_fields[] = {
	JSON_FIELD(struct oci_block_throttle, major, "major", JSON_INT),
	JSON_FIELD(struct oci_block_throttle, minor, "minor", JSON_INT),
	JSON_FIELD(struct oci_block_throttle, rate, "rate", JSON_UINT),
};
static const struct json_table oci_block_throttle_table = JSON_TABLE(struct oci_block_throttle,
	oci_block_throttle_fields);

static const struct json_field oci_block_io_fields[] = {
	JSON_FIELD(struct oci_block_io, weight, "weight", JSON_OPT_INT, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct oci_block_io, leaf_weight, "leafWeight", JSON_OPT_INT, .flags = JSON_OMITEMPTY),
	JSON_FIELD_ARRAY(struct oci_block_io, weight_device, weight_device_count, "weightDevice", JSON_OBJECTS,
		.table = &oci_block_weight_table, .flags = JSON_OMITEMPTY),
	JSON_FIELD_ARRAY(struct oci_block_io, throttle_read_bps, throttle_read_bps_count, "throttleReadBpsDevice",
		JSON_OBJECTS, .table = &oci_block_throttle_table, .flags = JSON_OMITEMPTY),
	JSON_FIELD_ARRAY(struct oci_block_io, throttle_write_bps, throttle_write_bps_count, "throttleWriteBpsDevice",
		JSON_OBJECTS, .table = &oci_block_throttle_table, .flags = JSON_OMITEMPTY),
	JSON_FIELD_ARRAY(struct oci_block_io, throttle_read_iops, throttle_read_iops_count, "throttleReadIOPSDevice",
		JSON_OBJECTS, .table = &oci_block_throttle_table, .flags = JSON_OMITEMPTY),
	JSON_FIELD_ARRAY(struct oci_block_io, throttle_write_iops, throttle_write_iops_count, "throttleWriteIOPSDevice",
		JSON_OBJECTS, .table = &oci_block_throttle_table, .flags = JSON_OMITEMPTY),
};
static const struct json_table oci_block_io_table = JSON_TABLE(struct oci_block_io, oci_block_io_fields);

static const struct json_field oci_hugepage_limit_fields[] = {
	JSON_FIELD(struct oci_hugepage_limit, page_size, "pageSize", JSON_STRING_FIELD, .flags = JSON_REQUIRED),
	JSON_FIELD(struct oci_hugepage_limit, limit, "limit", JSON_UINT),
};
static const struct json_table oci_hugepage_limit_table = JSON_TABLE(struct oci_hugepage_limit,
	oci_hugepage_limit_fields);

static const struct json_field oci_network_priority_fields[] = {
	JSON_FIELD(struct oci_network_priority, name, "name", JSON_STRING_FIELD, .flags = JSON_REQUIRED),
	JSON_FIELD(struct oci_network_priority, priority, "priority", JSON_INT),
};
static const struct json_table oci_network_priority_table = JSON_TABLE(struct oci_network_priority,
	oci_network_priority_fields);

static const struct json_field oci_network_class_fields[] = {
	JSON_FIELD(struct oci_network_class, class_id, "classID", JSON_OPT_INT, .flags = JSON_OMITEMPTY),
	JSON_FIELD_ARRAY(struct oci_network_class, priorities, priority_count, "priorities", JSON_OBJECTS,
		.table = &oci_network_priority_table, .flags = JSON_OMITEMPTY),
};
static const struct json_table oci_network_class_table = JSON_TABLE(struct oci_network_class, oci_network_class_fields);

static const struct json_field oci_rdma_fields[] = {
	JSON_FIELD(struct oci_rdma, hca_handles, "hcaHandles", JSON_OPT_INT, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct oci_rdma, hca_objects, "hcaObjects", JSON_OPT_INT, .flags = JSON_OMITEMPTY),
};
static const struct json_table oci_rdma_table = JSON_TABLE(struct oci_rdma, oci_rdma_fields);

static const struct json_field oci_resources_fields[] = {
	JSON_FIELD(struct oci_resources, unified, "unified", JSON_STRMAP, .flags = JSON_OMITEMPTY),
	JSON_FIELD_ARRAY(struct oci_resources, devices, device_count, "devices", JSON_OBJECTS,
		.table = &oci_device_rule_table, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct oci_resources, pids, "pids", JSON_OBJECT_FIELD, .table = &oci_pids_table,
		.flags = JSON_OMITEMPTY),
	JSON_FIELD(struct oci_resources, block_io, "blockIO", JSON_OBJECT_FIELD, .table = &oci_block_io_table,
		.flags = JSON_OMITEMPTY),
	JSON_FIELD(struct oci_resources, cpu, "cpu", JSON_OBJECT_FIELD, .table = &oci_cpu_table,
		.flags = JSON_OMITEMPTY),
	JSON_FIELD_ARRAY(struct oci_resources, hugepage_limits, hugepage_limit_count, "hugepageLimits", JSON_OBJECTS,
		.table = &oci_hugepage_limit_table, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct oci_resources, memory, "memory", JSON_OBJECT_FIELD, .table = &oci_memory_table,
		.flags = JSON_OMITEMPTY),
	JSON_FIELD(struct oci_resources, network, "network", JSON_OBJECT_FIELD, .table = &oci_network_class_table,
		.flags = JSON_OMITEMPTY),
	JSON_FIELD(struct oci_resources, rdma, "rdma", JSON_OBJECT_MAP, .table = &oci_rdma_table,
		.flags = JSON_OMITEMPTY),
};
const struct json_table oci_resources_table = JSON_TABLE(struct oci_resources, oci_resources_fields);

static const struct json_field oci_seccomp_arg_fields[] = {
	JSON_FIELD(struct oci_seccomp_arg, index, "index", JSON_INT),
	JSON_FIELD(struct oci_seccomp_arg, value, "value", JSON_UINT),
	JSON_FIELD(struct oci_seccomp_arg, value_two, "valueTwo", JSON_UINT, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct oci_seccomp_arg, op, "op", JSON_STRING_FIELD, .flags = JSON_REQUIRED),
};
const struct json_table oci_seccomp_arg_table = JSON_TABLE(struct oci_seccomp_arg, oci_seccomp_arg_fields);

static const struct json_field oci_seccomp_syscall_fields[] = {
	JSON_FIELD(struct oci_seccomp_syscall, names, "names", JSON_STRV, .flags = JSON_REQUIRED),
	JSON_FIELD(struct oci_seccomp_syscall, action, "action", JSON_STRING_FIELD, .flags = JSON_REQUIRED),
	JSON_FIELD(struct oci_seccomp_syscall, errno_ret, "errnoRet", JSON_OPT_INT, .flags = JSON_OMITEMPTY),
	JSON_FIELD_ARRAY(struct oci_seccomp_syscall, args, arg_count, "args", JSON_OBJECTS,
		.table = &oci_seccomp_arg_table, .flags = JSON_OMITEMPTY),
};
const struct json_table oci_seccomp_syscall_table = JSON_TABLE(struct oci_seccomp_syscall, oci_seccomp_syscall_fields);

static const struct json_field oci_seccomp_fields[] = {
	JSON_FIELD(struct oci_seccomp, default_action, "defaultAction", JSON_STRING_FIELD, .flags = JSON_REQUIRED),
	JSON_FIELD(struct oci_seccomp, default_errno_ret, "defaultErrnoRet", JSON_OPT_INT, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct oci_seccomp, flags, "flags", JSON_STRV), /* none said is not none */
	JSON_FIELD(struct oci_seccomp, listener_path, "listenerPath", JSON_STRING_FIELD, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct oci_seccomp, listener_metadata, "listenerMetadata", JSON_STRING_FIELD,
		.flags = JSON_OMITEMPTY),
	JSON_FIELD(struct oci_seccomp, architectures, "architectures", JSON_STRV, .flags = JSON_OMITEMPTY),
	JSON_FIELD_ARRAY(struct oci_seccomp, syscalls, syscall_count, "syscalls", JSON_OBJECTS,
		.table = &oci_seccomp_syscall_table, .flags = JSON_OMITEMPTY),
};
const struct json_table oci_seccomp_table = JSON_TABLE(struct oci_seccomp, oci_seccomp_fields);

static const struct json_field oci_intel_rdt_fields[] = {
	JSON_FIELD(struct oci_intel_rdt, clos_id, "closID", JSON_STRING_FIELD, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct oci_intel_rdt, schemata, "schemata", JSON_STRV, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct oci_intel_rdt, l3_cache_schema, "l3CacheSchema", JSON_STRING_FIELD, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct oci_intel_rdt, mem_bw_schema, "memBwSchema", JSON_STRING_FIELD, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct oci_intel_rdt, enable_monitoring, "enableMonitoring", JSON_BOOL_FIELD,
		.flags = JSON_OMITEMPTY),
};
static const struct json_table oci_intel_rdt_table = JSON_TABLE(struct oci_intel_rdt, oci_intel_rdt_fields);

static const struct json_field oci_memory_policy_fields[] = {
	JSON_FIELD(struct oci_memory_policy, mode, "mode", JSON_STRING_FIELD, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct oci_memory_policy, nodes, "nodes", JSON_STRING_FIELD, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct oci_memory_policy, flags, "flags", JSON_STRV, .flags = JSON_OMITEMPTY),
};
static const struct json_table oci_memory_policy_table = JSON_TABLE(struct oci_memory_policy, oci_memory_policy_fields);

static const struct json_field oci_personality_fields[] = {
	JSON_FIELD(struct oci_personality, domain, "domain", JSON_STRING_FIELD, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct oci_personality, flags, "flags", JSON_STRV, .flags = JSON_OMITEMPTY),
};
static const struct json_table oci_personality_table = JSON_TABLE(struct oci_personality, oci_personality_fields);

static const struct json_field oci_time_offset_fields[] = {
	JSON_FIELD(struct oci_time_offset, secs, "secs", JSON_INT, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct oci_time_offset, nanosecs, "nanosecs", JSON_INT, .flags = JSON_OMITEMPTY),
};
static const struct json_table oci_time_offset_table = JSON_TABLE(struct oci_time_offset, oci_time_offset_fields);

static const struct json_field oci_net_device_fields[] = {
	JSON_FIELD(struct oci_net_device, name, "name", JSON_STRING_FIELD, .flags = JSON_OMITEMPTY),
};
static const struct json_table oci_net_device_table = JSON_TABLE(struct oci_net_device, oci_net_device_fields);

static const struct json_field oci_linux_fields[] = {
	JSON_FIELD_ARRAY(struct oci_linux, devices, device_count, "devices", JSON_OBJECTS, .table = &oci_device_table,
		.flags = JSON_OMITEMPTY),
	JSON_FIELD(struct oci_linux, net_devices, "netDevices", JSON_OBJECT_MAP, .table = &oci_net_device_table,
		.flags = JSON_OMITEMPTY),
	JSON_FIELD_ARRAY(struct oci_linux, uid_mappings, uid_mapping_count, "uidMappings", JSON_OBJECTS,
		.table = &oci_id_mapping_table, .flags = JSON_OMITEMPTY),
	JSON_FIELD_ARRAY(struct oci_linux, gid_mappings, gid_mapping_count, "gidMappings", JSON_OBJECTS,
		.table = &oci_id_mapping_table, .flags = JSON_OMITEMPTY),
	JSON_FIELD_ARRAY(struct oci_linux, namespaces, namespace_count, "namespaces", JSON_OBJECTS,
		.table = &oci_namespace_table, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct oci_linux, resources, "resources", JSON_OBJECT_PTR, .table = &oci_resources_table,
		.flags = JSON_OMITEMPTY),
	JSON_FIELD(struct oci_linux, cgroups_path, "cgroupsPath", JSON_STRING_FIELD, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct oci_linux, rootfs_propagation, "rootfsPropagation", JSON_STRING_FIELD,
		.flags = JSON_OMITEMPTY),
	JSON_FIELD(struct oci_linux, seccomp, "seccomp", JSON_OBJECT_PTR, .table = &oci_seccomp_table,
		.flags = JSON_OMITEMPTY),
	JSON_FIELD(struct oci_linux, sysctl, "sysctl", JSON_STRMAP, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct oci_linux, masked_paths, "maskedPaths", JSON_STRV, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct oci_linux, readonly_paths, "readonlyPaths", JSON_STRV, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct oci_linux, mount_label, "mountLabel", JSON_STRING_FIELD, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct oci_linux, intel_rdt, "intelRdt", JSON_OBJECT_PTR, .table = &oci_intel_rdt_table,
		.flags = JSON_OMITEMPTY),
	JSON_FIELD(struct oci_linux, memory_policy, "memoryPolicy", JSON_OBJECT_PTR, .table = &oci_memory_policy_table,
		.flags = JSON_OMITEMPTY),
	JSON_FIELD(struct oci_linux, personality, "personality", JSON_OBJECT_PTR, .table = &oci_personality_table,
		.flags = JSON_OMITEMPTY),
	JSON_FIELD(struct oci_linux, time_offsets, "timeOffsets", JSON_OBJECT_MAP, .table = &oci_time_offset_table,
		.flags = JSON_OMITEMPTY),
};
static const struct json_table oci_linux_table = JSON_TABLE(struct oci_linux, oci_linux_fields);

static const struct json_field oci_spec_fields[] = {
	JSON_FIELD(struct oci_spec, version, "ociVersion", JSON_STRING_FIELD, .flags = JSON_REQUIRED),
	JSON_FIELD(struct oci_spec, process, "process", JSON_OBJECT_PTR, .table = &oci_process_table,
		.flags = JSON_OMITEMPTY),
	JSON_FIELD(struct oci_spec, root, "root", JSON_OBJECT_PTR, .table = &oci_root_table, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct oci_spec, hostname, "hostname", JSON_STRING_FIELD, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct oci_spec, domainname, "domainname", JSON_STRING_FIELD, .flags = JSON_OMITEMPTY),
	JSON_FIELD_ARRAY(struct oci_spec, mounts, mount_count, "mounts", JSON_OBJECTS, .table = &oci_mount_table,
		.flags = JSON_OMITEMPTY),
	JSON_FIELD(struct oci_spec, hooks, "hooks", JSON_OBJECT_FIELD, .table = &oci_hooks_table,
		.flags = JSON_OMITEMPTY),
	JSON_FIELD(struct oci_spec, annotations, "annotations", JSON_STRMAP, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct oci_spec, linux_config, "linux", JSON_OBJECT_FIELD, .table = &oci_linux_table,
		.flags = JSON_OMITEMPTY),
};
const struct json_table oci_spec_table = JSON_TABLE(struct oci_spec, oci_spec_fields);

static const struct json_field oci_state_fields[] = {
	JSON_FIELD(struct oci_state, version, "ociVersion", JSON_STRING_FIELD, .flags = JSON_REQUIRED),
	JSON_FIELD(struct oci_state, id, "id", JSON_STRING_FIELD, .flags = JSON_REQUIRED),
	JSON_FIELD(struct oci_state, pid, "pid", JSON_INT),
	JSON_FIELD(struct oci_state, status, "status", JSON_STRING_FIELD, .flags = JSON_REQUIRED),
	JSON_FIELD(struct oci_state, bundle, "bundle", JSON_STRING_FIELD, .flags = JSON_REQUIRED),
	JSON_FIELD(struct oci_state, annotations, "annotations", JSON_STRMAP, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct oci_state, rootfs, "rootfs", JSON_STRING_FIELD, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct oci_state, created, "created", JSON_STRING_FIELD, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct oci_state, owner, "owner", JSON_STRING_FIELD, .flags = JSON_OMITEMPTY),
};
const struct json_table oci_state_table = JSON_TABLE(struct oci_state, oci_state_fields);

static const struct json_field oci_features_cgroup_fields[] = {
	JSON_FIELD(struct oci_features_cgroup, v1, "v1", JSON_OPT_BOOL, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct oci_features_cgroup, v2, "v2", JSON_OPT_BOOL, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct oci_features_cgroup, systemd, "systemd", JSON_OPT_BOOL, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct oci_features_cgroup, systemd_user, "systemdUser", JSON_OPT_BOOL, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct oci_features_cgroup, rdma, "rdma", JSON_OPT_BOOL, .flags = JSON_OMITEMPTY),
};
static const struct json_table oci_features_cgroup_table = JSON_TABLE(struct oci_features_cgroup,
	oci_features_cgroup_fields);

static const struct json_field oci_features_seccomp_fields[] = {
	JSON_FIELD(struct oci_features_seccomp, enabled, "enabled", JSON_OPT_BOOL, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct oci_features_seccomp, actions, "actions", JSON_STRV, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct oci_features_seccomp, operators, "operators", JSON_STRV, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct oci_features_seccomp, archs, "archs", JSON_STRV, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct oci_features_seccomp, known_flags, "knownFlags", JSON_STRV, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct oci_features_seccomp, supported_flags, "supportedFlags", JSON_STRV, .flags = JSON_OMITEMPTY),
};
static const struct json_table oci_features_seccomp_table = JSON_TABLE(struct oci_features_seccomp,
	oci_features_seccomp_fields);

static const struct json_field oci_features_flag_fields[] = {
	JSON_FIELD(struct oci_features_flag, enabled, "enabled", JSON_OPT_BOOL, .flags = JSON_OMITEMPTY),
};
static const struct json_table oci_features_flag_table = JSON_TABLE(struct oci_features_flag, oci_features_flag_fields);

static const struct json_field oci_features_mount_extensions_fields[] = {
	JSON_FIELD(struct oci_features_mount_extensions, idmap, "idmap", JSON_OBJECT_PTR,
		.table = &oci_features_flag_table, .flags = JSON_OMITEMPTY),
};
static const struct json_table oci_features_mount_extensions_table = JSON_TABLE(struct oci_features_mount_extensions,
	oci_features_mount_extensions_fields);

static const struct json_field oci_features_linux_fields[] = {
	JSON_FIELD(struct oci_features_linux, namespaces, "namespaces", JSON_STRV, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct oci_features_linux, capabilities, "capabilities", JSON_STRV, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct oci_features_linux, cgroup, "cgroup", JSON_OBJECT_PTR, .table = &oci_features_cgroup_table,
		.flags = JSON_OMITEMPTY),
	JSON_FIELD(struct oci_features_linux, seccomp, "seccomp", JSON_OBJECT_PTR, .table = &oci_features_seccomp_table,
		.flags = JSON_OMITEMPTY),
	JSON_FIELD(struct oci_features_linux, apparmor, "apparmor", JSON_OBJECT_PTR, .table = &oci_features_flag_table,
		.flags = JSON_OMITEMPTY),
	JSON_FIELD(struct oci_features_linux, selinux, "selinux", JSON_OBJECT_PTR, .table = &oci_features_flag_table,
		.flags = JSON_OMITEMPTY),
	JSON_FIELD(struct oci_features_linux, intel_rdt, "intelRdt", JSON_OBJECT_PTR, .table = &oci_features_flag_table,
		.flags = JSON_OMITEMPTY),
	JSON_FIELD(struct oci_features_linux, memory_policy, "memoryPolicy", JSON_OBJECT_PTR,
		.table = &oci_features_flag_table, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct oci_features_linux, mount_extensions, "mountExtensions", JSON_OBJECT_PTR,
		.table = &oci_features_mount_extensions_table, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct oci_features_linux, net_devices, "netDevices", JSON_OBJECT_PTR,
		.table = &oci_features_flag_table, .flags = JSON_OMITEMPTY),
};
static const struct json_table oci_features_linux_table = JSON_TABLE(struct oci_features_linux,
	oci_features_linux_fields);

static const struct json_field oci_features_fields[] = {
	JSON_FIELD(struct oci_features, version_min, "ociVersionMin", JSON_STRING_FIELD, .flags = JSON_REQUIRED),
	JSON_FIELD(struct oci_features, version_max, "ociVersionMax", JSON_STRING_FIELD, .flags = JSON_REQUIRED),
	JSON_FIELD(struct oci_features, hooks, "hooks", JSON_STRV, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct oci_features, mount_options, "mountOptions", JSON_STRV, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct oci_features, linux_features, "linux", JSON_OBJECT_PTR, .table = &oci_features_linux_table,
		.flags = JSON_OMITEMPTY),
	JSON_FIELD(struct oci_features, annotations, "annotations", JSON_STRMAP, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct oci_features, potentially_unsafe_config_annotations, "potentiallyUnsafeConfigAnnotations",
		JSON_STRV, .flags = JSON_OMITEMPTY),
};
const struct json_table oci_features_table = JSON_TABLE(struct oci_features, oci_features_fields);

static int document_parse(const struct json_table *table, const char *text, size_t len, void *out, const char *name,
	struct err **reterr)
{
	memset(out, 0, table->size);
	if (len > OCI_DOCUMENT_MAX)
		return err_set(reterr, ERR_TOO_LARGE, EFBIG, "%s is larger than %d bytes", name, OCI_DOCUMENT_MAX);
	int r = json_parse(table, text, len, out, reterr);
	return r < 0 ? err_wrap(reterr, r, "invalid %s", name) : 0;
}

int oci_spec_parse(const char *text, size_t len, struct oci_spec *out, struct err **reterr)
{
	int r = document_parse(&oci_spec_table, text, len, out, "config.json", reterr);

	if (r == 0 && out->linux_config.resources)
		oci_resources_take_version(out->linux_config.resources, out->version);
	return r;
}

void oci_resources_take_version(struct oci_resources *resources, const char *version)
{
	unsigned minor;

	if (resources->pids.limit.set && resources->pids.limit.value == 0 && sscanf(version, "1.%u", &minor) == 1 &&
		minor < 3)
		resources->pids.limit.value = -1;
}

void oci_spec_finish(struct oci_spec *spec)
{
	json_finish(&oci_spec_table, spec);
}

int oci_process_parse(const char *text, size_t len, struct oci_process *out, struct err **reterr)
{
	return document_parse(&oci_process_table, text, len, out, "process document", reterr);
}

void oci_process_finish(struct oci_process *process)
{
	json_finish(&oci_process_table, process);
}

const struct oci_namespace *oci_spec_namespace(const struct oci_spec *spec, const char *type)
{
	const struct oci_linux *config = &spec->linux_config;
	for (size_t i = 0; i < config->namespace_count; i++)
		if (strcmp(config->namespaces[i].type, type) == 0)
			return &config->namespaces[i];
	return NULL;
}
