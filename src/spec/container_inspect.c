#include "spec/container_inspect.h"

static const struct json_field mount_point_fields[] = {
	JSON_FIELD(struct mount_point, type, "Type", JSON_STRING_FIELD, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct mount_point, name, "Name", JSON_STRING_FIELD, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct mount_point, source, "Source", JSON_STRING_FIELD, .flags = JSON_EMPTYNULL),
	JSON_FIELD(struct mount_point, destination, "Destination", JSON_STRING_FIELD, .flags = JSON_EMPTYNULL),
	JSON_FIELD(struct mount_point, driver, "Driver", JSON_STRING_FIELD, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct mount_point, mode, "Mode", JSON_STRING_FIELD, .flags = JSON_EMPTYNULL),
	JSON_FIELD(struct mount_point, rw, "RW", JSON_BOOL_FIELD),
	JSON_FIELD(struct mount_point, propagation, "Propagation", JSON_STRING_FIELD, .flags = JSON_EMPTYNULL),
};
const struct json_table mount_point_table = JSON_TABLE(struct mount_point, mount_point_fields);

static const struct json_field container_state_fields[] = {
	JSON_FIELD(struct container_state, status, "Status", JSON_STRING_FIELD, .flags = JSON_EMPTYNULL),
	JSON_FIELD(struct container_state, running, "Running", JSON_BOOL_FIELD),
	JSON_FIELD(struct container_state, paused, "Paused", JSON_BOOL_FIELD),
	JSON_FIELD(struct container_state, restarting, "Restarting", JSON_BOOL_FIELD),
	JSON_FIELD(struct container_state, oom_killed, "OOMKilled", JSON_BOOL_FIELD),
	JSON_FIELD(struct container_state, dead, "Dead", JSON_BOOL_FIELD),
	JSON_FIELD(struct container_state, pid, "Pid", JSON_INT),
	JSON_FIELD(struct container_state, exit_code, "ExitCode", JSON_INT),
	JSON_FIELD(struct container_state, error, "Error", JSON_STRING_FIELD, .flags = JSON_EMPTYNULL),
	JSON_FIELD(struct container_state, started_at, "StartedAt", JSON_STRING_FIELD, .flags = JSON_EMPTYNULL),
	JSON_FIELD(struct container_state, finished_at, "FinishedAt", JSON_STRING_FIELD, .flags = JSON_EMPTYNULL),
	JSON_FIELD(struct container_state, health, "Health", JSON_OBJECT_PTR, .table = &health_table,
		.flags = JSON_OMITEMPTY),
};
const struct json_table container_state_table = JSON_TABLE(struct container_state, container_state_fields);

static const struct json_field graph_driver_fields[] = {
	JSON_FIELD(struct graph_driver, data, "Data", JSON_STRMAP),
	JSON_FIELD(struct graph_driver, name, "Name", JSON_STRING_FIELD, .flags = JSON_EMPTYNULL),
};
const struct json_table graph_driver_table = JSON_TABLE(struct graph_driver, graph_driver_fields);

static const struct json_field network_address_fields[] = {
	JSON_FIELD(struct network_address, addr, "Addr", JSON_STRING_FIELD, .flags = JSON_EMPTYNULL),
	JSON_FIELD(struct network_address, prefix_len, "PrefixLen", JSON_INT),
};
static const struct json_table network_address_table = JSON_TABLE(struct network_address, network_address_fields);

