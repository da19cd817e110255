/*
 * A plan: everything about one process to be contained, worked out, checked and opened by its creator before clone, so that
 * the child only executes it. The child sees it by copy-on-write, or shares it (birth.h), and changes nothing in it but what is said
 * to be its own.
 * All strings are borrowed from the spec and the options unless they are in `strings`.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <linux/filter.h>
#include <sys/types.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "runtime/container.h"
#include "runtime/identity.h"
#include "runtime/report.h"
#include "spec/oci_runtime.h"
#include "sys/caps.h"
#include "sys/cgroup.h"
#include "sys/mounts.h"
#include "sys/scheduling.h"

#define PLAN_JOIN_MAX (CGROUP_HIERARCHIES + 2)

enum plan_mount_kind {
	PLAN_MOUNT_TREE,   /* a bind: a detached tree made by the creator, its attributes set */
	PLAN_MOUNT_NEW,    /* a filesystem instance, made by the child in its namespaces */
	PLAN_MOUNT_CGROUP, /* what /sys/fs/cgroup shows */
	PLAN_MOUNT_LINK,   /* a symlink to `source` */
	PLAN_MOUNT_DONE,   /* nothing is left to do: it is the root itself, or changed an earlier one (remount) */
};

struct plan_mount {
	enum plan_mount_kind kind;
	const char *destination;
	const char *source;
	const char *type;
	int tree_fd;
	bool is_dir;
	struct mount_option *options; /* ours */
	size_t option_count;
	struct mount_attrs attrs;
	bool copies_up; /* begins with what the root has there */
	/* A tree that can be had in the child too (in_order), from its absolute source: with what attributes. */
	bool is_plain_bind;
	bool is_recursive;
	struct mount_attrs recursive_attrs;
	/* A bind's source that lies in the container's own root, where earlier mounts are: from there, and only then. */
	const char *inner_source;
	bool is_idmapped;
	bool is_idmapped_recursively;
	bool target_nofollow;
	char *mode_text; /* of tmpfs without a mode: the child's to fill in with the covered folder's; NULL */
};

struct plan_device {
	const char *path; /* "/dev/null" */
	mode_t mode;      /* with type */
	dev_t device;
	uid_t uid;
	gid_t gid;
	int tree_fd; /* in a user namespace, which has no mknod: the host's node; else -1 */
};

/* What /sys/fs/cgroup needs to know, one for each hierarchy. */
struct plan_cgroup_view {
	const char *name;   /* folder below /sys/fs/cgroup: "memory", "unified"; NULL: not shown beside v1 */
	const char *folder; /* the container's group on the host */
	struct mount_option *options;
	size_t option_count;
	char **aliases; /* "cpu" for "cpu,cpuacct" */
	bool is_v2;
	bool is_writable; /* though the mount is read-only */
};

/* A tree that only the child can make (plan_late.c). */
struct plan_late {
	const char *path; /* absolute */
	dev_t device;
	bool is_proc_root, is_of_sys;
	int *slot; /* where its descriptor goes */
	bool is_recursive;
	struct mount_attrs recursive_attrs;
	struct mount_attrs attrs;
};

#define INIT_PID_ARGUMENT 2 /* of init_args: the child's to fill in */

struct plan_join {
	uint64_t flag; /* 0: done */
	int fd;        /* namespace file or pidfd */
	bool is_pidfd;
};

/* What few ask for (plan_tuning.c). */
struct plan_tuning {
	bool has_scheduling;
	struct scheduling scheduling;
	bool has_io_priority;
	int io_class;
	int io_level;
	/* Of exec alone: while it is still the creator's, and once it is in the groups. */
	bool has_first_cpus;
	bool has_cpus;
	struct number_set first_cpus;
	struct number_set cpus;
	bool has_memory_policy;
	int memory_mode;
	struct number_set memory_nodes;
	bool has_personality;
	unsigned long personality;
};

/* The process part, which container_exec has too. */
struct plan_process {
	bool terminal;
	bool keeps_line_ends;
	uint16_t rows;
	uint16_t columns;
	int stdio[3];
	char *const *args;
	char **env; /* ours, one slot left for HOME and one for LISTEN_PID */
	size_t env_count;
	const char *path_list; /* PATH's value in env, or NULL */
	bool needs_home;
	const char *cwd;

	const char *user; /* to be resolved; NULL: `identity` is set */
	char *const *group_add;
	struct identity *identity; /* the child fills it */
	bool keeps_groups;         /* whoever creates it: those, and none of `identity` */
	mode_t umask;

	struct cap_sets caps;
	bool no_new_privileges;
	struct {
		int resource;
		uint64_t soft;
		uint64_t hard;
		const char *name;
	} * rlimits;
	size_t rlimit_count;
	int oom_score_adj;
	bool set_oom_score;
	const char *apparmor;
	const char *selinux;

	struct plan_tuning *tuning; /* ours; NULL: nothing asked */

	struct sock_filter *filter; /* ours */
	size_t filter_count;
	unsigned filter_flags;

