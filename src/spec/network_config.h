/*
 * The Engine API's documents about networks: a container's endpoint, and networks themselves. Members are Docker's, as
 * docs of API 1.50 give them.
 */
#pragma once

#include "codec/json.h"

struct endpoint_ipam {
	char *ipv4_address;
	char *ipv6_address;
	char **link_local_ips;
};

struct endpoint_settings {
	struct endpoint_ipam *ipam;
	char **links;
	char **aliases;
	char *mac_address;
	struct map *driver_opts;
	int64_t gw_priority;
	char *network_id;
	char *endpoint_id;
	char *gateway;
	char *ip_address;
	int64_t ip_prefix_len;
	char *ipv6_gateway;
	char *global_ipv6_address;
	int64_t global_ipv6_prefix_len;
	char **dns_names;
};

struct networking_config {
	struct map *endpoints; /* network name to struct endpoint_settings */
};

struct network_ipam_pool {
	char *subnet;
	char *ip_range;
	char *gateway;
	struct map *aux_addresses;
};

struct network_ipam {
	char *driver;
	struct map *options;
	struct network_ipam_pool *config;
	size_t config_count;
};

struct network_config_from {
	char *network;
};

struct network_endpoint {
	char *name;
	char *endpoint_id;
	char *mac_address;
	char *ipv4_address;
	char *ipv6_address;
};

/* An entry of GET /networks, and GET /networks/ID. */
struct network_info {
	char *name;
	char *id;
	char *created;
	char *scope;
	char *driver;
	bool enable_ipv4;
	bool enable_ipv6;
	struct network_ipam ipam;
	bool internal;
	bool attachable;
	bool ingress;
	struct network_config_from config_from;
	bool config_only;
	struct map *containers;
	struct map *options;
	struct map *labels;
};

/* POST /networks/create */
struct network_create {
	char *name;
	char *driver;
	char *scope;
	struct json_opt_bool enable_ipv4;
	struct json_opt_bool enable_ipv6;
	struct network_ipam *ipam;
	bool internal;
	bool attachable;
	bool ingress;
	bool config_only;
	struct network_config_from *config_from;
	struct map *options;
	struct map *labels;
};

/* POST /networks/ID/connect and disconnect */
struct network_connect {
	char *container;
	struct endpoint_settings *endpoint;
	bool force;
};

extern const struct json_table endpoint_settings_table;
extern const struct json_table networking_config_table;
extern const struct json_table network_info_table;
extern const struct json_table network_create_table;
extern const struct json_table network_connect_table;
