/*
 * The OCI runtime specification's documents, version 1.3, as far as they speak about Linux: config.json (a container's
 * configuration), state.json (what `state` prints and hooks read) and the `features` document.
 *
 * The structs mirror the documents member by member, so config.md explains them; only what differs is said here. A
 * pointer is NULL, a number's `set` false, a string NULL where the document is silent, since silence and zero differ in
 * meaning. Words with a fixed set of values (namespace types, capabilities, actions) stay strings: whoever uses one has
 * the table that gives it a meaning, and refuses what it does not know.
 *
 * Parsing checks the shape alone; oci_validate.h checks what the values may be.
 */
#pragma once

#include "codec/json.h"

#define OCI_VERSION_MIN "1.0.0"
#define OCI_VERSION     "1.3.0"

/* Ceiling for config.json, process.json and state.json. */
#define OCI_DOCUMENT_MAX (4 * 1024 * 1024)

struct oci_id_mapping {
	int64_t container_id;
	int64_t host_id;
	int64_t size;
};

struct oci_user {
	int64_t uid; /* 0 to 2^32 - 2 */
	int64_t gid;
	struct json_opt_int umask;
	int64_t *additional_gids;
	size_t additional_gid_count;
	char *username; /* Windows; never read */
};

struct oci_console_size {
	int64_t height;
	int64_t width;
};

struct oci_capabilities {
	char **bounding; /* "CAP_CHOWN" */
	char **effective;
	char **inheritable;
	char **permitted;
	char **ambient;
};

struct oci_rlimit {
	char *type; /* "RLIMIT_NOFILE" */
	uint64_t hard;
	uint64_t soft;
};

struct oci_scheduler {
	char *policy; /* "SCHED_OTHER" */
	struct json_opt_int nice;
	struct json_opt_int priority;
	char **flags;
	struct json_opt_int runtime; /* nanoseconds, as the next two */
	struct json_opt_int deadline;
	struct json_opt_int period;
};

struct oci_io_priority {
	char *io_class; /* "IOPRIO_CLASS_BE" */
	int64_t priority;
};

/* CPU lists ("0-3,7") before the process is in its cgroup, and after. */
struct oci_cpu_affinity {
	char *initial;
	char *final;
};

struct oci_process {
	bool terminal;
	struct oci_console_size *console_size;
	struct oci_user user;
	char **args;
	char **env;
	char *cwd;
	struct oci_capabilities *capabilities; /* NULL: none at all */
	struct oci_rlimit *rlimits;
	size_t rlimit_count;
	bool no_new_privileges;
	char *apparmor_profile;
	struct json_opt_int oom_score_adj;
	char *selinux_label;
	struct oci_scheduler *scheduler;
	struct oci_io_priority *io_priority;
	struct oci_cpu_affinity *exec_cpu_affinity;
};

struct oci_root {
	char *path; /* absolute, or relative to the bundle */
	bool readonly;
};

struct oci_mount {
	char *destination;
	char *type;
	char *source;
	char **options;
	struct oci_id_mapping *uid_mappings;
	size_t uid_mapping_count;
	struct oci_id_mapping *gid_mappings;
	size_t gid_mapping_count;
};

struct oci_hook {
	char *path;
	char **args;
	char **env;
	struct json_opt_int timeout_s;
};

struct oci_hooks {
	struct oci_hook *prestart;
	size_t prestart_count;
	struct oci_hook *create_runtime;
	size_t create_runtime_count;
	struct oci_hook *create_container;
	size_t create_container_count;
	struct oci_hook *start_container;
	size_t start_container_count;
	struct oci_hook *poststart;
	size_t poststart_count;
	struct oci_hook *poststop;
	size_t poststop_count;
};

struct oci_namespace {
	char *type; /* mount, pid, network, uts, ipc, user, cgroup, time */
	char *path; /* the one to join; NULL: a new one */
};

struct oci_device {
	char *type; /* c, b, u or p */
	char *path;
	int64_t major;
	int64_t minor;
	struct json_opt_int file_mode;
	struct json_opt_int uid;
	struct json_opt_int gid;
};

