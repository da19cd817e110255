#include "spec/container_config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "spec/oci_check.h"

#define CONTAINER_CONFIG_FIELDS(type_, at_)                                                                           \
 JSON_FIELD(type_, at_ hostname, "Hostname", JSON_STRING_FIELD, .flags = JSON_EMPTYNULL),                             \
	 JSON_FIELD(type_, at_ domainname, "Domainname", JSON_STRING_FIELD, .flags = JSON_EMPTYNULL),                 \
	 JSON_FIELD(type_, at_ user, "User", JSON_STRING_FIELD, .flags = JSON_EMPTYNULL),                             \
	 JSON_FIELD(type_, at_ attach_stdin, "AttachStdin", JSON_BOOL_FIELD),                                         \
	 JSON_FIELD(type_, at_ attach_stdout, "AttachStdout", JSON_BOOL_FIELD),                                       \
	 JSON_FIELD(type_, at_ attach_stderr, "AttachStderr", JSON_BOOL_FIELD),                                       \
	 JSON_FIELD(type_, at_ exposed_ports, "ExposedPorts", JSON_SET, .flags = JSON_OMITEMPTY),                     \
	 JSON_FIELD(type_, at_ tty, "Tty", JSON_BOOL_FIELD),                                                          \
	 JSON_FIELD(type_, at_ open_stdin, "OpenStdin", JSON_BOOL_FIELD),                                             \
	 JSON_FIELD(type_, at_ stdin_once, "StdinOnce", JSON_BOOL_FIELD),                                             \
	 JSON_FIELD(type_, at_ env, "Env", JSON_STRV), JSON_FIELD(type_, at_ cmd, "Cmd", JSON_STRV_OR_STRING),        \
	 JSON_FIELD(type_, at_ healthcheck, "Healthcheck", JSON_OBJECT_PTR, .table = &healthcheck_table,              \
		 .flags = JSON_OMITEMPTY),                                                                            \
	 JSON_FIELD(type_, at_ args_escaped, "ArgsEscaped", JSON_BOOL_FIELD, .flags = JSON_OMITEMPTY),                \
	 JSON_FIELD(type_, at_ image, "Image", JSON_STRING_FIELD, .flags = JSON_EMPTYNULL),                           \
	 JSON_FIELD(type_, at_ volumes, "Volumes", JSON_SET, .flags = JSON_NULLEMPTY),                                \
	 JSON_FIELD(type_, at_ working_dir, "WorkingDir", JSON_STRING_FIELD, .flags = JSON_EMPTYNULL),                \
	 JSON_FIELD(type_, at_ entrypoint, "Entrypoint", JSON_STRV_OR_STRING),                                        \
	 JSON_FIELD(type_, at_ network_disabled, "NetworkDisabled", JSON_BOOL_FIELD, .flags = JSON_OMITEMPTY),        \
	 JSON_FIELD(type_, at_ mac_address, "MacAddress", JSON_STRING_FIELD, .flags = JSON_OMITEMPTY),                \
	 JSON_FIELD(type_, at_ on_build, "OnBuild", JSON_STRV), JSON_FIELD(type_, at_ labels, "Labels", JSON_STRMAP), \
	 JSON_FIELD(type_, at_ stop_signal, "StopSignal", JSON_STRING_FIELD, .flags = JSON_OMITEMPTY),                \
	 JSON_FIELD(type_, at_ stop_timeout_s, "StopTimeout", JSON_OPT_INT, .flags = JSON_OMITEMPTY),                 \
	 JSON_FIELD(type_, at_ shell, "Shell", JSON_STRV_OR_STRING, .flags = JSON_OMITEMPTY)

static const struct json_field container_config_fields[] = { CONTAINER_CONFIG_FIELDS(struct container_config, ) };
const struct json_table container_config_table = JSON_TABLE(struct container_config, container_config_fields);

static const struct json_field block_weight_device_fields[] = {
	JSON_FIELD(struct block_weight_device, path, "Path", JSON_STRING_FIELD, .flags = JSON_EMPTYNULL),
	JSON_FIELD(struct block_weight_device, weight, "Weight", JSON_INT),
};
static const struct json_table block_weight_device_table = JSON_TABLE(struct block_weight_device,
	block_weight_device_fields);

static const struct json_field block_throttle_device_fields[] = {
	JSON_FIELD(struct block_throttle_device, path, "Path", JSON_STRING_FIELD, .flags = JSON_EMPTYNULL),
	JSON_FIELD(struct block_throttle_device, rate, "Rate", JSON_UINT),
};
static const struct json_table block_throttle_device_table = JSON_TABLE(struct block_throttle_device,
	block_throttle_device_fields);

