/*
 * Giving a client's connection to the process that owns the data. The engine's descriptor stays open until the receiver
 * has acknowledged; if it fails before, the client gets an answer from here.
 */
#pragma once

#include "api/request.h"
#include "engine/container.h"

/* Answers the request in any case. `handover` has kind and parameters; the rest is filled in here. Borrows all. */
void hand_over_to_monitor(struct request *request, struct container *container, struct handover *handover);

/* The same; which program the worker is follows from the kind. */
void hand_over_to_worker(struct request *request, struct handover *handover);

/* The same for a job on a container's tree (engine/tree.h). */
void hand_over_tree(struct request *request, struct container *container, struct handover *handover, bool pause);

/* For operations: as engine_done_fn with the request as user. Answers 204, or the error. */
void respond_done(void *user, json_t *result, const struct err *err);
