/*
 * The engine's side of the monitor: its messages are carried out and answered, its events are sent. A monitor serves the
 * engine that said hello last; whoever merely connects (tared does, to hear of our end) is left alone. Without an engine
 * everything goes on, and events wait in state.json.
 */
#pragma once

#include "base/err.h"
#include "spec/messages.h"

struct control;
struct monitor;

/* A request whose answer may come later; it goes only to the connection that asked. */
struct control_request {
	uint64_t connection;
	int64_t id;
};

/* Listens on monitor.sock, and serves `engine_fd` (taken, also on failure; -1: none). */
int control_new(struct monitor *monitor, int engine_fd, struct control **ret, struct err **reterr);
/* Takes the socket away: who looks for us learns that we ended in peace. */
void control_leave(struct control *control);
void control_free(struct control *control);

void control_send_event(struct control *control, const struct run_event *event);

/* Takes `body`, which may be NULL (out of memory). */
void control_answer(struct control *control, const struct control_request *request, json_t *body);
void control_done(struct control *control, const struct control_request *request);
void control_error(struct control *control, const struct control_request *request, const struct err *err);
