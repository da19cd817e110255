#include "spec/network_config.h"

static const struct json_field endpoint_ipam_fields[] = {
	JSON_FIELD(struct endpoint_ipam, ipv4_address, "IPv4Address", JSON_STRING_FIELD, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct endpoint_ipam, ipv6_address, "IPv6Address", JSON_STRING_FIELD, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct endpoint_ipam, link_local_ips, "LinkLocalIPs", JSON_STRV, .flags = JSON_OMITEMPTY),
};
static const struct json_table endpoint_ipam_table = JSON_TABLE(struct endpoint_ipam, endpoint_ipam_fields);

static const struct json_field endpoint_settings_fields[] = {
	JSON_FIELD(struct endpoint_settings, ipam, "IPAMConfig", JSON_OBJECT_PTR, .table = &endpoint_ipam_table),
	JSON_FIELD(struct endpoint_settings, links, "Links", JSON_STRV),
	JSON_FIELD(struct endpoint_settings, aliases, "Aliases", JSON_STRV),
	JSON_FIELD(struct endpoint_settings, mac_address, "MacAddress", JSON_STRING_FIELD, .flags = JSON_EMPTYNULL),
	JSON_FIELD(struct endpoint_settings, driver_opts, "DriverOpts", JSON_STRMAP),
	JSON_FIELD(struct endpoint_settings, gw_priority, "GwPriority", JSON_INT),
	JSON_FIELD(struct endpoint_settings, network_id, "NetworkID", JSON_STRING_FIELD, .flags = JSON_EMPTYNULL),
	JSON_FIELD(struct endpoint_settings, endpoint_id, "EndpointID", JSON_STRING_FIELD, .flags = JSON_EMPTYNULL),
	JSON_FIELD(struct endpoint_settings, gateway, "Gateway", JSON_STRING_FIELD, .flags = JSON_EMPTYNULL),
	JSON_FIELD(struct endpoint_settings, ip_address, "IPAddress", JSON_STRING_FIELD, .flags = JSON_EMPTYNULL),
	JSON_FIELD(struct endpoint_settings, ip_prefix_len, "IPPrefixLen", JSON_INT),
	JSON_FIELD(struct endpoint_settings, ipv6_gateway, "IPv6Gateway", JSON_STRING_FIELD, .flags = JSON_EMPTYNULL),
	JSON_FIELD(struct endpoint_settings, global_ipv6_address, "GlobalIPv6Address", JSON_STRING_FIELD,
		.flags = JSON_EMPTYNULL),
	JSON_FIELD(struct endpoint_settings, global_ipv6_prefix_len, "GlobalIPv6PrefixLen", JSON_INT),
	JSON_FIELD(struct endpoint_settings, dns_names, "DNSNames", JSON_STRV),
};
const struct json_table endpoint_settings_table = JSON_TABLE(struct endpoint_settings, endpoint_settings_fields);

static const struct json_field networking_config_fields[] = {
	JSON_FIELD(struct networking_config, endpoints, "EndpointsConfig", JSON_OBJECT_MAP,
		.table = &endpoint_settings_table),
};
const struct json_table networking_config_table = JSON_TABLE(struct networking_config, networking_config_fields);

static const struct json_field network_ipam_pool_fields[] = {
	JSON_FIELD(struct network_ipam_pool, subnet, "Subnet", JSON_STRING_FIELD, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct network_ipam_pool, ip_range, "IPRange", JSON_STRING_FIELD, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct network_ipam_pool, gateway, "Gateway", JSON_STRING_FIELD, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct network_ipam_pool, aux_addresses, "AuxiliaryAddresses", JSON_STRMAP, .flags = JSON_OMITEMPTY),
};
static const struct json_table network_ipam_pool_table = JSON_TABLE(struct network_ipam_pool, network_ipam_pool_fields);

static const struct json_field network_ipam_fields[] = {
	JSON_FIELD(struct network_ipam, driver, "Driver", JSON_STRING_FIELD, .flags = JSON_EMPTYNULL),
	JSON_FIELD(struct network_ipam, options, "Options", JSON_STRMAP),
	JSON_FIELD_ARRAY(struct network_ipam, config, config_count, "Config", JSON_OBJECTS,
		.table = &network_ipam_pool_table),
};
static const struct json_table network_ipam_table = JSON_TABLE(struct network_ipam, network_ipam_fields);

static const struct json_field network_config_from_fields[] = {
	JSON_FIELD(struct network_config_from, network, "Network", JSON_STRING_FIELD, .flags = JSON_EMPTYNULL),
};
static const struct json_table network_config_from_table = JSON_TABLE(struct network_config_from,
	network_config_from_fields);

