/*
 * What the Engine API answers about the engine itself, and the documents that all of it shares: errors, events, the lines
 * of progress streams, volumes.
 */
#pragma once

#include "spec/container_inspect.h"
#include "spec/image_inspect.h"

/* The body of every answer that is not a success. */
struct error_answer {
	char *message;
};

struct stream_error {
	int64_t code;
	char *message;
};

struct stream_progress {
	int64_t current;
	int64_t total;
	int64_t start;
	bool hide_counts;
	char *units;
};

/* One line of the answer to load, import, pull, push, build. */
struct stream_message {
	char *stream;
	char *status;
	struct stream_progress *progress_detail;
	char *progress;
	char *id;
	struct stream_error *error_detail;
	char *error;
	json_t *aux;
};

struct event_actor {
	char *id;
	struct map *attributes;
};

/* One line of GET /events. The first three are for clients before 1.47; only containers' and images' events have them. */
struct event_message {
	char *status;
	char *id;
	char *from;
	char *type;
	char *action;
	struct event_actor actor;
	char *scope; /* "local" */
	int64_t time_s;
	int64_t time_ns;
};

struct version_platform {
	char *name;
};

struct version_component {
	char *name;
	char *version;
	struct map *details;
};

/* GET /version */
struct system_version {
	struct version_platform platform;
	struct version_component *components;
	size_t component_count;
	char *version;
	char *api_version;
	char *min_api_version;
	char *git_commit;
	char *go_version;
	char *os;
	char *arch;
	char *kernel_version;
	bool experimental;
	char *build_time;
};

struct info_plugins {
	char **volume;
	char **network;
	char **authorization;
	char **log;
};

struct info_runtime {
	char *path;
	char **args;
	char *type;
	struct map *status;
};

struct info_commit {
	char *id;
	char *expected;
};

struct info_swarm {
	char *node_id;
	char *node_addr;
	char *local_node_state; /* "inactive" */
	bool control_available;
	char *error;
	char **remote_managers;
};

struct info_address_pool {
	char *base;
	int64_t size;
};

struct info_firewall {
	char *driver;
};

/* GET /info */
struct system_info {
	char *id;
	int64_t containers;
	int64_t containers_running;
	int64_t containers_paused;
	int64_t containers_stopped;
	int64_t images;
	char *driver;
	json_t *driver_status; /* array of pairs of strings */
	struct info_plugins plugins;
	bool memory_limit;
	bool swap_limit;
	bool cpu_cfs_period;
	bool cpu_cfs_quota;
	bool cpu_shares;
	bool cpu_set;
	bool pids_limit;
	bool ipv4_forwarding;
	bool debug;
	int64_t fd_count;
	bool oom_kill_disable;
	int64_t goroutine_count;
	char *system_time;
	char *logging_driver;
	char *cgroup_driver;
	char *cgroup_version;
	int64_t events_listener_count;
	char *kernel_version;
	char *operating_system;
	char *os_version;
	char *os_type;
	char *architecture;
	char *index_server_address;
	json_t *registry_config;
	int64_t cpu_count;
	int64_t mem_total;
	json_t *generic_resources;
	char *docker_root_dir;
	char *http_proxy;
	char *https_proxy;
	char *no_proxy;
	char *name;
	char **labels;
	bool experimental_build;
	char *server_version;
	struct map *runtimes;
	char *default_runtime;
	struct info_swarm swarm;
	bool live_restore_enabled;
	char *isolation;
	char *init_binary;
	struct info_commit containerd_commit;
	struct info_commit runc_commit;
	struct info_commit init_commit;
	char **security_options;
	char *product_license;
	struct info_address_pool *default_address_pools;
	size_t default_address_pool_count;
	struct info_firewall *firewall_backend;
	char **cdi_spec_dirs;
	char **warnings;
};

struct volume_usage {
	int64_t ref_count;
	int64_t size;
};

/* GET /volumes/NAME, and the answer to create */
struct volume_info {
	char *created_at;
	char *driver;
	struct map *labels;
	char *mountpoint;
	char *name;
	struct map *options;
	char *scope;
	struct volume_usage *usage;
};

/* POST /volumes/create */
struct volume_create {
	char *driver;
	struct map *driver_opts;
	struct map *labels;
	char *name;
};

/* GET /volumes */
struct volume_list {
	struct volume_info *volumes;
	size_t volume_count;
	char **warnings;
};

struct volumes_prune_answer {
	char **deleted;
	uint64_t space_reclaimed;
};

/* GET /system/df */
struct disk_usage {
	int64_t layers_size;
	struct image_summary *images;
	size_t image_count;
	struct container_summary *containers;
	size_t container_count;
	struct volume_info *volumes;
	size_t volume_count;
	json_t *build_cache;
};

extern const struct json_table error_answer_table;
extern const struct json_table stream_message_table;
extern const struct json_table event_message_table;
extern const struct json_table system_version_table;
extern const struct json_table system_info_table;
extern const struct json_table volume_info_table;
extern const struct json_table volume_create_table;
extern const struct json_table volume_list_table;
extern const struct json_table volumes_prune_answer_table;
extern const struct json_table disk_usage_table;
