#include "spec/system_info.h"

static const struct json_field error_answer_fields[] = {
	JSON_FIELD(struct error_answer, message, "message", JSON_STRING_FIELD, .flags = JSON_EMPTYNULL),
};
const struct json_table error_answer_table = JSON_TABLE(struct error_answer, error_answer_fields);

static const struct json_field stream_error_fields[] = {
	JSON_FIELD(struct stream_error, code, "code", JSON_INT, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct stream_error, message, "message", JSON_STRING_FIELD, .flags = JSON_OMITEMPTY),
};
static const struct json_table stream_error_table = JSON_TABLE(struct stream_error, stream_error_fields);

static const struct json_field stream_progress_fields[] = {
	JSON_FIELD(struct stream_progress, current, "current", JSON_INT, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct stream_progress, total, "total", JSON_INT, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct stream_progress, start, "start", JSON_INT, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct stream_progress, hide_counts, "hidecounts", JSON_BOOL_FIELD, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct stream_progress, units, "units", JSON_STRING_FIELD, .flags = JSON_OMITEMPTY),
};
static const struct json_table stream_progress_table = JSON_TABLE(struct stream_progress, stream_progress_fields);

static const struct json_field stream_message_fields[] = {
	JSON_FIELD(struct stream_message, stream, "stream", JSON_STRING_FIELD, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct stream_message, status, "status", JSON_STRING_FIELD, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct stream_message, progress_detail, "progressDetail", JSON_OBJECT_PTR,
		.table = &stream_progress_table, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct stream_message, progress, "progress", JSON_STRING_FIELD, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct stream_message, id, "id", JSON_STRING_FIELD, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct stream_message, error_detail, "errorDetail", JSON_OBJECT_PTR, .table = &stream_error_table,
		.flags = JSON_OMITEMPTY),
	JSON_FIELD(struct stream_message, error, "error", JSON_STRING_FIELD, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct stream_message, aux, "aux", JSON_RAW, .flags = JSON_OMITEMPTY),
};
const struct json_table stream_message_table = JSON_TABLE(struct stream_message, stream_message_fields);

static const struct json_field event_actor_fields[] = {
	JSON_FIELD(struct event_actor, id, "ID", JSON_STRING_FIELD, .flags = JSON_EMPTYNULL),
	JSON_FIELD(struct event_actor, attributes, "Attributes", JSON_STRMAP, .flags = JSON_EMPTYNULL),
};
static const struct json_table event_actor_table = JSON_TABLE(struct event_actor, event_actor_fields);

static const struct json_field event_message_fields[] = {
	JSON_FIELD(struct event_message, status, "status", JSON_STRING_FIELD, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct event_message, id, "id", JSON_STRING_FIELD, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct event_message, from, "from", JSON_STRING_FIELD, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct event_message, type, "Type", JSON_STRING_FIELD, .flags = JSON_EMPTYNULL),
	JSON_FIELD(struct event_message, action, "Action", JSON_STRING_FIELD, .flags = JSON_EMPTYNULL),
	JSON_FIELD(struct event_message, actor, "Actor", JSON_OBJECT_FIELD, .table = &event_actor_table),
	JSON_FIELD(struct event_message, scope, "scope", JSON_STRING_FIELD, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct event_message, time_s, "time", JSON_INT, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct event_message, time_ns, "timeNano", JSON_INT, .flags = JSON_OMITEMPTY),
};
const struct json_table event_message_table = JSON_TABLE(struct event_message, event_message_fields);

static const struct json_field version_platform_fields[] = {
	JSON_FIELD(struct version_platform, name, "Name", JSON_STRING_FIELD, .flags = JSON_EMPTYNULL),
};
static const struct json_table version_platform_table = JSON_TABLE(struct version_platform, version_platform_fields);

static const struct json_field version_component_fields[] = {
	JSON_FIELD(struct version_component, name, "Name", JSON_STRING_FIELD, .flags = JSON_EMPTYNULL),
	JSON_FIELD(struct version_component, version, "Version", JSON_STRING_FIELD, .flags = JSON_EMPTYNULL),
	JSON_FIELD(struct version_component, details, "Details", JSON_STRMAP, .flags = JSON_OMITEMPTY),
};
static const struct json_table version_component_table = JSON_TABLE(struct version_component, version_component_fields);

