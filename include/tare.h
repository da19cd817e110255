/*
 * libtare: processes in containers, from a program of your own. Link with `pkg-config --cflags --libs tare`.
 *
 *	tare_config *config = tare_config_new("/srv/rootfs");
 *	tare_config_set_args(config, (const char *const[]){ "ls", "-l", NULL });
 *	tare_container_create(config, NULL, &container, &error);
 *	tare_container_start(container, &error);
 *	tare_process_wait(tare_container_init(container), -1, &result, &error);
 *	tare_container_free(container);
 *
 * Behind each container stands a helper, the installed tare-runtime, which is the parent of the container's processes. Your program
 * has no child by this library: no SIGCHLD, nothing in its wait(), no signal handler, no thread, nothing printed, nothing global.
 * It may have threads, use the library before or after a fork (but a handle in one process alone), and be of any size. Of its
 * descriptors a container gets those named here and no other; of its environment, folder, signal mask, locale, nothing. What it does
 * get from whoever called create or exec: nice value, resource limits that the configuration doesn't set, and the oom_score_adj.
 *
 * If your program ends or dies in any way, the container ends with it and leaves nothing, unless tare_options.outlives_host
 * says otherwise. If the helper is killed too, the container stays as it is: tare_container_open and tare_container_delete, or
 * `tare-runtime --root ROOT delete --force ID`, clear it. Every container is one of tare-runtime's, seen by its `list` and `state`.
 *
 * Errors. A function that can fail returns 0, or -1 and fills *error, if that is not NULL. It frees and changes nothing then.
 * Threads. Different handles are independent. One handle may be used by several threads at once, but for its free; calls that need
 * the helper take turns, and waiting for a process keeps nobody from the handle.
 * No thread may be cancelled within a call, tare_process_wait aside.
 * Blocking. create, start, exec and delete wait for the container (hooks included: give those a timeout); all others are short,
 * tare_process_wait aside. Calls go on after EINTR.
 * Strings are UTF-8 and copied. Sizes are bytes, times are said in each name. This interface grows by functions, by members in place
 * of reserved ones, and by values; a zeroed struct is always valid.
 */
#ifndef TARE_H
#define TARE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
# define TARE_API __attribute__((visibility("default")))
#else
# define TARE_API
#endif

typedef struct tare_config tare_config;
typedef struct tare_container tare_container;
typedef struct tare_process tare_process;

/* ---- errors ---- */

enum tare_code {
	TARE_OK = 0,
	TARE_INTERNAL,          /* a fault of ours or of the machine's */
	TARE_INVALID,           /* the call, or the configuration, is wrong in itself */
	TARE_NOT_FOUND,         /* there is no such container */
	TARE_CONFLICT,          /* its state forbids this, or the ID is taken */
	TARE_FORBIDDEN,         /* rights are missing */
	TARE_UNAVAILABLE,       /* for now: try again. Also a wait that timed out (errnum ETIMEDOUT) */
	TARE_UNSUPPORTED,       /* this kernel or this installation can't */
	TARE_TOO_LARGE,         /* over a limit of ours */
	TARE_COMMAND_NOT_FOUND, /* the container's program does not exist (a shell's 127) */
	TARE_COMMAND_NOT_EXEC,  /* it does, but can't be executed (a shell's 126) */
	TARE_HELPER_LOST,       /* the helper can't be started, or is gone */
};

struct tare_error {
	int code;           /* enum tare_code */
	int errnum;         /* what the kernel said, as errno; never 0 */
	char message[1024]; /* a sentence for people, one line */
};

/* ---- what a container is ---- */

#define TARE_UNLIMITED UINT64_MAX

/* 0: as it is (at create: none). TARE_UNLIMITED: no limit. */
struct tare_limits {
	uint64_t memory_bytes;
	uint64_t memory_swap_bytes; /* memory and swap together, at least memory_bytes */
	uint64_t pids;              /* processes and threads */
	uint64_t cpu_quota_us;      /* of each cpu_period_us, over all CPUs: 150000 of 100000 is one and a half */
	uint64_t cpu_period_us;     /* 1000 to 1000000; 0 with a quota: 100000 */
	uint64_t cpu_shares;        /* 2 to 262144, 1024 is an ordinary group's (v2's weight follows from it) */
	const char *cpus;           /* "0-2,4"; NULL: as it is */
	uint64_t reserved[8];       /* 0 */
};

enum tare_network {
	TARE_NETWORK_NONE, /* a loopback interface of its own and nothing else */
	TARE_NETWORK_HOST, /* the host's: nothing of the network is contained */
};

enum tare_mount_flags {
	TARE_MOUNT_READONLY = 1 << 0, /* recursive */
	TARE_MOUNT_NOEXEC = 1 << 1,
};

