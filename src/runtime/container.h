/*
 * The execution environment: an OCI bundle in, a contained process out. This is all a caller (the monitor, tare-runtime,
 * later the public library) sees of it.
 *
 *	container_create   groups made, namespaces and mounts set up; init waits, owned by the caller as its child
 *	container_start    init becomes the user's program; returns when execve succeeded, or with its error
 *	container_exec     one more process inside, same guarantee
 *	container_destroy  everything killed, groups removed
 *
 * Nothing here waits for a process's end: that is for the caller, by pidfd (poll, then waitid P_PIDFD). The caller should
 * be a subreaper if it wants orphans of a container without a pid namespace of its own.
 *
 * Crash rule: `on_groups` hears of every cgroup folder before the first is made. Mounts live in the container's own mount
 * namespace, so groups are all that a killed caller leaves behind; container_adopt + container_destroy clears them.
 *
 * The caller calls container_process_prepare() once at its start, before it holds anything.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <sys/types.h>

#include "base/err.h"

struct cgroup_host;
struct container;
struct oci_linux;
struct oci_spec;
struct oci_process;
struct oci_resources;

/* Who gets the listener of a seccomp filter that has SCMP_ACT_NOTIFY; the strings are borrowed. */
struct container_listener {
	const char *path;     /* a unix socket; NULL: nobody, and such a filter is refused */
	const char *metadata; /* or NULL */
	const char *state;    /* the container's, as JSON */
};

enum container_rootfs_kind {
	CONTAINER_ROOTFS_PATH,    /* a folder */
	CONTAINER_ROOTFS_OVERLAY, /* layers below, "upper" and "work" in one folder of ours */
};

struct container_rootfs {
	enum container_rootfs_kind kind;
	const char *path;          /* PATH: absolute, or relative to bundle_fd; NULL takes spec.root.path */
	int layers_fd;             /* OVERLAY: the lowers are folders below this one ... */
	const char *const *lowers; /* ... by relative path ("HEX/diff"), uppermost first, NULL-terminated */
	int upper_fd;              /* folder that holds "upper" and "work", both existing; -1: read-only, no upper */
	bool is_volatile;          /* upper is thrown away afterwards: no sync at unmount */
};

/*
 * A file of ours that appears in the container (hostname, hosts, resolv.conf), or a folder, mounted after the spec's mounts.
 * Without a `source`, source_fd is itself a detached mount.
 */
struct container_file {
	const char *source; /* absolute host path, or relative to source_fd; or NULL */
	int source_fd;      /* AT_FDCWD where source is absolute */
	const char *target; /* "/etc/hosts": resolved in the container's root, made if missing */
	bool readonly;
};

/* A namespace taken over from a living process, instead of spec.linux.namespaces[].path. */
struct container_join {
	unsigned long clone_flag; /* CLONE_NEWNET, CLONE_NEWPID, ... */
	int pidfd;
};

struct container_stdio {
	/* Without a terminal: become 0, 1, 2 (-1: /dev/null). Borrowed; the caller closes its copies after the call. */
	int fds[3];
	/* With one (process.terminal): its first size, 0 x 0 leaves it alone. */
	uint16_t rows;
	uint16_t columns;
	/* With one: who reads it finds lines that end as they were written, as runc's caller does (pty_keep_line_ends). */
	bool keeps_line_ends;
	/* With one: a connected unix socket that gets the pty's master as runc sends it; -1: container_take_console. */
	int console_socket;
};

#define CONTAINER_STDIO_INIT                                            \
 {                                                                      \
  .fds = { -1, -1, -1 }, .rows = 0, .columns = 0, .console_socket = -1, \
 }

enum container_cgroup_manager {
	CONTAINER_CGROUPFS,   /* v1, hybrid and v2, whichever the host has */
	CONTAINER_SYSTEMD,    /* a transient scope; with needs_no_groups, of the user's manager (runtime/scope.h) */
	CONTAINER_NO_CGROUPS, /* it stays in its creator's groups */
};

/* `folders`: absolute paths; with systemd, a unit's mark (sys/cgroup.h). Non-zero (-errno) ends the creation before anything was made. */
typedef int container_groups_fn(char *const *folders, void *user);

/* The first process is born and at work: what is done now, nobody waits for. */
typedef void container_born_fn(pid_t pid, void *user);

/* The first process has its namespaces, is at work and has not been told to start: what is done in them now, its program finds
 * done. -errno ends the creation. */
typedef int container_namespaces_fn(pid_t pid, void *user, struct err **reterr);

/* Degradations the user should hear of ("no CAP_SYS_RESOURCE: oom_score_adj left at 0"). */
typedef void container_warn_fn(const char *message, void *user);

