/*
 * The control plane: what the verbs mean. It knows containers, images, volumes and events, but nothing of HTTP (api/ does),
 * and it touches no data: streams belong to monitors, archives to workers (docs/architecture.md).
 *
 * One thread, one loop, nothing waits. What can be answered from memory and the databases is an ordinary function; what
 * needs a monitor ends in an engine_done_fn, called once, from the loop or before the function returns.
 *
 * Start-up order, since each step relies on the one before: the data root is locked, the databases are opened, containers
 * are loaded, unfinished removals go on, each container's state.json is read and its unacknowledged events are told, then
 * every living monitor is connected. A crash at any point leaves what the next start-up reads: the databases say what was
 * acknowledged, the monitors' own files what has happened since.
 */
#pragma once

#include <stdbool.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "codec/json.h"
#include "sys/loop.h"

struct engine;

/*
 * Ends the program when another engine has the data root, or its settings are wrong (EX_CONFIG of sysexits.h): starting
 * again would not help.
 */
#define ENGINE_EXIT_CANNOT_START 78

struct engine_options {
	const char *data_root; /* absolute; exists */
	const char *exec_root;
	const char *cgroup_parent; /* NULL: the default */
	const char *config_file;   /* daemon.json; NULL: the default one, if it is there */
	json_t *settings;          /* what was said on the command line, as daemon.json says it; NULL: nothing */
	int holder_fd;             /* the channel to tared; taken */
};

/* ERR_CONFLICT with "in use" when another engine has the data root. */
int engine_new(struct loop *loop, const struct engine_options *options, struct engine **ret, struct err **reterr);
void engine_free(struct engine *engine);
DEFINE_AUTOFREE(engine, struct engine *, engine_free);

/*
 * How an operation ended. `err` is NULL on success, and then `result` is its document or NULL; both are borrowed for the
 * call.
 */
typedef void engine_done_fn(void *user, json_t *result, const struct err *err);