struct oci_device_rule {
	bool allow;
	char *type;                /* a, c or b; NULL is a */
	struct json_opt_int major; /* unset or -1: all */
	struct json_opt_int minor;
	char *access; /* of r, w, m; NULL: all */
};

struct oci_pids {
	struct json_opt_int limit;
};

struct oci_memory {
	struct json_opt_int limit; /* bytes; -1: no limit, so for the next four */
	struct json_opt_int reservation;
	struct json_opt_int swap; /* memory and swap together */
	struct json_opt_int kernel;
	struct json_opt_int kernel_tcp;
	struct json_opt_int swappiness;
	struct json_opt_bool disable_oom_killer;
	struct json_opt_bool use_hierarchy;
	struct json_opt_bool check_before_update;
};

struct oci_cpu {
	struct json_opt_int shares;
	struct json_opt_int quota; /* microseconds a period, as all below */
	struct json_opt_int burst;
	struct json_opt_int period;
	struct json_opt_int realtime_runtime;
	struct json_opt_int realtime_period;
	char *cpus;
	char *mems;
	struct json_opt_int idle;
};

struct oci_block_weight {
	int64_t major;
	int64_t minor;
	struct json_opt_int weight;
	struct json_opt_int leaf_weight;
};

struct oci_block_throttle {
	int64_t major;
	int64_t minor;
	uint64_t rate;
};

struct oci_block_io {
	struct json_opt_int weight;
	struct json_opt_int leaf_weight;
	struct oci_block_weight *weight_device;
	size_t weight_device_count;
	struct oci_block_throttle *throttle_read_bps;
	size_t throttle_read_bps_count;
	struct oci_block_throttle *throttle_write_bps;
	size_t throttle_write_bps_count;
	struct oci_block_throttle *throttle_read_iops;
	size_t throttle_read_iops_count;
	struct oci_block_throttle *throttle_write_iops;
	size_t throttle_write_iops_count;
};

struct oci_hugepage_limit {
	char *page_size; /* "2MB" */
	uint64_t limit;
};

struct oci_network_priority {
	char *name;
	int64_t priority;
};

struct oci_network_class {
	struct json_opt_int class_id;
	struct oci_network_priority *priorities;
	size_t priority_count;
};

struct oci_rdma {
	struct json_opt_int hca_handles;
	struct json_opt_int hca_objects;
};

struct oci_resources {
	struct map *unified; /* cgroup v2 file name to content */
	struct oci_device_rule *devices;
	size_t device_count;
	struct oci_pids pids;
	struct oci_block_io block_io;
	struct oci_cpu cpu;
	struct oci_hugepage_limit *hugepage_limits;
	size_t hugepage_limit_count;
	struct oci_memory memory;
	struct oci_network_class network;
	struct map *rdma; /* device name to limits */
};

struct oci_seccomp_arg {
	int64_t index;
	uint64_t value;
	uint64_t value_two; /* MASKED_EQ: (argument & value) == value_two */
	char *op;           /* "SCMP_CMP_EQ" */
};

struct oci_seccomp_syscall {
	char **names;
	char *action; /* "SCMP_ACT_ALLOW" */
	struct json_opt_int errno_ret;
	struct oci_seccomp_arg *args; /* all must hold */
	size_t arg_count;
};

struct oci_seccomp {
	char *default_action;
	struct json_opt_int default_errno_ret;
	char **flags;
	char *listener_path;
	char *listener_metadata;
	char **architectures; /* "SCMP_ARCH_X86_64" */
	struct oci_seccomp_syscall *syscalls;
	size_t syscall_count;
};

struct oci_intel_rdt {
	char *clos_id;
	char **schemata;
	char *l3_cache_schema;
	char *mem_bw_schema;
	bool enable_monitoring;
};

struct oci_memory_policy {
	char *mode;
	char *nodes;
	char **flags;
};

struct oci_personality {
	char *domain; /* LINUX or LINUX32 */
	char **flags;
};

struct oci_time_offset {
	int64_t secs;
	int64_t nanosecs;
};

struct oci_net_device {
	char *name; /* inside; NULL or "": as outside */
};