static const struct json_field device_mapping_fields[] = {
	JSON_FIELD(struct device_mapping, path_on_host, "PathOnHost", JSON_STRING_FIELD, .flags = JSON_EMPTYNULL),
	JSON_FIELD(struct device_mapping, path_in_container, "PathInContainer", JSON_STRING_FIELD,
		.flags = JSON_EMPTYNULL),
	JSON_FIELD(struct device_mapping, permissions, "CgroupPermissions", JSON_STRING_FIELD, .flags = JSON_EMPTYNULL),
};
static const struct json_table device_mapping_table = JSON_TABLE(struct device_mapping, device_mapping_fields);

static const struct json_field device_request_fields[] = {
	JSON_FIELD(struct device_request, driver, "Driver", JSON_STRING_FIELD, .flags = JSON_EMPTYNULL),
	JSON_FIELD(struct device_request, count, "Count", JSON_INT),
	JSON_FIELD(struct device_request, device_ids, "DeviceIDs", JSON_STRV),
	JSON_FIELD(struct device_request, capabilities, "Capabilities", JSON_RAW),
	JSON_FIELD(struct device_request, options, "Options", JSON_STRMAP),
};
static const struct json_table device_request_table = JSON_TABLE(struct device_request, device_request_fields);

static const struct json_field ulimit_fields[] = {
	JSON_FIELD(struct ulimit, name, "Name", JSON_STRING_FIELD, .flags = JSON_EMPTYNULL),
	JSON_FIELD(struct ulimit, hard, "Hard", JSON_INT),
	JSON_FIELD(struct ulimit, soft, "Soft", JSON_INT),
};
static const struct json_table ulimit_table = JSON_TABLE(struct ulimit, ulimit_fields);

#define HOST_RESOURCES_FIELDS(type_, at_)                                                                             \
 JSON_FIELD(type_, at_ cpu_shares, "CpuShares", JSON_INT), JSON_FIELD(type_, at_ memory, "Memory", JSON_INT),         \
	 JSON_FIELD(type_, at_ nano_cpus, "NanoCpus", JSON_INT),                                                      \
	 JSON_FIELD(type_, at_ cgroup_parent, "CgroupParent", JSON_STRING_FIELD, .flags = JSON_EMPTYNULL),            \
	 JSON_FIELD(type_, at_ blkio_weight, "BlkioWeight", JSON_INT),                                                \
	 JSON_FIELD_ARRAY(type_, at_ blkio_weight_devices, at_ blkio_weight_device_count, "BlkioWeightDevice",        \
		 JSON_OBJECTS, .table = &block_weight_device_table),                                                  \
	 JSON_FIELD_ARRAY(type_, at_ blkio_read_bps, at_ blkio_read_bps_count, "BlkioDeviceReadBps", JSON_OBJECTS,    \
		 .table = &block_throttle_device_table),                                                              \
	 JSON_FIELD_ARRAY(type_, at_ blkio_write_bps, at_ blkio_write_bps_count, "BlkioDeviceWriteBps", JSON_OBJECTS, \
		 .table = &block_throttle_device_table),                                                              \
	 JSON_FIELD_ARRAY(type_, at_ blkio_read_iops, at_ blkio_read_iops_count, "BlkioDeviceReadIOps", JSON_OBJECTS, \
		 .table = &block_throttle_device_table),                                                              \
	 JSON_FIELD_ARRAY(type_, at_ blkio_write_iops, at_ blkio_write_iops_count, "BlkioDeviceWriteIOps",            \
		 JSON_OBJECTS, .table = &block_throttle_device_table),                                                \
	 JSON_FIELD(type_, at_ cpu_period, "CpuPeriod", JSON_INT),                                                    \
	 JSON_FIELD(type_, at_ cpu_quota, "CpuQuota", JSON_INT),                                                      \
	 JSON_FIELD(type_, at_ cpu_realtime_period, "CpuRealtimePeriod", JSON_INT),                                   \
	 JSON_FIELD(type_, at_ cpu_realtime_runtime, "CpuRealtimeRuntime", JSON_INT),                                 \
	 JSON_FIELD(type_, at_ cpuset_cpus, "CpusetCpus", JSON_STRING_FIELD, .flags = JSON_EMPTYNULL),                \
	 JSON_FIELD(type_, at_ cpuset_mems, "CpusetMems", JSON_STRING_FIELD, .flags = JSON_EMPTYNULL),                \
	 JSON_FIELD_ARRAY(type_, at_ devices, at_ device_count, "Devices", JSON_OBJECTS,                              \
		 .table = &device_mapping_table),                                                                     \
	 JSON_FIELD(type_, at_ device_cgroup_rules, "DeviceCgroupRules", JSON_STRV),                                  \
	 JSON_FIELD_ARRAY(type_, at_ device_requests, at_ device_request_count, "DeviceRequests", JSON_OBJECTS,       \
		 .table = &device_request_table),                                                                     \
	 JSON_FIELD(type_, at_ kernel_memory, "KernelMemory", JSON_INT, .flags = JSON_OMITEMPTY),                     \
	 JSON_FIELD(type_, at_ kernel_memory_tcp, "KernelMemoryTCP", JSON_INT, .flags = JSON_OMITEMPTY),              \
	 JSON_FIELD(type_, at_ memory_reservation, "MemoryReservation", JSON_INT),                                    \
	 JSON_FIELD(type_, at_ memory_swap, "MemorySwap", JSON_INT),                                                  \
	 JSON_FIELD(type_, at_ memory_swappiness, "MemorySwappiness", JSON_OPT_INT),                                  \
	 JSON_FIELD(type_, at_ oom_kill_disable, "OomKillDisable", JSON_OPT_BOOL),                                    \
	 JSON_FIELD(type_, at_ pids_limit, "PidsLimit", JSON_OPT_INT),                                                \
	 JSON_FIELD_ARRAY(type_, at_ ulimits, at_ ulimit_count, "Ulimits", JSON_OBJECTS, .table = &ulimit_table),     \
	 JSON_FIELD(type_, at_ cpu_count, "CpuCount", JSON_INT),                                                      \
	 JSON_FIELD(type_, at_ cpu_percent, "CpuPercent", JSON_INT),                                                  \
	 JSON_FIELD(type_, at_ io_maximum_iops, "IOMaximumIOps", JSON_UINT),                                          \
	 JSON_FIELD(type_, at_ io_maximum_bandwidth, "IOMaximumBandwidth", JSON_UINT)