static const struct json_field container_network_settings_fields[] = {
	JSON_FIELD(struct container_network_settings, bridge, "Bridge", JSON_STRING_FIELD, .flags = JSON_EMPTYNULL),
	JSON_FIELD(struct container_network_settings, sandbox_id, "SandboxID", JSON_STRING_FIELD,
		.flags = JSON_EMPTYNULL),
	JSON_FIELD(struct container_network_settings, sandbox_key, "SandboxKey", JSON_STRING_FIELD,
		.flags = JSON_EMPTYNULL),
	JSON_FIELD(struct container_network_settings, ports, "Ports", JSON_RAW),
	JSON_FIELD(struct container_network_settings, hairpin_mode, "HairpinMode", JSON_BOOL_FIELD),
	JSON_FIELD(struct container_network_settings, link_local_ipv6_address, "LinkLocalIPv6Address",
		JSON_STRING_FIELD, .flags = JSON_EMPTYNULL),
	JSON_FIELD(struct container_network_settings, link_local_ipv6_prefix_len, "LinkLocalIPv6PrefixLen", JSON_INT),
	JSON_FIELD_ARRAY(struct container_network_settings, secondary_ip_addresses, secondary_ip_addresse_count,
		"SecondaryIPAddresses", JSON_OBJECTS, .table = &network_address_table),
	JSON_FIELD_ARRAY(struct container_network_settings, secondary_ipv6_addresses, secondary_ipv6_addresse_count,
		"SecondaryIPv6Addresses", JSON_OBJECTS, .table = &network_address_table),
	JSON_FIELD(struct container_network_settings, endpoint_id, "EndpointID", JSON_STRING_FIELD,
		.flags = JSON_EMPTYNULL),
	JSON_FIELD(struct container_network_settings, gateway, "Gateway", JSON_STRING_FIELD, .flags = JSON_EMPTYNULL),
	JSON_FIELD(struct container_network_settings, global_ipv6_address, "GlobalIPv6Address", JSON_STRING_FIELD,
		.flags = JSON_EMPTYNULL),
	JSON_FIELD(struct container_network_settings, global_ipv6_prefix_len, "GlobalIPv6PrefixLen", JSON_INT),
	JSON_FIELD(struct container_network_settings, ip_address, "IPAddress", JSON_STRING_FIELD,
		.flags = JSON_EMPTYNULL),
	JSON_FIELD(struct container_network_settings, ip_prefix_len, "IPPrefixLen", JSON_INT),
	JSON_FIELD(struct container_network_settings, ipv6_gateway, "IPv6Gateway", JSON_STRING_FIELD,
		.flags = JSON_EMPTYNULL),
	JSON_FIELD(struct container_network_settings, mac_address, "MacAddress", JSON_STRING_FIELD,
		.flags = JSON_EMPTYNULL),
	JSON_FIELD(struct container_network_settings, networks, "Networks", JSON_OBJECT_MAP,
		.table = &endpoint_settings_table, .flags = JSON_EMPTYNULL),
};
static const struct json_table container_network_settings_table = JSON_TABLE(struct container_network_settings,
	container_network_settings_fields);

