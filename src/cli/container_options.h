/* The options that `run` and `create` share: everything a container can be made with. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "cli/options.h"

struct container_options {
	/* of `run` alone */
	bool detach;
	bool sig_proxy;
	const char *detach_keys;

	/* what to run, and how it is called */
	const char *name;
	const char *cidfile;
	const char *pull;
	const char *platform;
	bool quiet;
	bool remove;
	bool disable_content_trust;
	bool use_api_socket;
	const char *entrypoint;
	const char *hostname;
	const char *domainname;
	const char *user;
	const char *workdir;
	char **env;
	struct option_int bandwidth_in, bandwidth_out;
	char **egress;
	char **env_files;
	char **labels;
	char **label_files;
	char **annotations;
	const char *stop_signal;
	struct option_int stop_timeout;
	const char *restart;
	const char *runtime;
	const char *isolation;
	struct option_bool init;

	/* streams */
	char **attach;
	bool interactive;
	bool tty;
	const char *log_driver;
	char **log_options;

	/* health */
	const char *health_cmd;
	int64_t health_interval;
	int64_t health_timeout;
	int64_t health_start_period;
	int64_t health_start_interval;
	int64_t health_retries;
	bool no_healthcheck;

	/* files */
	char **volumes;
	char **mounts;
	char **tmpfs;
	char **volumes_from;
	const char *volume_driver;
	char **storage_options;
	bool read_only;
	int64_t shm_size;

	/* network */
	char **networks;
	char **network_aliases;
	char **links;
	char **link_local_ips;
	const char *ip;
	const char *ip6;
	const char *mac_address;
	char **publish;
	bool publish_all;
	char **expose;
	char **dns;
	char **dns_options;
	char **dns_search;
	char **add_hosts;

	/* rights */
	bool privileged;
	char **cap_add;
	char **cap_drop;
	char **group_add;
	char **security_options;
	char **devices;
	char **device_cgroup_rules;
	char **gpus;
	char **sysctls;
	char **ulimits;
	const char *cgroupns;
	bool systemd;
	const char *ipc;
	const char *pid;
	const char *userns;
	const char *uts;

	/* resources */
	const char *cgroup_parent;
	int64_t memory;
	int64_t memory_reservation;
	int64_t memory_swap;
	int64_t memory_swappiness;
	int64_t kernel_memory;
	bool oom_kill_disable;
	int64_t oom_score_adj;
	int64_t pids_limit;
	int64_t nano_cpus;
	int64_t cpu_count;
	int64_t cpu_percent;
	int64_t cpu_period;
	int64_t cpu_quota;
	int64_t cpu_rt_period;
	int64_t cpu_rt_runtime;
	int64_t cpu_shares;
	const char *cpuset_cpus;
	const char *cpuset_mems;
	int64_t blkio_weight;
	char **blkio_weight_devices;
	char **device_read_bps;
	char **device_read_iops;
	char **device_write_bps;
	char **device_write_iops;
	int64_t io_max_bandwidth;
	int64_t io_max_iops;
};

extern const struct option_table container_options_table;
/* --detach, --detach-keys and --sig-proxy. */
extern const struct option_table container_options_run_table;