static const struct json_field host_resources_fields[] = { HOST_RESOURCES_FIELDS(struct host_resources, ) };
const struct json_table host_resources_table = JSON_TABLE(struct host_resources, host_resources_fields);

static const struct json_field log_config_fields[] = {
	JSON_FIELD(struct log_config, type, "Type", JSON_STRING_FIELD, .flags = JSON_EMPTYNULL),
	JSON_FIELD(struct log_config, config, "Config", JSON_STRMAP),
};
static const struct json_table log_config_table = JSON_TABLE(struct log_config, log_config_fields);

static const struct json_field restart_policy_fields[] = {
	JSON_FIELD(struct restart_policy, name, "Name", JSON_STRING_FIELD, .flags = JSON_EMPTYNULL),
	JSON_FIELD(struct restart_policy, maximum_retry_count, "MaximumRetryCount", JSON_INT),
};
const struct json_table restart_policy_table = JSON_TABLE(struct restart_policy, restart_policy_fields);

static const struct json_field mount_bind_options_fields[] = {
	JSON_FIELD(struct mount_bind_options, propagation, "Propagation", JSON_STRING_FIELD, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct mount_bind_options, non_recursive, "NonRecursive", JSON_BOOL_FIELD, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct mount_bind_options, create_mountpoint, "CreateMountpoint", JSON_BOOL_FIELD,
		.flags = JSON_OMITEMPTY),
	JSON_FIELD(struct mount_bind_options, read_only_non_recursive, "ReadOnlyNonRecursive", JSON_BOOL_FIELD,
		.flags = JSON_OMITEMPTY),
	JSON_FIELD(struct mount_bind_options, read_only_force_recursive, "ReadOnlyForceRecursive", JSON_BOOL_FIELD,
		.flags = JSON_OMITEMPTY),
};
static const struct json_table mount_bind_options_table = JSON_TABLE(struct mount_bind_options,
	mount_bind_options_fields);

static const struct json_field mount_driver_fields[] = {
	JSON_FIELD(struct mount_driver, name, "Name", JSON_STRING_FIELD, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct mount_driver, options, "Options", JSON_STRMAP, .flags = JSON_OMITEMPTY),
};
static const struct json_table mount_driver_table = JSON_TABLE(struct mount_driver, mount_driver_fields);

