/*
 * What the Engine API says about how a container is to be: the body of POST /containers/create and its parts, which inspect
 * gives back as create got them, and the body of update. API 1.50; older clients send less of it.
 *
 * null and absence are one, [] is told apart from them, and strings that Docker never prints as null are written as "".
 * Parsing checks types alone; what values mean is for whoever makes a container of them.
 */
#pragma once

#include "spec/health.h"
#include "spec/network_config.h"

/* Ceiling of the create body. */
#define CONTAINER_CREATE_MAX (4 * 1024 * 1024)

struct container_config {
	char *hostname;
	char *domainname;
	char *user;
	bool attach_stdin;
	bool attach_stdout;
	bool attach_stderr;
	char **exposed_ports;
	bool tty;
	bool open_stdin;
	bool stdin_once;
	char **env;
	char **cmd;
	struct healthcheck *healthcheck;
	bool args_escaped;
	char *image;
	char **volumes;
	char *working_dir;
	char **entrypoint; /* NULL: the image's; [] or [""]: none */
	bool network_disabled;
	char *mac_address;
	char **on_build;
	struct map *labels;
	char *stop_signal;
	struct json_opt_int stop_timeout_s;
	char **shell;
};

struct block_weight_device {
	char *path;
	int64_t weight;
};

struct block_throttle_device {
	char *path;
	uint64_t rate;
};

struct device_mapping {
	char *path_on_host;
	char *path_in_container;
	char *permissions;
};

struct device_request {
	char *driver;
	int64_t count;
	char **device_ids;
	json_t *capabilities; /* array of arrays of strings */
	struct map *options;
};

struct ulimit {
	char *name;
	int64_t hard; /* -1: none */
	int64_t soft;
};

struct host_resources {
	int64_t cpu_shares;
	int64_t memory; /* bytes */
	int64_t nano_cpus;
	char *cgroup_parent;
	int64_t blkio_weight;
	struct block_weight_device *blkio_weight_devices;
	size_t blkio_weight_device_count;
	struct block_throttle_device *blkio_read_bps;
	size_t blkio_read_bps_count;
	struct block_throttle_device *blkio_write_bps;
	size_t blkio_write_bps_count;
	struct block_throttle_device *blkio_read_iops;
	size_t blkio_read_iops_count;
	struct block_throttle_device *blkio_write_iops;
	size_t blkio_write_iops_count;
	int64_t cpu_period;
	int64_t cpu_quota;
	int64_t cpu_realtime_period;
	int64_t cpu_realtime_runtime;
	char *cpuset_cpus;
	char *cpuset_mems;
	struct device_mapping *devices;
	size_t device_count;
	char **device_cgroup_rules;
	struct device_request *device_requests;
	size_t device_request_count;
	int64_t kernel_memory;
	int64_t kernel_memory_tcp;
	int64_t memory_reservation;
	int64_t memory_swap; /* with memory; -1: no limit */
	struct json_opt_int memory_swappiness;
	struct json_opt_bool oom_kill_disable;
	struct json_opt_int pids_limit;
	struct ulimit *ulimits;
	size_t ulimit_count;
	int64_t cpu_count;
	int64_t cpu_percent;
	uint64_t io_maximum_iops;
	uint64_t io_maximum_bandwidth;
};

struct log_config {
	char *type;
	struct map *config;
};

struct restart_policy {
	char *name;
	int64_t maximum_retry_count;
};

struct mount_bind_options {
	char *propagation;
	bool non_recursive;
	bool create_mountpoint; /* make the source */
	bool read_only_non_recursive;
	bool read_only_force_recursive;
};

struct mount_driver {
	char *name;
	struct map *options;
};

struct mount_volume_options {
	bool no_copy;
	struct map *labels;
	char *subpath;
	struct mount_driver *driver;
};

struct mount_image_options {
	char *subpath;
};

struct mount_tmpfs_options {
	int64_t size_bytes;
	int64_t mode;
	json_t *options; /* array of arrays of strings */
};

struct mount_config {
	char *type; /* bind, volume, tmpfs, image, ... */
	char *source;
	char *target;
	bool read_only;
	char *consistency;
	struct mount_bind_options *bind;
	struct mount_volume_options *volume;
	struct mount_image_options *image;
	struct mount_tmpfs_options *tmpfs;
};

struct host_config {
	char **binds;
	char *container_id_file;
	struct log_config log;
	char *network_mode;
	json_t *port_bindings; /* "80/tcp" to array of {HostIp, HostPort}; checked by container_create_parse */
	struct restart_policy restart_policy;
	bool auto_remove;
	char *volume_driver;
	char **volumes_from;
	int64_t *console_size; /* height, width */
	size_t console_size_count;
	struct map *annotations;
	char **cap_add;
	char **cap_drop;
	char *cgroupns_mode;
	char **dns;
	char **dns_options;
	char **dns_search;
	int64_t bandwidth_in; /* ours: bits a second; 0: no limit */
	int64_t bandwidth_out;
	char **egress; /* ours: spec/egress.h */
	char **extra_hosts;
	char **group_add;
	char *ipc_mode;
	char *cgroup;
	char **links;
	int64_t oom_score_adj;
	char *pid_mode;
	bool privileged;
	bool publish_all_ports;
	bool readonly_rootfs;
	char **security_opt;
	struct map *storage_opt;
	struct map *tmpfs;
	char *uts_mode;
	char *userns_mode;
	int64_t shm_size;
	struct map *sysctls;
	char *runtime;
	char *isolation;
	struct host_resources resources;
	struct mount_config *mounts;
	size_t mount_count;
	char **masked_paths; /* NULL: the default ones */
	char **readonly_paths;
	struct json_opt_bool init;
};

/* POST /containers/create */
struct container_create {
	struct container_config config;
	struct host_config *host;
	struct networking_config *networking;
};

/* POST /containers/ID/update */
struct container_update {
	struct host_resources resources;
	struct restart_policy restart_policy;
	json_t *publish_add; /* ours: as PortBindings */
	json_t *publish_remove;
	struct json_opt_int bandwidth_in; /* ours: 0: no limit any more */
	struct json_opt_int bandwidth_out;
	char **egress; /* ours: in place of all that is there; NULL: as it is */
};

extern const struct json_table container_config_table;
extern const struct json_table host_config_table;
extern const struct json_table host_resources_table;
extern const struct json_table restart_policy_table;
extern const struct json_table container_create_table;
extern const struct json_table container_update_table;
/* Whether it has the form of PortBindings; NULL has. */
int container_check_bindings(const json_t *bindings, struct err **reterr);

/*
 * The create body, with `host` and `networking` there whether it had them or not, and console_size of two numbers.
 * ERR_INVALID names the member; ERR_TOO_LARGE is past CONTAINER_CREATE_MAX.
 */
int container_create_parse(const char *text, size_t len, struct container_create *out, struct err **reterr);
void container_create_finish(struct container_create *create);
