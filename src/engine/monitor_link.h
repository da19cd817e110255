/*
 * The engine's connection to one container's monitor: made by spawning one when something is asked of it, or by connecting
 * to monitor.sock after the engine itself was started anew. Every connection begins with `hello`.
 *
 * What the monitor says is taken in here: events are told exactly once (the sequence number and the journal's mark are one
 * transaction), and the state that comes with them becomes the container's.
 *
 * A request has one answer: what the monitor says, or an error when its deadline has passed or the monitor is gone. A
 * monitor ends by itself after `finish`, which is sent whenever nothing runs and nothing is asked; a request that crosses
 * with such an end is repeated to a new monitor, since the old one can't have seen it. A monitor that dies otherwise is
 * started again by tared and connected again here. Requests wait for that, for some seconds, those that it had too; only what
 * must not be done twice, a start or a signal, fails.
 */
#pragma once

#include <stdint.h>

#include "engine/container.h"
#include "spec/messages.h"

struct handover;
struct monitor_link;

/* What the monitor may take for its ordinary answers; a start may have to make cgroups on a busy machine. */
#define MONITOR_ANSWER_MS 60000

/* `answer` is NULL on failure, then `err` is set. Both are borrowed for the call. */
typedef void monitor_answer_fn(void *user, const struct message *answer, const struct err *err);

/*
 * Sends `body` (taken; message_new with any id, which is replaced), spawning a monitor if there is none. `on_answer` is
 * called once, from the loop; or not at all if this fails. deadline_ms from now; LOOP_NEVER: none.
 */
int monitor_request(struct container *container, json_t *body, int64_t deadline_ms, monitor_answer_fn *on_answer,
	void *user, struct err **reterr);

/* The same with a client's connection: the caller keeps `fd` and the surplus until `on_answer`, of which success means
 * that the monitor is responsible now. */
int monitor_handover(struct container *container, const struct handover *handover, int fd, const void *surplus,
	size_t surplus_len, monitor_answer_fn *on_answer, void *user, struct err **reterr);

/*
 * For a new container: the spare monitor that bears its ID, or one that is spawned before anything is asked of it if the container
 * is to be removed at its end, which most likely is started at once. Best effort: it ends again if nothing comes, and whatever
 * fails here is met again by the first request.
 */
void monitor_link_anticipate(struct container *container);

typedef void monitor_ended_fn(void *user);

/*
 * A living monitor is told that its container is no more. Nothing more is heard of it; but if this returns true, `ended` is called
 * once, from the loop, when it has answered its clients and ended, or takes its time.
 */
bool monitor_link_removed(struct container *container, monitor_ended_fn *ended, void *user);

/* The same for a monitor that this engine has no connection to, if there is one. */
void monitor_link_orphan(struct engine *engine, const char *id);

/* At the engine's end: nobody waits any longer for the monitors of removed containers. */
void monitor_links_end(struct engine *engine);

/* One message to a monitor that this engine does not listen to, or not yet. Takes `body`. */
int monitor_link_tell(int fd, json_t *body);

/* Reads state.json: what a monitor noted without an event, such as why a start failed. */
void monitor_link_refresh(struct container *container);

/* At start-up: reads state.json, tells of its events, and connects if somebody listens. */
void monitor_link_restore(struct container *container);

/* Takes in all that has arrived. The container may be gone afterwards if the caller holds no reference. */
void monitor_link_drain(struct monitor_link *link);
bool monitor_link_is_up(const struct container *container);

/* The container goes away: drops its link. */
void monitor_link_forget(struct container *container);

/* From tared. */
void monitor_link_child_ended(struct engine *engine, const char *id, int pid, int status);