static const struct json_field mount_volume_options_fields[] = {
	JSON_FIELD(struct mount_volume_options, no_copy, "NoCopy", JSON_BOOL_FIELD, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct mount_volume_options, labels, "Labels", JSON_STRMAP, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct mount_volume_options, subpath, "Subpath", JSON_STRING_FIELD, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct mount_volume_options, driver, "DriverConfig", JSON_OBJECT_PTR, .table = &mount_driver_table,
		.flags = JSON_OMITEMPTY),
};
static const struct json_table mount_volume_options_table = JSON_TABLE(struct mount_volume_options,
	mount_volume_options_fields);

static const struct json_field mount_image_options_fields[] = {
	JSON_FIELD(struct mount_image_options, subpath, "Subpath", JSON_STRING_FIELD, .flags = JSON_OMITEMPTY),
};
static const struct json_table mount_image_options_table = JSON_TABLE(struct mount_image_options,
	mount_image_options_fields);

static const struct json_field mount_tmpfs_options_fields[] = {
	JSON_FIELD(struct mount_tmpfs_options, size_bytes, "SizeBytes", JSON_INT, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct mount_tmpfs_options, mode, "Mode", JSON_INT, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct mount_tmpfs_options, options, "Options", JSON_RAW, .flags = JSON_OMITEMPTY),
};
static const struct json_table mount_tmpfs_options_table = JSON_TABLE(struct mount_tmpfs_options,
	mount_tmpfs_options_fields);

static const struct json_field mount_config_fields[] = {
	JSON_FIELD(struct mount_config, type, "Type", JSON_STRING_FIELD, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct mount_config, source, "Source", JSON_STRING_FIELD, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct mount_config, target, "Target", JSON_STRING_FIELD, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct mount_config, read_only, "ReadOnly", JSON_BOOL_FIELD, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct mount_config, consistency, "Consistency", JSON_STRING_FIELD, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct mount_config, bind, "BindOptions", JSON_OBJECT_PTR, .table = &mount_bind_options_table,
		.flags = JSON_OMITEMPTY),
	JSON_FIELD(struct mount_config, volume, "VolumeOptions", JSON_OBJECT_PTR, .table = &mount_volume_options_table,
		.flags = JSON_OMITEMPTY),
	JSON_FIELD(struct mount_config, image, "ImageOptions", JSON_OBJECT_PTR, .table = &mount_image_options_table,
		.flags = JSON_OMITEMPTY),
	JSON_FIELD(struct mount_config, tmpfs, "TmpfsOptions", JSON_OBJECT_PTR, .table = &mount_tmpfs_options_table,
		.flags = JSON_OMITEMPTY),
};
static const struct json_table mount_config_table = JSON_TABLE(struct mount_config, mount_config_fields);