/* What the mount of the document with this destination shows, in place of its source: opened before by whoever knows how. */
struct container_source {
	const char *destination;
	int fd; /* O_PATH; borrowed */
};

struct container_options {
	const char *id;
	int bundle_fd;           /* relative paths of the spec start here; -1: the spec has none */
	const char *bundle_path; /* for hooks' state; may be NULL */
	struct container_rootfs rootfs;
	struct container_stdio stdio;

	/* process.cwd is made where it is missing. Docker's user string ("", "1000", "name:group"), resolved in the container's own etc/passwd and etc/group; sets
	 * HOME where process.env has none. NULL: process.user as it stands. group_add: names or numbers. */
	const char *user;
	char *const *group_add;

	enum container_cgroup_manager cgroup_manager;
	/* Compiled filter from seccomp_cache.h; -1: none. A spec with linux.seccomp and no program here is refused. Borrowed. */
	int seccomp_fd;

	/* The static init program to run as PID 1 above the user's command (--init), an fd on it; -1: none. It is executed
	 * through a read-only mount of its own. Borrowed. */
	int init_fd;

	const struct container_file *files;
	size_t file_count;
	const struct container_source *sources;
	size_t source_count;
	const struct container_join *joins;
	size_t join_count;

	/* The kernel lists mounts by age. With this they are made in the document's order, at the price of one more each. */
	bool mounts_in_order;
	/* A bind has the flags that the document names and no other, as with runc; else its source's stay where it names none. */
	bool binds_as_named;

	/* Of the caller's 3 .. 3 + n - 1, those that are not marked close-on-exec stay open inside. */
	unsigned preserve_fds;
	bool no_pivot;
	bool no_new_keyring;
	/* An execve that fails is told by the process itself, on its standard error, and by its end (255), as runc does; else it is an
	 * error of container_start. */
	bool says_exec_error;
	/* Groups that init may make its own below, as systemd does, on a /sys/fs/cgroup that is otherwise read-only: v2's, or v1's
	 * hierarchy without a controller. In neither is a limit of the container's own. Refused where v2 is not mounted with nsdelegate. */
	bool writable_cgroups;
	/* A listening SOCK_SEQPACKET socket on which init waits for container_start_remote, when another process than the
	 * creator will start it; -1: container_start. Borrowed. */
	int start_listen_fd;

	/* A network namespace that nobody has used, its loopback up: for a document that wants a new one; -1. Borrowed. The creator
	 * visits it for the birth (sys/namespaces.h: -ENOTRECOVERABLE). */
	int network_fd;

	/* The host's hierarchies, if the caller has looked already; NULL. Borrowed. */
	const struct cgroup_host *cgroup_host;

	/* Rootless: groups that may not be made are done without, and so are device rules, unless a limit was asked for that would
	 * need them. */
	bool needs_no_groups;

	/* It keeps the creator's supplementary groups, and gets none of the document's. */
	bool keeps_groups;

	/* The caller will start it right after the creation in any case: it need not wait in between. */
	bool starts_at_once;

	container_groups_fn *on_groups;
	container_namespaces_fn *on_namespaces;
	container_born_fn *on_born;
	container_warn_fn *on_warn;
	void *user_data; /* for all four */
};

/* Everything unset: descriptors -1, pointers NULL. */
#define CONTAINER_OPTIONS_INIT                                                                                     \
 {                                                                                                                 \
  .bundle_fd = -1, .rootfs = { .layers_fd = -1, .upper_fd = -1 }, .stdio = CONTAINER_STDIO_INIT, .seccomp_fd = -1, \
  .init_fd = -1, .start_listen_fd = -1, .network_fd = -1,                                                          \
 }

/*
 * Once, first thing in main, by every program that will create or enter containers: goes on from a read-only detached mount
 * of its own binary if it does not run from one already (so it may re-execute argv), marks what it inherited from
 * `keep_below` on close-on-exec, and makes itself undumpable. Returns 0 when done, or -errno.
 * `ret_view`: to be closed when nobody waits (sys/selfexe.h); or -1.
 */
int container_process_prepare(int keep_below, char **argv, int *ret_view);

/*
 * Everything up to the waiting init. On failure nothing is left. The spec and the options are borrowed for the call; what
 * start needs is kept. Hooks prestart, createRuntime and createContainer have run. The user's command was looked up: a
 * missing one fails here already, with the kinds told at container_start.
 */
int container_create(const struct oci_spec *spec, const struct container_options *options, struct container **ret,
	struct err **reterr);

/*
 * The groups alone, for processes that somebody else makes: named, told of (`on_groups`), made and limited as by container_create. Who
 * is put in by container_take_in joins them; container_groups_done once they hold what they are for. On failure nothing is left, later
 * container_destroy clears up.
 */