static const struct json_field system_version_fields[] = {
	JSON_FIELD(struct system_version, platform, "Platform", JSON_OBJECT_FIELD, .table = &version_platform_table),
	JSON_FIELD_ARRAY(struct system_version, components, component_count, "Components", JSON_OBJECTS,
		.table = &version_component_table, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct system_version, version, "Version", JSON_STRING_FIELD, .flags = JSON_EMPTYNULL),
	JSON_FIELD(struct system_version, api_version, "ApiVersion", JSON_STRING_FIELD, .flags = JSON_EMPTYNULL),
	JSON_FIELD(struct system_version, min_api_version, "MinAPIVersion", JSON_STRING_FIELD, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct system_version, git_commit, "GitCommit", JSON_STRING_FIELD, .flags = JSON_EMPTYNULL),
	JSON_FIELD(struct system_version, go_version, "GoVersion", JSON_STRING_FIELD, .flags = JSON_EMPTYNULL),
	JSON_FIELD(struct system_version, os, "Os", JSON_STRING_FIELD, .flags = JSON_EMPTYNULL),
	JSON_FIELD(struct system_version, arch, "Arch", JSON_STRING_FIELD, .flags = JSON_EMPTYNULL),
	JSON_FIELD(struct system_version, kernel_version, "KernelVersion", JSON_STRING_FIELD, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct system_version, experimental, "Experimental", JSON_BOOL_FIELD, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct system_version, build_time, "BuildTime", JSON_STRING_FIELD, .flags = JSON_OMITEMPTY),
};
const struct json_table system_version_table = JSON_TABLE(struct system_version, system_version_fields);

static const struct json_field info_plugins_fields[] = {
	JSON_FIELD(struct info_plugins, volume, "Volume", JSON_STRV),
	JSON_FIELD(struct info_plugins, network, "Network", JSON_STRV),
	JSON_FIELD(struct info_plugins, authorization, "Authorization", JSON_STRV),
	JSON_FIELD(struct info_plugins, log, "Log", JSON_STRV),
};
static const struct json_table info_plugins_table = JSON_TABLE(struct info_plugins, info_plugins_fields);

static const struct json_field info_runtime_fields[] = {
	JSON_FIELD(struct info_runtime, path, "path", JSON_STRING_FIELD, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct info_runtime, args, "runtimeArgs", JSON_STRV, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct info_runtime, type, "runtimeType", JSON_STRING_FIELD, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct info_runtime, status, "status", JSON_STRMAP, .flags = JSON_OMITEMPTY),
};
static const struct json_table info_runtime_table = JSON_TABLE(struct info_runtime, info_runtime_fields);

static const struct json_field info_commit_fields[] = {
	JSON_FIELD(struct info_commit, id, "ID", JSON_STRING_FIELD, .flags = JSON_EMPTYNULL),
	JSON_FIELD(struct info_commit, expected, "Expected", JSON_STRING_FIELD, .flags = JSON_OMITEMPTY),
};
static const struct json_table info_commit_table = JSON_TABLE(struct info_commit, info_commit_fields);

static const struct json_field info_swarm_fields[] = {
	JSON_FIELD(struct info_swarm, node_id, "NodeID", JSON_STRING_FIELD, .flags = JSON_EMPTYNULL),
	JSON_FIELD(struct info_swarm, node_addr, "NodeAddr", JSON_STRING_FIELD, .flags = JSON_EMPTYNULL),
	JSON_FIELD(struct info_swarm, local_node_state, "LocalNodeState", JSON_STRING_FIELD, .flags = JSON_EMPTYNULL),
	JSON_FIELD(struct info_swarm, control_available, "ControlAvailable", JSON_BOOL_FIELD),
	JSON_FIELD(struct info_swarm, error, "Error", JSON_STRING_FIELD, .flags = JSON_EMPTYNULL),
	JSON_FIELD(struct info_swarm, remote_managers, "RemoteManagers", JSON_STRV),
};
static const struct json_table info_swarm_table = JSON_TABLE(struct info_swarm, info_swarm_fields);