static const struct json_field container_inspect_fields[] = {
	JSON_FIELD(struct container_inspect, id, "Id", JSON_STRING_FIELD, .flags = JSON_EMPTYNULL),
	JSON_FIELD(struct container_inspect, created, "Created", JSON_STRING_FIELD, .flags = JSON_EMPTYNULL),
	JSON_FIELD(struct container_inspect, path, "Path", JSON_STRING_FIELD, .flags = JSON_EMPTYNULL),
	JSON_FIELD(struct container_inspect, args, "Args", JSON_STRV, .flags = JSON_EMPTYNULL),
	JSON_FIELD(struct container_inspect, state, "State", JSON_OBJECT_PTR, .table = &container_state_table),
	JSON_FIELD(struct container_inspect, image, "Image", JSON_STRING_FIELD, .flags = JSON_EMPTYNULL),
	JSON_FIELD(struct container_inspect, resolv_conf_path, "ResolvConfPath", JSON_STRING_FIELD,
		.flags = JSON_EMPTYNULL),
	JSON_FIELD(struct container_inspect, hostname_path, "HostnamePath", JSON_STRING_FIELD, .flags = JSON_EMPTYNULL),
	JSON_FIELD(struct container_inspect, hosts_path, "HostsPath", JSON_STRING_FIELD, .flags = JSON_EMPTYNULL),
	JSON_FIELD(struct container_inspect, log_path, "LogPath", JSON_STRING_FIELD, .flags = JSON_EMPTYNULL),
	JSON_FIELD(struct container_inspect, name, "Name", JSON_STRING_FIELD, .flags = JSON_EMPTYNULL),
	JSON_FIELD(struct container_inspect, restart_count, "RestartCount", JSON_INT),
	JSON_FIELD(struct container_inspect, driver, "Driver", JSON_STRING_FIELD, .flags = JSON_EMPTYNULL),
	JSON_FIELD(struct container_inspect, platform, "Platform", JSON_STRING_FIELD, .flags = JSON_EMPTYNULL),
	JSON_FIELD(struct container_inspect, mount_label, "MountLabel", JSON_STRING_FIELD, .flags = JSON_EMPTYNULL),
	JSON_FIELD(struct container_inspect, process_label, "ProcessLabel", JSON_STRING_FIELD, .flags = JSON_EMPTYNULL),
	JSON_FIELD(struct container_inspect, apparmor_profile, "AppArmorProfile", JSON_STRING_FIELD,
		.flags = JSON_EMPTYNULL),
	JSON_FIELD(struct container_inspect, exec_ids, "ExecIDs", JSON_STRV),
	JSON_FIELD(struct container_inspect, host, "HostConfig", JSON_OBJECT_PTR, .table = &host_config_table),
	JSON_FIELD(struct container_inspect, graph_driver, "GraphDriver", JSON_OBJECT_FIELD,
		.table = &graph_driver_table),
	JSON_FIELD(struct container_inspect, size_rw, "SizeRw", JSON_OPT_INT, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct container_inspect, size_root_fs, "SizeRootFs", JSON_OPT_INT, .flags = JSON_OMITEMPTY),
	JSON_FIELD_ARRAY(struct container_inspect, mounts, mount_count, "Mounts", JSON_OBJECTS,
		.table = &mount_point_table, .flags = JSON_EMPTYNULL),
	JSON_FIELD(struct container_inspect, config, "Config", JSON_OBJECT_PTR, .table = &container_config_table),
	JSON_FIELD(struct container_inspect, network_settings, "NetworkSettings", JSON_OBJECT_PTR,
		.table = &container_network_settings_table),
};
const struct json_table container_inspect_table = JSON_TABLE(struct container_inspect, container_inspect_fields);

static const struct json_field port_summary_fields[] = {
	JSON_FIELD(struct port_summary, ip, "IP", JSON_STRING_FIELD, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct port_summary, private_port, "PrivatePort", JSON_INT),
	JSON_FIELD(struct port_summary, public_port, "PublicPort", JSON_INT, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct port_summary, type, "Type", JSON_STRING_FIELD, .flags = JSON_EMPTYNULL),
};
static const struct json_table port_summary_table = JSON_TABLE(struct port_summary, port_summary_fields);

static const struct json_field container_summary_host_fields[] = {
	JSON_FIELD(struct container_summary_host, network_mode, "NetworkMode", JSON_STRING_FIELD,
		.flags = JSON_OMITEMPTY),
	JSON_FIELD(struct container_summary_host, annotations, "Annotations", JSON_STRMAP, .flags = JSON_OMITEMPTY),
};
static const struct json_table container_summary_host_table = JSON_TABLE(struct container_summary_host,
	container_summary_host_fields);

static const struct json_field container_summary_networks_fields[] = {
	JSON_FIELD(struct container_summary_networks, networks, "Networks", JSON_OBJECT_MAP,
		.table = &endpoint_settings_table, .flags = JSON_EMPTYNULL),
};
static const struct json_table container_summary_networks_table = JSON_TABLE(struct container_summary_networks,
	container_summary_networks_fields);