/* `linux` itself is a word of the compiler's. */
struct oci_linux {
	struct oci_device *devices;
	size_t device_count;
	struct map *net_devices; /* name on the host */
	struct oci_id_mapping *uid_mappings;
	size_t uid_mapping_count;
	struct oci_id_mapping *gid_mappings;
	size_t gid_mapping_count;
	struct oci_namespace *namespaces;
	size_t namespace_count;
	struct oci_resources *resources;
	char *cgroups_path;
	char *rootfs_propagation; /* private, shared, slave, unbindable */
	struct oci_seccomp *seccomp;
	struct map *sysctl;
	char **masked_paths;
	char **readonly_paths;
	char *mount_label;
	struct oci_intel_rdt *intel_rdt;
	struct oci_memory_policy *memory_policy;
	struct oci_personality *personality;
	struct map *time_offsets; /* boottime, monotonic */
};

struct oci_spec {
	char *version;
	struct oci_process *process; /* NULL: can be created, not started */
	struct oci_root *root;
	char *hostname;
	char *domainname;
	struct oci_mount *mounts;
	size_t mount_count;
	struct oci_hooks hooks;
	struct map *annotations;
	struct oci_linux linux_config;
};

/* state.json; the last three are what runc's `state` adds to the specification. */
struct oci_state {
	char *version;
	char *id;
	char *status; /* creating, created, running, stopped */
	int64_t pid;
	char *bundle;
	struct map *annotations;
	char *rootfs;
	char *created; /* RFC 3339 */
	char *owner;
};

struct oci_features_cgroup {
	struct json_opt_bool v1;
	struct json_opt_bool v2;
	struct json_opt_bool systemd;
	struct json_opt_bool systemd_user;
	struct json_opt_bool rdma;
};

struct oci_features_seccomp {
	struct json_opt_bool enabled;
	char **actions;
	char **operators;
	char **archs;
	char **known_flags;
	char **supported_flags;
};

struct oci_features_flag {
	struct json_opt_bool enabled;
};

struct oci_features_mount_extensions {
	struct oci_features_flag *idmap;
};

struct oci_features_linux {
	char **namespaces;
	char **capabilities;
	struct oci_features_cgroup *cgroup;
	struct oci_features_seccomp *seccomp;
	struct oci_features_flag *apparmor;
	struct oci_features_flag *selinux;
	struct oci_features_flag *intel_rdt;
	struct oci_features_flag *memory_policy;
	struct oci_features_mount_extensions *mount_extensions;
	struct oci_features_flag *net_devices;
};

struct oci_features {
	char *version_min;
	char *version_max;
	char **hooks;
	char **mount_options;
	struct oci_features_linux *linux_features;
	struct map *annotations;
	char **potentially_unsafe_config_annotations;
};

extern const struct json_table oci_spec_table;
extern const struct json_table oci_process_table;
extern const struct json_table oci_resources_table;
extern const struct json_table oci_seccomp_arg_table;
extern const struct json_table oci_seccomp_syscall_table;
extern const struct json_table oci_seccomp_table;
extern const struct json_table oci_state_table;
extern const struct json_table oci_features_table;

/* config.json's text into a struct whatever its content was before; ERR_INVALID names the path that has a wrong type,
 * ERR_TOO_LARGE is past OCI_DOCUMENT_MAX. */
int oci_spec_parse(const char *text, size_t len, struct oci_spec *out, struct err **reterr);
void oci_spec_finish(struct oci_spec *spec);
/* Done by oci_spec_parse, and for a document of limits alone by who knows its container's version: before 1.3, a pids.limit of 0 is
 * none, which is what Podman before 5.5 writes it for. */
void oci_resources_take_version(struct oci_resources *resources, const char *version);

/* process.json, as `exec --process` takes it. */
int oci_process_parse(const char *text, size_t len, struct oci_process *out, struct err **reterr);
void oci_process_finish(struct oci_process *process);

/* The entry for one namespace type, or NULL if the container stays in its creator's. Borrows. */
const struct oci_namespace *oci_spec_namespace(const struct oci_spec *spec, const char *type);