int container_make_groups(const struct oci_spec *spec, const struct container_options *options, struct container **ret,
	struct err **reterr);
int container_take_in(struct container *container, const struct oci_spec *spec, pid_t pid, struct err **reterr);
int container_groups_done(struct container *container, const struct oci_spec *spec, struct err **reterr);

/*
 * Lets init go on. 0 once execve succeeded (with `init_fd`: once the user's command was executed). ERR_CMD_NOT_FOUND and
 * ERR_CMD_NOT_EXEC with runc's sentences (`exec: "foo": executable file not found in $PATH`) are the user's mistake; init
 * is then dead but not reaped. poststart hooks have run.
 */
int container_start(struct container *container, struct err **reterr);
/* The same from another process, over a connection to the creator's start_listen_fd. Takes `fd`. */
int container_start_remote(int fd, const struct container *container, const struct container_listener *listener,
	struct err **reterr);

/*
 * A container made by another process, or before a crash: its groups, and init if it still lives (pidfd -1 otherwise,
 * takes it on success). `folders` as on_groups heard them. Serves exec, kill, limits and destroy.
 */
int container_adopt(const char *id, char *const *folders, pid_t pid, int pidfd, struct container **ret,
	struct err **reterr);

/* Frees the handle and its descriptors; the container lives on. */
void container_free(struct container *container);
DEFINE_AUTOFREE(container, struct container *, container_free);

int container_pidfd(const struct container *container); /* borrows; -1 if adopted dead */
pid_t container_pid(const struct container *container);
/* The pty's master, nonblocking not set, given away once; -1: none. */
int container_take_console(struct container *container);
char *const *container_groups(const struct container *container);

struct container_exec_options {
	const struct container_listener *listener; /* or NULL */
	struct container_stdio stdio;
	const char *user; /* as in container_options */
	char *const *group_add;
	int seccomp_fd; /* the container's filter; -1: none */
	const struct oci_linux *
		config; /* the container's, for what processes of it have in common: personality, memoryPolicy; or NULL */
	unsigned preserve_fds;
	bool no_new_keyring;
	bool says_exec_error;   /* of container_exec */
	char *const *subgroups; /* "path" or "controller,controller:path", below the container's groups; NULL: none */
	bool ignore_paused;     /* waits as long as the container is paused */
	container_warn_fn *on_warn;
	void *user_data;
};

#define CONTAINER_EXEC_OPTIONS_INIT                              \
 {                                                               \
  .stdio = CONTAINER_STDIO_INIT, .user = NULL, .seccomp_fd = -1, \
 }

struct container_process {
	pid_t pid;
	int pidfd;      /* the receiver's to close */
	int console_fd; /* pty master, likewise; -1: none */
};

/* A process in all of the container's namespaces and groups, child of the caller. Returns when execve succeeded, or with the
 * same errors as container_start, the process then reaped. ERR_CONFLICT if init is gone. */
int container_exec(struct container *container, const struct oci_process *process,
	const struct container_exec_options *options, struct container_process *ret, struct err **reterr);

/* To init alone, by pidfd. ERR_CONFLICT if it is gone. */
int container_kill(struct container *container, int signo, struct err **reterr);
/* SIGKILL to everything in the groups, frozen or not (cgroup.kill, else freeze and signal), and returns without waiting for
 * their end. */
int container_kill_all(struct container *container, struct err **reterr);
/* One signal to everything in the groups. */
int container_signal_all(struct container *container, int signo, struct err **reterr);

int container_pause(struct container *container, struct err **reterr);
int container_resume(struct container *container, struct err **reterr);
bool container_is_paused(struct container *container);

/* Members that are unset stay as they are; if one can't be set, all do. */
int container_resources_set(struct container *container, const struct oci_resources *resources, struct err **reterr);

/* Host pids in the container's groups; heap, the receiver's. */
int container_pids(struct container *container, pid_t **ret, size_t *ret_count, struct err **reterr);

/*
 * OOM: an fd to poll and the count of kills so far. v1: an eventfd on memory.oom_control, POLLIN; v2: memory.events as
 * inotify, POLLIN. Read it empty with container_oom_drain and look at the count. -1 without a memory controller.
 */
int container_oom_open(struct container *container); /* returns an fd, the receiver's, or -errno */
void container_oom_drain(int fd);
int container_oom_kills(struct container *container, uint64_t *ret);

/* Kills what is left, waits for its end up to `timeout_ms`, removes the groups. Runs no hooks. Idempotent. ERR_UNAVAILABLE
 * if something does not die (a process in D state): call again later. */
int container_destroy(struct container *container, int timeout_ms, struct err **reterr);
