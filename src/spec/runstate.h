/*
 * state.json: what has become of a container, written by its monitor alone (or by the monitor that recovers it), replaced
 * as a whole, and read by the engine when no monitor answers. Events stay in it until the engine has acknowledged them, so
 * that each is told once however often either side dies.
 *
 * Times are nanoseconds since 1970; CLOCK_NEVER where it has not happened.
 */
#pragma once

#include "spec/health.h"
#include "spec/lease.h"

/* Ceiling of the file. */
#define RUNSTATE_MAX (8 * 1024 * 1024)
/* Events kept unacknowledged; past it the oldest are dropped, and their sequence numbers are missing. */
#define RUNSTATE_EVENTS_MAX 512

/* Not for users: the exec of this execID could not be started, with this exitCode. */
#define RUN_EVENT_EXEC_FAILED "exec_failed"

struct run_event {
	int64_t seq; /* from 1, without gaps, for the container's whole life */
	char *type;  /* start, die, oom, kill, pause, unpause, restart, exec_create, ..., health_status: healthy */
	int64_t time_ns;
	struct map *attributes; /* exitCode, signal, execID, ... */
};

/* On a network of driver cni, as its plugins have chosen. */
struct run_place {
	char *network_id;
	char *mac;
	struct lease_address ipv4;
	struct lease_address ipv6;
};

struct runstate {
	int64_t version;
	char *status;             /* created, running, paused, restarting, exited, dead */
	int64_t pid;              /* of init, in the host's numbering; 0 if it does not run */
	uint64_t init_start_time; /* field 22 of /proc/PID/stat: tells a reused pid */
	int64_t exit_code;
	bool oom_killed;
	char *error; /* why the last start failed */
	int64_t started_at_ns;
	int64_t finished_at_ns;
	int64_t restart_count;
	bool stop_requested;      /* somebody asked for the end: no restart policy */
	struct health *health;    /* NULL without a health check */
	struct lease_port *ports; /* published while it runs, as they were chosen */
	size_t port_count;
	bool held; /* an egress policy of its is in the packet filter */
	struct run_place *places;
	size_t place_count;
	int64_t last_seq;         /* of the newest event ever made */
	struct run_event *events; /* not acknowledged yet, in order */
	size_t event_count;
};

extern const struct json_table runstate_table;
extern const struct json_table run_event_table;
extern const struct json_table run_place_table;

/* A container that was never started: status created, times CLOCK_NEVER. */
int runstate_init(struct runstate *state);
int runstate_parse(const char *text, size_t len, struct runstate *out, struct err **reterr);
int runstate_print(const struct runstate *state, struct buf *out);
void runstate_finish(struct runstate *state);

bool runstate_is_running(const struct runstate *state); /* running or paused */

/* Replaces the string; `status` is one of the words above. Returns 0 or -ENOMEM. */
int runstate_set_status(struct runstate *state, const char *status);

/* Takes the ports. */
void runstate_set_ports(struct runstate *state, struct lease_port *ports, size_t count);

/* Takes them. */
void runstate_set_places(struct runstate *state, struct run_place *places, size_t count);

/* Appends an event with the next number, taking `attributes` (also on failure; may be NULL), and returns it in *ret, valid
 * until the next change. Returns 0 or -ENOMEM. */
int runstate_add_event(struct runstate *state, const char *type, int64_t time_ns, struct map *attributes,
	const struct run_event **ret);
/* Forgets events up to and including `seq`. */
void runstate_acknowledge(struct runstate *state, int64_t seq);