static const struct json_field container_summary_fields[] = {
	JSON_FIELD(struct container_summary, id, "Id", JSON_STRING_FIELD, .flags = JSON_EMPTYNULL),
	JSON_FIELD(struct container_summary, names, "Names", JSON_STRV),
	JSON_FIELD(struct container_summary, image, "Image", JSON_STRING_FIELD, .flags = JSON_EMPTYNULL),
	JSON_FIELD(struct container_summary, image_id, "ImageID", JSON_STRING_FIELD, .flags = JSON_EMPTYNULL),
	JSON_FIELD(struct container_summary, command, "Command", JSON_STRING_FIELD, .flags = JSON_EMPTYNULL),
	JSON_FIELD(struct container_summary, created, "Created", JSON_INT),
	JSON_FIELD_ARRAY(struct container_summary, ports, port_count, "Ports", JSON_OBJECTS,
		.table = &port_summary_table, .flags = JSON_EMPTYNULL),
	JSON_FIELD(struct container_summary, size_rw, "SizeRw", JSON_INT, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct container_summary, size_root_fs, "SizeRootFs", JSON_INT, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct container_summary, labels, "Labels", JSON_STRMAP, .flags = JSON_EMPTYNULL),
	JSON_FIELD(struct container_summary, state, "State", JSON_STRING_FIELD, .flags = JSON_EMPTYNULL),
	JSON_FIELD(struct container_summary, status, "Status", JSON_STRING_FIELD, .flags = JSON_EMPTYNULL),
	JSON_FIELD(struct container_summary, host, "HostConfig", JSON_OBJECT_FIELD,
		.table = &container_summary_host_table),
	JSON_FIELD(struct container_summary, network_settings, "NetworkSettings", JSON_OBJECT_PTR,
		.table = &container_summary_networks_table),
	JSON_FIELD_ARRAY(struct container_summary, mounts, mount_count, "Mounts", JSON_OBJECTS,
		.table = &mount_point_table, .flags = JSON_EMPTYNULL),
};
const struct json_table container_summary_table = JSON_TABLE(struct container_summary, container_summary_fields);

static const struct json_field create_answer_fields[] = {
	JSON_FIELD(struct create_answer, id, "Id", JSON_STRING_FIELD, .flags = JSON_EMPTYNULL),
	JSON_FIELD(struct create_answer, warnings, "Warnings", JSON_STRV, .flags = JSON_EMPTYNULL),
};
const struct json_table create_answer_table = JSON_TABLE(struct create_answer, create_answer_fields);

static const struct json_field id_answer_fields[] = {
	JSON_FIELD(struct id_answer, id, "Id", JSON_STRING_FIELD, .flags = JSON_EMPTYNULL),
};
const struct json_table id_answer_table = JSON_TABLE(struct id_answer, id_answer_fields);

static const struct json_field update_answer_fields[] = {
	JSON_FIELD(struct update_answer, warnings, "Warnings", JSON_STRV),
};
const struct json_table update_answer_table = JSON_TABLE(struct update_answer, update_answer_fields);

static const struct json_field wait_error_fields[] = {
	JSON_FIELD(struct wait_error, message, "Message", JSON_STRING_FIELD, .flags = JSON_OMITEMPTY),
};
static const struct json_table wait_error_table = JSON_TABLE(struct wait_error, wait_error_fields);

static const struct json_field wait_answer_fields[] = {
	JSON_FIELD(struct wait_answer, status_code, "StatusCode", JSON_INT),
	JSON_FIELD(struct wait_answer, error, "Error", JSON_OBJECT_PTR, .table = &wait_error_table,
		.flags = JSON_OMITEMPTY),
};
const struct json_table wait_answer_table = JSON_TABLE(struct wait_answer, wait_answer_fields);

static const struct json_field top_answer_fields[] = {
	JSON_FIELD(struct top_answer, titles, "Titles", JSON_STRV),
	JSON_FIELD(struct top_answer, processes, "Processes", JSON_RAW),
};
const struct json_table top_answer_table = JSON_TABLE(struct top_answer, top_answer_fields);

static const struct json_field filesystem_change_fields[] = {
	JSON_FIELD(struct filesystem_change, kind, "Kind", JSON_INT),
	JSON_FIELD(struct filesystem_change, path, "Path", JSON_STRING_FIELD, .flags = JSON_EMPTYNULL),
};
const struct json_table filesystem_change_table = JSON_TABLE(struct filesystem_change, filesystem_change_fields);

static const struct json_field containers_prune_answer_fields[] = {
	JSON_FIELD(struct containers_prune_answer, deleted, "ContainersDeleted", JSON_STRV),
	JSON_FIELD(struct containers_prune_answer, space_reclaimed, "SpaceReclaimed", JSON_UINT),
};
const struct json_table containers_prune_answer_table = JSON_TABLE(struct containers_prune_answer,
	containers_prune_answer_fields);