static const struct json_field host_config_fields[] = {
	JSON_FIELD(struct host_config, binds, "Binds", JSON_STRV),
	JSON_FIELD(struct host_config, container_id_file, "ContainerIDFile", JSON_STRING_FIELD,
		.flags = JSON_EMPTYNULL),
	JSON_FIELD(struct host_config, log, "LogConfig", JSON_OBJECT_FIELD, .table = &log_config_table),
	JSON_FIELD(struct host_config, network_mode, "NetworkMode", JSON_STRING_FIELD, .flags = JSON_EMPTYNULL),
	JSON_FIELD(struct host_config, port_bindings, "PortBindings", JSON_RAW),
	JSON_FIELD(struct host_config, restart_policy, "RestartPolicy", JSON_OBJECT_FIELD,
		.table = &restart_policy_table),
	JSON_FIELD(struct host_config, auto_remove, "AutoRemove", JSON_BOOL_FIELD),
	JSON_FIELD(struct host_config, volume_driver, "VolumeDriver", JSON_STRING_FIELD, .flags = JSON_EMPTYNULL),
	JSON_FIELD(struct host_config, volumes_from, "VolumesFrom", JSON_STRV),
	JSON_FIELD_ARRAY(struct host_config, console_size, console_size_count, "ConsoleSize", JSON_INTS),
	JSON_FIELD(struct host_config, annotations, "Annotations", JSON_STRMAP, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct host_config, cap_add, "CapAdd", JSON_STRV_OR_STRING),
	JSON_FIELD(struct host_config, cap_drop, "CapDrop", JSON_STRV_OR_STRING),
	JSON_FIELD(struct host_config, cgroupns_mode, "CgroupnsMode", JSON_STRING_FIELD, .flags = JSON_EMPTYNULL),
	JSON_FIELD(struct host_config, dns, "Dns", JSON_STRV),
	JSON_FIELD(struct host_config, dns_options, "DnsOptions", JSON_STRV),
	JSON_FIELD(struct host_config, dns_search, "DnsSearch", JSON_STRV),
	JSON_FIELD(struct host_config, bandwidth_in, "BandwidthIn", JSON_INT, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct host_config, bandwidth_out, "BandwidthOut", JSON_INT, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct host_config, egress, "Egress", JSON_STRV, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct host_config, extra_hosts, "ExtraHosts", JSON_STRV),
	JSON_FIELD(struct host_config, group_add, "GroupAdd", JSON_STRV),
	JSON_FIELD(struct host_config, ipc_mode, "IpcMode", JSON_STRING_FIELD, .flags = JSON_EMPTYNULL),
	JSON_FIELD(struct host_config, cgroup, "Cgroup", JSON_STRING_FIELD, .flags = JSON_EMPTYNULL),
	JSON_FIELD(struct host_config, links, "Links", JSON_STRV),
	JSON_FIELD(struct host_config, oom_score_adj, "OomScoreAdj", JSON_INT),
	JSON_FIELD(struct host_config, pid_mode, "PidMode", JSON_STRING_FIELD, .flags = JSON_EMPTYNULL),
	JSON_FIELD(struct host_config, privileged, "Privileged", JSON_BOOL_FIELD),
	JSON_FIELD(struct host_config, publish_all_ports, "PublishAllPorts", JSON_BOOL_FIELD),
	JSON_FIELD(struct host_config, readonly_rootfs, "ReadonlyRootfs", JSON_BOOL_FIELD),
	JSON_FIELD(struct host_config, security_opt, "SecurityOpt", JSON_STRV),
	JSON_FIELD(struct host_config, storage_opt, "StorageOpt", JSON_STRMAP, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct host_config, tmpfs, "Tmpfs", JSON_STRMAP, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct host_config, uts_mode, "UTSMode", JSON_STRING_FIELD, .flags = JSON_EMPTYNULL),
	JSON_FIELD(struct host_config, userns_mode, "UsernsMode", JSON_STRING_FIELD, .flags = JSON_EMPTYNULL),
	JSON_FIELD(struct host_config, shm_size, "ShmSize", JSON_INT),
	JSON_FIELD(struct host_config, sysctls, "Sysctls", JSON_STRMAP, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct host_config, runtime, "Runtime", JSON_STRING_FIELD, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct host_config, isolation, "Isolation", JSON_STRING_FIELD, .flags = JSON_EMPTYNULL),
	HOST_RESOURCES_FIELDS(struct host_config, resources.),
	JSON_FIELD_ARRAY(struct host_config, mounts, mount_count, "Mounts", JSON_OBJECTS, .table = &mount_config_table,
		.flags = JSON_OMITEMPTY),
	JSON_FIELD(struct host_config, masked_paths, "MaskedPaths", JSON_STRV),
	JSON_FIELD(struct host_config, readonly_paths, "ReadonlyPaths", JSON_STRV),
	JSON_FIELD(struct host_config, init, "Init", JSON_OPT_BOOL, .flags = JSON_OMITEMPTY),
};
const struct json_table host_config_table = JSON_TABLE(struct host_config, host_config_fields);

static const struct json_field container_create_fields[] = {
	CONTAINER_CONFIG_FIELDS(struct container_create, config.),
	JSON_FIELD(struct container_create, host, "HostConfig", JSON_OBJECT_PTR, .table = &host_config_table,
		.flags = JSON_OMITEMPTY),
	JSON_FIELD(struct container_create, networking, "NetworkingConfig", JSON_OBJECT_PTR,
		.table = &networking_config_table, .flags = JSON_OMITEMPTY),
};
const struct json_table container_create_table = JSON_TABLE(struct container_create, container_create_fields);

static const struct json_field container_update_fields[] = {
	HOST_RESOURCES_FIELDS(struct container_update, resources.),
	JSON_FIELD(struct container_update, restart_policy, "RestartPolicy", JSON_OBJECT_FIELD,
		.table = &restart_policy_table),
	JSON_FIELD(struct container_update, publish_add, "PublishAdd", JSON_RAW, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct container_update, publish_remove, "PublishRemove", JSON_RAW, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct container_update, bandwidth_in, "BandwidthIn", JSON_OPT_INT, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct container_update, bandwidth_out, "BandwidthOut", JSON_OPT_INT, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct container_update, egress, "Egress", JSON_STRV, .flags = JSON_OMITEMPTY),
};
const struct json_table container_update_table = JSON_TABLE(struct container_update, container_update_fields);