static const struct json_field info_address_pool_fields[] = {
	JSON_FIELD(struct info_address_pool, base, "Base", JSON_STRING_FIELD, .flags = JSON_EMPTYNULL),
	JSON_FIELD(struct info_address_pool, size, "Size", JSON_INT),
};
static const struct json_table info_address_pool_table = JSON_TABLE(struct info_address_pool, info_address_pool_fields);

static const struct json_field info_firewall_fields[] = {
	JSON_FIELD(struct info_firewall, driver, "Driver", JSON_STRING_FIELD, .flags = JSON_EMPTYNULL),
};
static const struct json_table info_firewall_table = JSON_TABLE(struct info_firewall, info_firewall_fields);

static const struct json_field system_info_fields[] = {
	JSON_FIELD(struct system_info, id, "ID", JSON_STRING_FIELD, .flags = JSON_EMPTYNULL),
	JSON_FIELD(struct system_info, containers, "Containers", JSON_INT),
	JSON_FIELD(struct system_info, containers_running, "ContainersRunning", JSON_INT),
	JSON_FIELD(struct system_info, containers_paused, "ContainersPaused", JSON_INT),
	JSON_FIELD(struct system_info, containers_stopped, "ContainersStopped", JSON_INT),
	JSON_FIELD(struct system_info, images, "Images", JSON_INT),
	JSON_FIELD(struct system_info, driver, "Driver", JSON_STRING_FIELD, .flags = JSON_EMPTYNULL),
	JSON_FIELD(struct system_info, driver_status, "DriverStatus", JSON_RAW),
	JSON_FIELD(struct system_info, plugins, "Plugins", JSON_OBJECT_FIELD, .table = &info_plugins_table),
	JSON_FIELD(struct system_info, memory_limit, "MemoryLimit", JSON_BOOL_FIELD),
	JSON_FIELD(struct system_info, swap_limit, "SwapLimit", JSON_BOOL_FIELD),
	JSON_FIELD(struct system_info, cpu_cfs_period, "CpuCfsPeriod", JSON_BOOL_FIELD),
	JSON_FIELD(struct system_info, cpu_cfs_quota, "CpuCfsQuota", JSON_BOOL_FIELD),
	JSON_FIELD(struct system_info, cpu_shares, "CPUShares", JSON_BOOL_FIELD),
	JSON_FIELD(struct system_info, cpu_set, "CPUSet", JSON_BOOL_FIELD),
	JSON_FIELD(struct system_info, pids_limit, "PidsLimit", JSON_BOOL_FIELD),
	JSON_FIELD(struct system_info, ipv4_forwarding, "IPv4Forwarding", JSON_BOOL_FIELD),
	JSON_FIELD(struct system_info, debug, "Debug", JSON_BOOL_FIELD),
	JSON_FIELD(struct system_info, fd_count, "NFd", JSON_INT),
	JSON_FIELD(struct system_info, oom_kill_disable, "OomKillDisable", JSON_BOOL_FIELD),
	JSON_FIELD(struct system_info, goroutine_count, "NGoroutines", JSON_INT),
	JSON_FIELD(struct system_info, system_time, "SystemTime", JSON_STRING_FIELD, .flags = JSON_EMPTYNULL),
	JSON_FIELD(struct system_info, logging_driver, "LoggingDriver", JSON_STRING_FIELD, .flags = JSON_EMPTYNULL),
	JSON_FIELD(struct system_info, cgroup_driver, "CgroupDriver", JSON_STRING_FIELD, .flags = JSON_EMPTYNULL),
	JSON_FIELD(struct system_info, cgroup_version, "CgroupVersion", JSON_STRING_FIELD, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct system_info, events_listener_count, "NEventsListener", JSON_INT),
	JSON_FIELD(struct system_info, kernel_version, "KernelVersion", JSON_STRING_FIELD, .flags = JSON_EMPTYNULL),
	JSON_FIELD(struct system_info, operating_system, "OperatingSystem", JSON_STRING_FIELD, .flags = JSON_EMPTYNULL),
	JSON_FIELD(struct system_info, os_version, "OSVersion", JSON_STRING_FIELD, .flags = JSON_EMPTYNULL),
	JSON_FIELD(struct system_info, os_type, "OSType", JSON_STRING_FIELD, .flags = JSON_EMPTYNULL),
	JSON_FIELD(struct system_info, architecture, "Architecture", JSON_STRING_FIELD, .flags = JSON_EMPTYNULL),
	JSON_FIELD(struct system_info, index_server_address, "IndexServerAddress", JSON_STRING_FIELD,
		.flags = JSON_EMPTYNULL),
	JSON_FIELD(struct system_info, registry_config, "RegistryConfig", JSON_RAW),
	JSON_FIELD(struct system_info, cpu_count, "NCPU", JSON_INT),
	JSON_FIELD(struct system_info, mem_total, "MemTotal", JSON_INT),
	JSON_FIELD(struct system_info, generic_resources, "GenericResources", JSON_RAW),
	JSON_FIELD(struct system_info, docker_root_dir, "DockerRootDir", JSON_STRING_FIELD, .flags = JSON_EMPTYNULL),
	JSON_FIELD(struct system_info, http_proxy, "HttpProxy", JSON_STRING_FIELD, .flags = JSON_EMPTYNULL),
	JSON_FIELD(struct system_info, https_proxy, "HttpsProxy", JSON_STRING_FIELD, .flags = JSON_EMPTYNULL),
	JSON_FIELD(struct system_info, no_proxy, "NoProxy", JSON_STRING_FIELD, .flags = JSON_EMPTYNULL),
	JSON_FIELD(struct system_info, name, "Name", JSON_STRING_FIELD, .flags = JSON_EMPTYNULL),
	JSON_FIELD(struct system_info, labels, "Labels", JSON_STRV, .flags = JSON_EMPTYNULL),
	JSON_FIELD(struct system_info, experimental_build, "ExperimentalBuild", JSON_BOOL_FIELD),
	JSON_FIELD(struct system_info, server_version, "ServerVersion", JSON_STRING_FIELD, .flags = JSON_EMPTYNULL),
	JSON_FIELD(struct system_info, runtimes, "Runtimes", JSON_OBJECT_MAP, .table = &info_runtime_table,
		.flags = JSON_EMPTYNULL),
	JSON_FIELD(struct system_info, default_runtime, "DefaultRuntime", JSON_STRING_FIELD, .flags = JSON_EMPTYNULL),
	JSON_FIELD(struct system_info, swarm, "Swarm", JSON_OBJECT_FIELD, .table = &info_swarm_table),
	JSON_FIELD(struct system_info, live_restore_enabled, "LiveRestoreEnabled", JSON_BOOL_FIELD),
	JSON_FIELD(struct system_info, isolation, "Isolation", JSON_STRING_FIELD, .flags = JSON_EMPTYNULL),
	JSON_FIELD(struct system_info, init_binary, "InitBinary", JSON_STRING_FIELD, .flags = JSON_EMPTYNULL),
	JSON_FIELD(struct system_info, containerd_commit, "ContainerdCommit", JSON_OBJECT_FIELD,
		.table = &info_commit_table),
	JSON_FIELD(struct system_info, runc_commit, "RuncCommit", JSON_OBJECT_FIELD, .table = &info_commit_table),
	JSON_FIELD(struct system_info, init_commit, "InitCommit", JSON_OBJECT_FIELD, .table = &info_commit_table),
	JSON_FIELD(struct system_info, security_options, "SecurityOptions", JSON_STRV),
	JSON_FIELD(struct system_info, product_license, "ProductLicense", JSON_STRING_FIELD, .flags = JSON_OMITEMPTY),
	JSON_FIELD_ARRAY(struct system_info, default_address_pools, default_address_pool_count, "DefaultAddressPools",
		JSON_OBJECTS, .table = &info_address_pool_table, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct system_info, firewall_backend, "FirewallBackend", JSON_OBJECT_PTR,
		.table = &info_firewall_table, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct system_info, cdi_spec_dirs, "CDISpecDirs", JSON_STRV),
	JSON_FIELD(struct system_info, warnings, "Warnings", JSON_STRV),
};
const struct json_table system_info_table = JSON_TABLE(struct system_info, system_info_fields);

