/*
 * What the Engine API answers about containers: inspect, the entries of the list, and small answers. These are written
 * only; a pointer may be borrowed where the writer does not finish the struct.
 */
#pragma once

#include "spec/container_config.h"
#include "spec/health.h"

struct mount_point {
	char *type;
	char *name;
	char *source;
	char *destination;
	char *driver;
	char *mode;
	bool rw;
	char *propagation;
};

struct container_state {
	char *status; /* created, running, paused, restarting, removing, exited, dead */
	bool running;
	bool paused;
	bool restarting;
	bool oom_killed;
	bool dead;
	int64_t pid;
	int64_t exit_code;
	char *error;
	char *started_at;
	char *finished_at;
	struct health *health;
};

struct graph_driver {
	struct map *data;
	char *name;
};

struct network_address {
	char *addr;
	int64_t prefix_len;
};

struct container_network_settings {
	char *bridge;
	char *sandbox_id;
	char *sandbox_key;
	json_t *ports; /* "80/tcp" to null or array of {HostIp, HostPort}; set it to {} */
	bool hairpin_mode;
	char *link_local_ipv6_address;
	int64_t link_local_ipv6_prefix_len;
	struct network_address *secondary_ip_addresses;
	size_t secondary_ip_addresse_count;
	struct network_address *secondary_ipv6_addresses;
	size_t secondary_ipv6_addresse_count;
	char *endpoint_id;
	char *gateway;
	char *global_ipv6_address;
	int64_t global_ipv6_prefix_len;
	char *ip_address;
	int64_t ip_prefix_len;
	char *ipv6_gateway;
	char *mac_address;
	struct map *networks; /* network name to struct endpoint_settings */
};

/* GET /containers/ID/json */
struct container_inspect {
	char *id;
	char *created;
	char *path;
	char **args;
	struct container_state *state;
	char *image; /* its ID */
	char *resolv_conf_path;
	char *hostname_path;
	char *hosts_path;
	char *log_path;
	char *name; /* with a leading slash */
	int64_t restart_count;
	char *driver;
	char *platform;
	char *mount_label;
	char *process_label;
	char *apparmor_profile;
	char **exec_ids; /* NULL if there are none */
	struct host_config *host;
	struct graph_driver graph_driver;
	struct json_opt_int size_rw;
	struct json_opt_int size_root_fs;
	struct mount_point *mounts;
	size_t mount_count;
	struct container_config *config;
	struct container_network_settings *network_settings;
};

struct port_summary {
	char *ip;
	int64_t private_port;
	int64_t public_port;
	char *type;
};

struct container_summary_host {
	char *network_mode;
	struct map *annotations;
};

struct container_summary_networks {
	struct map *networks;
};

/* An entry of GET /containers/json */
struct container_summary {
	char *id;
	char **names; /* with leading slashes */
	char *image;
	char *image_id;
	char *command;
	int64_t created; /* seconds */
	struct port_summary *ports;
	size_t port_count;
	int64_t size_rw;
	int64_t size_root_fs;
	struct map *labels;
	char *state;
	char *status; /* "Up 3 minutes" */
	struct container_summary_host host;
	struct container_summary_networks *network_settings;
	struct mount_point *mounts;
	size_t mount_count;
};

/* POST /containers/create, /containers/ID/exec (id alone), /containers/ID/update (warnings alone) */
struct create_answer {
	char *id;
	char **warnings;
};

struct id_answer {
	char *id;
};

struct update_answer {
	char **warnings;
};

struct wait_error {
	char *message;
};

/* POST /containers/ID/wait */
struct wait_answer {
	int64_t status_code;
	struct wait_error *error;
};

/* GET /containers/ID/top */
struct top_answer {
	char **titles;
	json_t *processes; /* array of arrays of strings */
};

struct filesystem_change {
	int64_t kind; /* 0 modified, 1 added, 2 deleted */
	char *path;
};

struct containers_prune_answer {
	char **deleted;
	uint64_t space_reclaimed;
};

extern const struct json_table mount_point_table;
extern const struct json_table container_state_table;
extern const struct json_table graph_driver_table;
extern const struct json_table container_inspect_table;
extern const struct json_table container_summary_table;
extern const struct json_table create_answer_table;
extern const struct json_table id_answer_table;
extern const struct json_table update_answer_table;
extern const struct json_table wait_answer_table;
extern const struct json_table top_answer_table;
extern const struct json_table filesystem_change_table;
extern const struct json_table containers_prune_answer_table;