/*
 * A folder as root: absolute, or relative to the working folder of now. Else as Docker has it: its 14 capabilities, its filter of
 * system calls, no_new_privs, hidden parts of /proc and /sys, own namespaces of mount, pid, ipc, uts and cgroup, no network, root
 * as user, a PATH and nothing else in the environment. Of an ordinary user's there is a user namespace too, in which he is root and
 * nobody else is. What is out of memory is said by tare_container_create.
 */
TARE_API tare_config *tare_config_new(const char *rootfs);
/* config.json of the OCI runtime specification as it stands, all of it ours to obey. `bundle` is what relative paths in it are
 * relative to; NULL: "/". The setters below then do nothing but make create fail. */
TARE_API tare_config *tare_config_new_oci(const char *json, size_t size, const char *bundle);
TARE_API void tare_config_free(tare_config *config); /* NULL is fine; so in all others */

TARE_API void tare_config_set_args(tare_config *config,
	const char *const *args);                                           /* NULL-terminated; looked up in PATH */
TARE_API void tare_config_add_env(tare_config *config, const char *entry);  /* "NAME=VALUE" */
TARE_API void tare_config_set_cwd(tare_config *config, const char *folder); /* absolute, made if missing; "/" */
TARE_API void tare_config_set_user(tare_config *config, uid_t uid, gid_t gid);
TARE_API void tare_config_set_hostname(tare_config *config, const char *name); /* the container's ID */
TARE_API void tare_config_set_readonly(tare_config *config, bool readonly);    /* the root; false */
TARE_API void tare_config_set_network(tare_config *config, enum tare_network network);
TARE_API void tare_config_set_terminal(tare_config *config, bool terminal); /* a pty: tare_process_console */
TARE_API void tare_config_set_limits(tare_config *config, const struct tare_limits *limits);
/* Of the cgroup filesystem, "/batch/7" as seen from the host's root group; the ID by default. With tare_options.systemd_cgroup it
 * is "SLICE:PREFIX:NAME", the unit PREFIX-NAME.scope in that slice; by default tare-ID.scope in system.slice, or the user's user.slice. */
TARE_API void tare_config_set_cgroup(tare_config *config, const char *path);
/* A file or folder of the host's at `target`, which is made if missing; or a tmpfs of `size_bytes`. `flags`: enum tare_mount_flags. */
TARE_API void tare_config_add_bind(tare_config *config, const char *source, const char *target, unsigned flags);
TARE_API void tare_config_add_tmpfs(tare_config *config, const char *target, uint64_t size_bytes, unsigned flags);

/* The config.json that all this makes, for a container of this ID: to be looked at, or changed and given to tare_config_new_oci. To
 * be freed by free(). NULL: out of memory. */
TARE_API char *tare_config_json(const tare_config *config, const char *id);

/* ---- containers ---- */

struct tare_options {
	const char *id; /* letters, digits and _+-. ; NULL: one of ours, see tare_container_id */
	const char *
		root; /* tare-runtime's --root, made if missing; NULL: /run/tare-runtime. An ordinary user names one of his own */
	const char *
		runtime; /* path of tare-runtime; NULL: the environment's TARE_RUNTIME, else the one that this library was installed with */
	bool systemd_cgroup;  /* its groups are a scope of systemd's, of the user's own for an ordinary user */
	bool outlives_host;   /* the container goes on, and stays, when it is freed or this program ends */
	bool has_stdio;       /* else all three are /dev/null */
	int stdio[3];         /* -1: /dev/null. Borrowed for the call. Not with a terminal */
	uint64_t reserved[8]; /* 0 */
};

/* Everything but the program is there: namespaces, mounts, groups, limits; hooks up to createContainer have run. `options` may be NULL. */
TARE_API int tare_container_create(const tare_config *config, const struct tare_options *options, tare_container **ret,
	struct tare_error *error);
/* One that exists, made by this library or by tare-runtime. Freeing such a handle never ends it, and how its first process ended can't
 * be known. `options`: id, root, runtime. TARE_NOT_FOUND. */
TARE_API int tare_container_open(const struct tare_options *options, tare_container **ret, struct tare_error *error);
/* The program runs: execve has succeeded, or the call fails with TARE_COMMAND_NOT_FOUND, TARE_COMMAND_NOT_EXEC or what went wrong. */
TARE_API int tare_container_start(tare_container *container, struct tare_error *error);
/* Kills what is left in it, removes groups and folder, runs poststop hooks. TARE_UNAVAILABLE: something does not die within 10
 * seconds; call again later. The handle stays, and every call on it then says TARE_NOT_FOUND. */
TARE_API int tare_container_delete(tare_container *container, struct tare_error *error);
/* Ends the container as delete does, unless it was opened or outlives its host. Takes at most 20 seconds. Its init is freed too, other
 * processes are freed before. */
TARE_API void tare_container_free(tare_container *container);