static const struct json_field volume_usage_fields[] = {
	JSON_FIELD(struct volume_usage, ref_count, "RefCount", JSON_INT),
	JSON_FIELD(struct volume_usage, size, "Size", JSON_INT),
};
static const struct json_table volume_usage_table = JSON_TABLE(struct volume_usage, volume_usage_fields);

static const struct json_field volume_info_fields[] = {
	JSON_FIELD(struct volume_info, created_at, "CreatedAt", JSON_STRING_FIELD, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct volume_info, driver, "Driver", JSON_STRING_FIELD, .flags = JSON_EMPTYNULL),
	JSON_FIELD(struct volume_info, labels, "Labels", JSON_STRMAP),
	JSON_FIELD(struct volume_info, mountpoint, "Mountpoint", JSON_STRING_FIELD, .flags = JSON_EMPTYNULL),
	JSON_FIELD(struct volume_info, name, "Name", JSON_STRING_FIELD, .flags = JSON_EMPTYNULL),
	JSON_FIELD(struct volume_info, options, "Options", JSON_STRMAP),
	JSON_FIELD(struct volume_info, scope, "Scope", JSON_STRING_FIELD, .flags = JSON_EMPTYNULL),
	JSON_FIELD(struct volume_info, usage, "UsageData", JSON_OBJECT_PTR, .table = &volume_usage_table,
		.flags = JSON_OMITEMPTY),
};
const struct json_table volume_info_table = JSON_TABLE(struct volume_info, volume_info_fields);