static const struct json_field network_endpoint_fields[] = {
	JSON_FIELD(struct network_endpoint, name, "Name", JSON_STRING_FIELD, .flags = JSON_EMPTYNULL),
	JSON_FIELD(struct network_endpoint, endpoint_id, "EndpointID", JSON_STRING_FIELD, .flags = JSON_EMPTYNULL),
	JSON_FIELD(struct network_endpoint, mac_address, "MacAddress", JSON_STRING_FIELD, .flags = JSON_EMPTYNULL),
	JSON_FIELD(struct network_endpoint, ipv4_address, "IPv4Address", JSON_STRING_FIELD, .flags = JSON_EMPTYNULL),
	JSON_FIELD(struct network_endpoint, ipv6_address, "IPv6Address", JSON_STRING_FIELD, .flags = JSON_EMPTYNULL),
};
static const struct json_table network_endpoint_table = JSON_TABLE(struct network_endpoint, network_endpoint_fields);

static const struct json_field network_info_fields[] = {
	JSON_FIELD(struct network_info, name, "Name", JSON_STRING_FIELD, .flags = JSON_EMPTYNULL),
	JSON_FIELD(struct network_info, id, "Id", JSON_STRING_FIELD, .flags = JSON_EMPTYNULL),
	JSON_FIELD(struct network_info, created, "Created", JSON_STRING_FIELD, .flags = JSON_EMPTYNULL),
	JSON_FIELD(struct network_info, scope, "Scope", JSON_STRING_FIELD, .flags = JSON_EMPTYNULL),
	JSON_FIELD(struct network_info, driver, "Driver", JSON_STRING_FIELD, .flags = JSON_EMPTYNULL),
	JSON_FIELD(struct network_info, enable_ipv4, "EnableIPv4", JSON_BOOL_FIELD),
	JSON_FIELD(struct network_info, enable_ipv6, "EnableIPv6", JSON_BOOL_FIELD),
	JSON_FIELD(struct network_info, ipam, "IPAM", JSON_OBJECT_FIELD, .table = &network_ipam_table),
	JSON_FIELD(struct network_info, internal, "Internal", JSON_BOOL_FIELD),
	JSON_FIELD(struct network_info, attachable, "Attachable", JSON_BOOL_FIELD),
	JSON_FIELD(struct network_info, ingress, "Ingress", JSON_BOOL_FIELD),
	JSON_FIELD(struct network_info, config_from, "ConfigFrom", JSON_OBJECT_FIELD,
		.table = &network_config_from_table),
	JSON_FIELD(struct network_info, config_only, "ConfigOnly", JSON_BOOL_FIELD),
	JSON_FIELD(struct network_info, containers, "Containers", JSON_OBJECT_MAP, .table = &network_endpoint_table,
		.flags = JSON_EMPTYNULL),
	JSON_FIELD(struct network_info, options, "Options", JSON_STRMAP, .flags = JSON_EMPTYNULL),
	JSON_FIELD(struct network_info, labels, "Labels", JSON_STRMAP, .flags = JSON_EMPTYNULL),
};
const struct json_table network_info_table = JSON_TABLE(struct network_info, network_info_fields);

static const struct json_field network_create_fields[] = {
	JSON_FIELD(struct network_create, name, "Name", JSON_STRING_FIELD, .flags = JSON_EMPTYNULL),
	JSON_FIELD(struct network_create, driver, "Driver", JSON_STRING_FIELD, .flags = JSON_EMPTYNULL),
	JSON_FIELD(struct network_create, scope, "Scope", JSON_STRING_FIELD, .flags = JSON_EMPTYNULL),
	JSON_FIELD(struct network_create, enable_ipv4, "EnableIPv4", JSON_OPT_BOOL, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct network_create, enable_ipv6, "EnableIPv6", JSON_OPT_BOOL, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct network_create, ipam, "IPAM", JSON_OBJECT_PTR, .table = &network_ipam_table),
	JSON_FIELD(struct network_create, internal, "Internal", JSON_BOOL_FIELD),
	JSON_FIELD(struct network_create, attachable, "Attachable", JSON_BOOL_FIELD),
	JSON_FIELD(struct network_create, ingress, "Ingress", JSON_BOOL_FIELD),
	JSON_FIELD(struct network_create, config_only, "ConfigOnly", JSON_BOOL_FIELD),
	JSON_FIELD(struct network_create, config_from, "ConfigFrom", JSON_OBJECT_PTR,
		.table = &network_config_from_table),
	JSON_FIELD(struct network_create, options, "Options", JSON_STRMAP),
	JSON_FIELD(struct network_create, labels, "Labels", JSON_STRMAP),
};
const struct json_table network_create_table = JSON_TABLE(struct network_create, network_create_fields);

static const struct json_field network_connect_fields[] = {
	JSON_FIELD(struct network_connect, container, "Container", JSON_STRING_FIELD, .flags = JSON_EMPTYNULL),
	JSON_FIELD(struct network_connect, endpoint, "EndpointConfig", JSON_OBJECT_PTR,
		.table = &endpoint_settings_table, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct network_connect, force, "Force", JSON_BOOL_FIELD, .flags = JSON_OMITEMPTY),
};
const struct json_table network_connect_table = JSON_TABLE(struct network_connect, network_connect_fields);