static int check_binding(const char *port, json_t *binding, struct err **reterr)
{
	const char *key;
	json_t *value;
	if (!json_is_object(binding))
		return err_set(reterr, ERR_INVALID, 0, "HostConfig.PortBindings.%s: expected an array of objects",
			oci_printable(port));
	json_object_foreach (binding, key, value)
		if (!json_is_string(value) && !json_is_null(value))
			return err_set(reterr, ERR_INVALID, 0, "HostConfig.PortBindings.%s: expected strings",
				oci_printable(port));
	return 0;
}

int container_check_bindings(const json_t *document, struct err **reterr)
{
	json_t *bindings = (json_t *)document;
	const char *port;
	json_t *list;
	if (bindings && !json_is_object(bindings))
		return err_set(reterr, ERR_INVALID, 0, "HostConfig.PortBindings: expected an object");
	json_object_foreach (bindings, port, list) {
		if (!json_is_array(list) && !json_is_null(list))
			return err_set(reterr, ERR_INVALID, 0, "HostConfig.PortBindings.%s: expected an array",
				oci_printable(port));
		for (size_t i = 0; i < json_array_size(list); i++) {
			int r = check_binding(port, json_array_get(list, i), reterr);
			if (r < 0)
				return r;
		}
	}
	return 0;
}

/* What Docker's decoder would refuse too: it reads arrays of arrays of strings here. */
static int check_string_lists(const char *path, json_t *lists, struct err **reterr)
{
	if (lists && !json_is_array(lists))
		return err_set(reterr, ERR_INVALID, 0, "%s: expected an array", path);
	for (size_t i = 0; i < json_array_size(lists); i++) {
		json_t *list = json_array_get(lists, i);
		if (!json_is_array(list))
			return err_set(reterr, ERR_INVALID, 0, "%s: expected an array of arrays", path);
		for (size_t k = 0; k < json_array_size(list); k++)
			if (!json_is_string(json_array_get(list, k)))
				return err_set(reterr, ERR_INVALID, 0, "%s: expected strings", path);
	}
	return 0;
}

static int check_host(const struct host_config *host, struct err **reterr)
{
	int r = container_check_bindings(host->port_bindings, reterr);
	for (size_t i = 0; r == 0 && i < host->resources.device_request_count; i++)
		r = check_string_lists("HostConfig.DeviceRequests.Capabilities",
			host->resources.device_requests[i].capabilities, reterr);
	for (size_t i = 0; r == 0 && i < host->mount_count; i++)
		if (host->mounts[i].tmpfs)
			r = check_string_lists("HostConfig.Mounts.TmpfsOptions.Options", host->mounts[i].tmpfs->options,
				reterr);
	if (r < 0)
		return r;
	if (host->console_size_count != 2)
		return err_set(reterr, ERR_INVALID, 0, "HostConfig.ConsoleSize: expected two numbers");
	if (host->console_size[0] < 0 || host->console_size[1] < 0)
		return err_set(reterr, ERR_INVALID, 0, "HostConfig.ConsoleSize: is negative");
	return 0;
}

static int fill(struct container_create *create)
{
	if (!create->host)
		create->host = calloc(1, sizeof *create->host);
	if (!create->networking)
		create->networking = calloc(1, sizeof *create->networking);
	if (!create->host || !create->networking)
		return -ENOMEM;

	struct host_config *host = create->host;
	if (host->console_size_count)
		return 0;
	free(host->console_size);
	host->console_size = calloc(2, sizeof *host->console_size);
	if (!host->console_size)
		return -ENOMEM;
	host->console_size_count = 2;
	return 0;
}

int container_create_parse(const char *text, size_t len, struct container_create *out, struct err **reterr)
{
	memset(out, 0, sizeof *out);
	if (len > CONTAINER_CREATE_MAX)
		return err_set(reterr, ERR_TOO_LARGE, EFBIG, "container configuration is larger than %d bytes",
			CONTAINER_CREATE_MAX);
	int r = json_parse(&container_create_table, text, len, out, reterr);
	if (r < 0)
		return r;
	r = fill(out) < 0 ? err_oom(reterr) : check_host(out->host, reterr);
	if (r < 0)
		container_create_finish(out);
	return r;
}

void container_create_finish(struct container_create *create)
{
	json_finish(&container_create_table, create);
}
