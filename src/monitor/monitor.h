/*
 * The monitor of one container: the object that all of its parts work on. Each part has a file of its own; this one knows
 * how they fit together.
 *
 *	control      what the engine asks, and what it is told
 *	state        state.json and the events in it
 *	start, end   a run of the container, from launch.json to the records of its exit
 *	stdio        the container's streams; attach, logs, exec: clients of streams
 *	wait, stop, health, top
 *
 * A run is a phase: nothing runs (IDLE), init lives (RUNNING), init is dead but its last output is not all read (ENDING),
 * or the restart policy waits for its time (RESTARTING).
 *
 * All in one thread. What blocks, blocks for milliseconds: container_create and container_start, files on tmpfs. What takes
 * longer, a volume's first content (fill.h), is a child's, and the start waits for it as for any event. The monitor ends only when it was told so and nothing runs and no client is left; an engine that is gone is no reason.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <sys/stat.h>

#include "base/err.h"
#include "base/list.h"
#include "monitor/egress.h"
#include "monitor/exec.h"
#include "monitor/health.h"
#include "monitor/logformat.h"
#include "monitor/procio.h"
#include "monitor/resolve.h"
#include "monitor/restart.h"
#include "monitor/spliced.h"
#include "network/published.h"
#include "network/shape.h"
#include "runtime/container.h"
#include "spec/launch.h"
#include "spec/runstate.h"
#include "sys/loop.h"
#include "sys/netlink.h"

/* Clients at a time, of all kinds. */
#define MONITOR_CLIENTS_MAX 1000

enum monitor_phase { PHASE_IDLE, PHASE_RUNNING, PHASE_ENDING, PHASE_RESTARTING };

struct cgroup_host;
struct control;
struct lend_pause;
struct start;

struct monitor_options {
	const char *data_root;
	const char *exec_root;
	const char *id;
	const char *program_dir; /* where tare-runtime and tare-init are */
	bool recover;            /* started only to see what an earlier monitor left behind */
	int engine_fd;           /* a connection to the engine, taken; -1: none */
};

struct monitor {
	struct loop *loop;
	struct monitor_options options;
	int run_fd;  /* exec-root/containers/ID */
	int lock_fd; /* monitor.lock there, held */
	struct control *control;

	struct runstate state;
	struct launch launch; /* as of the last start, or of the first client */
	bool has_launch;
	struct stat launch_file; /* what `launch` was read from: the engine replaces the file, and never writes in it */
	enum monitor_phase phase;

	/* The run */
	struct start *start;             /* NULL: none waits; the phase is IDLE until it is through */
	struct container *container;     /* NULL: none */
	struct launch_network legs;      /* what it has now, whatever launch.json has become */
	struct published published;      /* its ports of the host */
	bool is_published;               /* the table has its elements */
	struct netlink netfilter;        /* the way to that table, once it was needed (network_table.h) */
	struct shape shape;              /* what was made for its limits of bandwidth */
	struct held held;                /* what of its network is held back */
	bool is_foreign;                 /* plugins have attached it (foreign.h) */
	int foreign_fd;                  /* its network namespace, for their way back; -1 */
	pid_t foreign_checker;           /* the last child that had plugins look; 0: none */
	struct resolve resolve;          /* its 127.0.0.11 */
	struct spliced spliced;          /* what serves ports that the table can't */
	bool pid_namespace_is_own;       /* then nothing outlives init */
	int root_lock_fd;                /* the container's lock on its root, held while it is mounted */
	int mounts_fd;                   /* its mount namespace, if nobody waits for the end of that (end.h); or -1 */
	int seccomp_fd;                  /* the container's filter; -1: none */
	struct cgroup_host *cgroup_host; /* looked at ahead of the next start; or NULL */
	int network_fd;                  /* made ahead of it: a network namespace; -1: none */
	int exit_code;
	int64_t exited_at_ns;
	struct loop_source *end_timer; /* ENDING: how long its output may take; RESTARTING: the start */
	int oom_fd;
	struct loop_source *oom_source;
	struct restart restart;
	struct loop_source *sigchld;

	/* Streams and log */
	struct procio stdio;
	struct logset *logset;
	pid_t log_packer;              /* compresses a rotated file; 0: none */
	const struct log_ops *log_ops; /* NULL: the driver writes nothing */
	struct logwriter *logwriter;
	bool log_news; /* followers will be told this round */

	/* Clients and work in progress */
	unsigned clients;
	struct list attaches;
	struct list waits;
	struct list followers; /* clients of the log */
	struct list stats;     /* clients of what it uses */
	struct list stops;
	struct exec_table execs;
	struct health_monitor health;
	struct lend_pause *lent_pause; /* while a worker reads with nothing running; NULL: none does */

	bool removed;
	bool finishing; /* may end itself */
};

/* Ready to run: lock taken, socket listening, state read. ERR_CONFLICT: another monitor lives. */
int monitor_new(const struct monitor_options *options, struct monitor **ret, struct err **reterr);
void monitor_free(struct monitor *monitor);
DEFINE_AUTOFREE(monitor, struct monitor *, monitor_free);

/* Until it is done; returns the exit status. */
int monitor_run(struct monitor *monitor);

/* launch.json anew. The old one stays if this fails. */
int monitor_load_launch(struct monitor *monitor, struct err **reterr);
/* The same, unless it was read already. */
int monitor_need_launch(struct monitor *monitor, struct err **reterr);

/* A client more or less; the last one may end the monitor. ERR_TOO_LARGE when there are too many. */
int monitor_client_begin(struct monitor *monitor, struct err **reterr);
void monitor_client_end(struct monitor *monitor);
void monitor_quit_if_done(struct monitor *monitor);

/* Of launch.json: whether the container's streams are a terminal. */
bool monitor_has_terminal(const struct monitor *monitor);

/* Init runs and can be asked for something; else ERR_CONFLICT in Docker's words. */
int monitor_need_running(const struct monitor *monitor, struct err **reterr);