TARE_API const char *tare_container_id(const tare_container *container); /* borrowed */
TARE_API tare_process *tare_container_init(const tare_container
		*container); /* borrowed; NULL: opened when it had ended */
/* What could not be done for want of rights and was done without, a line each, since the last call; free() it. NULL: nothing. */
TARE_API char *tare_container_take_warnings(tare_container *container);

enum tare_signal_target {
	TARE_SIGNAL_INIT, /* the first process. SIGKILL ends all */
	TARE_SIGNAL_ALL,  /* each process in the container's groups */
};
/* TARE_CONFLICT if the process has ended. */
TARE_API int tare_container_signal(tare_container *container, int signo, enum tare_signal_target target,
	struct tare_error *error);
TARE_API int tare_container_pause(tare_container *container, struct tare_error *error);
TARE_API int tare_container_resume(tare_container *container, struct tare_error *error);

/* Of what runs, at once. All or none: what can't be set (less memory than is in use, say) leaves the others as they were. */
TARE_API int tare_container_update(tare_container *container, const struct tare_limits *limits,
	struct tare_error *error);
/* The same by linux.resources of the OCI document, with every member of it. */
TARE_API int tare_container_update_oci(tare_container *container, const char *json, size_t size,
	struct tare_error *error);

enum tare_state {
	TARE_CREATED = 1,
	TARE_RUNNING,
	TARE_PAUSED,
	TARE_STOPPED,
};

struct tare_status {
	int state;          /* enum tare_state */
	pid_t pid;          /* of the first process, in the host's numbers; 0 once it has ended */
	uint64_t oom_kills; /* so far; on a host without a memory controller 0 */
	uint64_t reserved[8];
};
/* Also makes tare_container_event_fd unreadable. */
TARE_API int tare_container_status(tare_container *container, struct tare_status *ret, struct tare_error *error);

/* Readable (POLLIN) when the status may be another: a call through this handle changed it, init has ended, or the kernel killed something
 * for want of memory. Level, not queue: nothing is lost when it is read late. Don't read from it, ask for the status. Borrowed. */
TARE_API int tare_container_event_fd(const tare_container *container);

/* Counted by the kernel since the start. What this host does not count is 0; a limit that is none is TARE_UNLIMITED or, on v1, beyond
 * all memory. */
struct tare_stats {
	uint64_t cpu_ns, cpu_user_ns, cpu_kernel_ns;
	uint64_t throttled_periods, throttled_ns; /* by cpu_quota_us */
	uint64_t memory_bytes, memory_peak_bytes, memory_limit_bytes;
	uint64_t pids, pids_limit;                                   /* a limit of 0: none */
	uint64_t io_read_bytes, io_write_bytes, io_reads, io_writes; /* of block devices */
	uint64_t oom_kills;
	uint64_t reserved[17];
};
TARE_API int tare_container_stats(tare_container *container, struct tare_stats *ret, struct tare_error *error);

/* ---- processes ---- */

struct tare_exec {
	const char *const *args; /* NULL-terminated; looked up in the container's PATH */
	const char *const *env;  /* NULL-terminated: added to the container's own; NULL: none */
	const char *cwd;         /* NULL: the container's */
	const char *user;        /* "uid", "uid:gid", or names from the container's own files; NULL: the container's */
	bool terminal;
	bool has_stdio; /* as in tare_options */
	int stdio[3];
	uint64_t reserved[8]; /* 0 */
};

/* One more process in a container that runs, with all that its init is subject to. Returns when execve has succeeded. */
TARE_API int tare_container_exec(tare_container *container, const struct tare_exec *exec, tare_process **ret,
	struct tare_error *error);
/* Of exec's; the process goes on. Init's belongs to its container. */
TARE_API void tare_process_free(tare_process *process);

/* In the host's numbers: for people; the pidfd is what is safe. */
TARE_API pid_t tare_process_pid(const tare_process *process);
/* Readable (POLLIN) once the process has ended; for poll, epoll, pidfd_send_signal. Borrowed. */
TARE_API int tare_process_pidfd(const tare_process *process);
/* The terminal's master; -1: none. Borrowed. Its size is set by TIOCSWINSZ. Reading gives EIO when nobody has it open inside. */
TARE_API int tare_process_console(const tare_process *process);

struct tare_result {
	int exit_code; /* 0 to 255; 128 + signal if one ended it, as a shell has it */
	int signal;    /* or 0 */
	uint64_t reserved[4];
};
/* Until it has ended, at most `timeout_ms` (-1: without end; 0: don't wait): TARE_UNAVAILABLE with ETIMEDOUT. Any number of times. */
TARE_API int tare_process_wait(tare_process *process, int timeout_ms, struct tare_result *ret,
	struct tare_error *error);
/* To this process alone. TARE_CONFLICT if it has ended. */
TARE_API int tare_process_signal(tare_process *process, int signo, struct tare_error *error);

#ifdef __cplusplus
}
#endif
#endif