	unsigned preserve_fds;
	bool new_keyring;
	bool says_exec_error; /* of execve, on its own standard error, and ends with 255: nobody is told otherwise */
	bool in_user_namespace;
	int init_fd;      /* read-only view; -1: none */
	char **init_args; /* ours: "/sbin/docker-init -p PID -- COMMAND", as people see it in ps */
};

struct plan {
	struct plan_process process;
	bool is_exec; /* process only */

	uint64_t new_namespaces; /* CLONE_NEW*; the cgroup one is unshared after joining */
	bool new_cgroup_namespace;
	bool new_time_namespace; /* as this one: its clocks are set before anybody is in it */
	struct map *time_offsets;
	int network_fd; /* the network namespace to be born in, made ahead; borrowed, or -1 */
	struct plan_join joins[16];
	size_t join_count;
	bool becomes_root; /* of a user namespace, new or joined */
	bool has_no_right; /* to mounts: its creator is an ordinary user */
	struct plan_late *late;
	size_t late_count;

	int root_fd; /* detached tree; of exec: where it goes, if the container has no mount namespace of its own; -1 */
	/* The mount namespace is somebody else's: the tree stays detached, nothing of it is seen there. */
	bool is_detached;
	bool joins_mounts; /* it is a joined one, which has its own copy of the root's folder: that at root_path */
	char *root_path;   /* where it lies while hooks of the creation run; NULL: on "/" */
	bool root_readonly;
	bool in_order;             /* mounts are made, and so listed, in the document's order */
	uint64_t root_propagation; /* MS_*, of "/" in the end */
	bool no_pivot;
	const char *hostname;
	const char *domainname;
	bool loopback;

	struct plan_mount *mounts;
	size_t mount_count;
	bool asks_for_owners; /* of what only the child can find, but not idmap */
	bool setup_dev;
	struct plan_device *devices;
	size_t device_count;
	struct plan_cgroup_view cgroup_views[CGROUP_HIERARCHIES];
	size_t cgroup_view_count;
	bool cgroup_v2_only;

	char *const *masked_paths;
	char *const *readonly_paths;
	struct map *sysctls;

	const struct oci_hooks *hooks;
	bool wants_hook_stop; /* prestart, createRuntime or createContainer */
	int state_fd;         /* hooks' standard input inside: a memory file that the creator fills; -1: no hooks */

	int join_fds[PLAN_JOIN_MAX]; /* v1 and resctrl tasks files */
	size_t join_fd_count;
	int cgroup_fd;   /* v2, or -1 */
	bool has_joiner; /* it has joined the groups, and the child waits until its creator knows it */
	int start_listen_fd;
	bool is_let_go; /* its creator has nothing to do for it between its birth and its start, and START may be said ahead (birth.h) */

	char **strings;
};

/* A plan for a container; its groups exist already. Sets everything but sync. */
int plan_container(const struct oci_spec *spec, const struct container_options *options, struct cgroup *group,
	const struct cgroup_host *host, struct plan **ret, struct err **reterr);

/* For a plan that wants a new network namespace: this one, which has its loopback up. Borrowed; -1: none. */
void plan_use_network(struct plan *plan, int fd);

/* A plan for one more process in it. */
int plan_exec(const struct oci_process *process, const struct container_exec_options *options, struct plan **ret,
	struct err **reterr);

void plan_free(struct plan *plan);
DEFINE_AUTOFREE(plan, struct plan *, plan_free);

/* Every descriptor the child needs, sorted ascending; heap. */
int plan_keep_fds(const struct plan *plan, int **ret, size_t *ret_count);

/* Parts of plan_container, each in its file. */
int plan_process_fill(struct plan_process *process, const struct oci_process *spec, struct err **reterr);
/* `config`: where memoryPolicy and personality are; NULL: they are not asked for. */
int plan_tuning_fill(struct plan_process *process, const struct oci_process *spec, const struct oci_linux *config,
	bool is_exec, struct err **reterr);
int plan_read_filter(struct plan_process *process, int fd, struct err **reterr);
int plan_mounts(struct plan *plan, const struct oci_spec *spec, const struct container_options *options,
	struct err **reterr);
/* Of those that every container has; NULL past the last. */
const char *plan_default_device(size_t index);
int plan_devices(struct plan *plan, const struct oci_spec *spec, const struct container_options *options,
	struct err **reterr);
int plan_rootfs(struct plan *plan, const struct oci_spec *spec, const struct container_options *options,
	struct err **reterr);
int plan_check_sysctls(const struct oci_spec *spec, uint64_t own_namespaces, struct err **reterr);
int plan_mount_change(int tree, const struct mount_attrs *recursive, const struct mount_attrs *own);
bool plan_is_of_sys(int fd); /* sysfs or a cgroup filesystem */
/* `slot`: lives as long as the plan. The result is ours, until the next. */
int plan_late_tree(struct plan *plan, const char *path, const struct container_options *options, int *slot,
	mode_t *ret_mode, struct plan_late **ret, struct err **reterr);
/* For REPORT_OWNERS. */
int plan_map_owners(const struct plan *plan, size_t mount, int tree, const struct oci_spec *spec, struct err **reterr);
void plan_mount_finish(struct plan_mount *mount);