static const struct json_field volume_create_fields[] = {
	JSON_FIELD(struct volume_create, driver, "Driver", JSON_STRING_FIELD, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct volume_create, driver_opts, "DriverOpts", JSON_STRMAP, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct volume_create, labels, "Labels", JSON_STRMAP, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct volume_create, name, "Name", JSON_STRING_FIELD, .flags = JSON_OMITEMPTY),
};
const struct json_table volume_create_table = JSON_TABLE(struct volume_create, volume_create_fields);

static const struct json_field volume_list_fields[] = {
	JSON_FIELD_ARRAY(struct volume_list, volumes, volume_count, "Volumes", JSON_OBJECTS,
		.table = &volume_info_table, .flags = JSON_EMPTYNULL),
	JSON_FIELD(struct volume_list, warnings, "Warnings", JSON_STRV),
};
const struct json_table volume_list_table = JSON_TABLE(struct volume_list, volume_list_fields);

static const struct json_field volumes_prune_answer_fields[] = {
	JSON_FIELD(struct volumes_prune_answer, deleted, "VolumesDeleted", JSON_STRV),
	JSON_FIELD(struct volumes_prune_answer, space_reclaimed, "SpaceReclaimed", JSON_UINT),
};
const struct json_table volumes_prune_answer_table = JSON_TABLE(struct volumes_prune_answer,
	volumes_prune_answer_fields);

static const struct json_field disk_usage_fields[] = {
	JSON_FIELD(struct disk_usage, layers_size, "LayersSize", JSON_INT),
	JSON_FIELD_ARRAY(struct disk_usage, images, image_count, "Images", JSON_OBJECTS, .table = &image_summary_table,
		.flags = JSON_EMPTYNULL),
	JSON_FIELD_ARRAY(struct disk_usage, containers, container_count, "Containers", JSON_OBJECTS,
		.table = &container_summary_table, .flags = JSON_EMPTYNULL),
	JSON_FIELD_ARRAY(struct disk_usage, volumes, volume_count, "Volumes", JSON_OBJECTS, .table = &volume_info_table,
		.flags = JSON_EMPTYNULL),
	JSON_FIELD(struct disk_usage, build_cache, "BuildCache", JSON_RAW),
};
const struct json_table disk_usage_table = JSON_TABLE(struct disk_usage, disk_usage_fields);
