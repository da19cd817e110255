/*
 * Processes that were asked for inside the running container: exec-create, exec-start (a hand-over), resize, inspect; and
 * the health check's probes. An exec's record stays when it has ended, up to EXEC_ENDED_MAX of them, so that its exit code
 * can be asked for.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <sys/types.h>

#include "base/err.h"
#include "base/list.h"
#include "spec/exec_config.h"

/* Created, running and ended together; and those ended that are kept, the newest. */
#define EXEC_MAX       1000
#define EXEC_ENDED_MAX 64

struct client;
struct exec;
struct monitor;
struct tap;

struct exec_table {
	struct list execs; /* in order of creation */
	unsigned count;
};

void exec_table_init(struct exec_table *table);
void exec_table_finish(struct exec_table *table);
/* Heap, the receiver's; NULL when out of memory. */
char **exec_table_ids(const struct exec_table *table);

/* Takes what `config` owns, also on failure. */
int exec_create(struct monitor *monitor, const char *id, struct exec_config *config, struct err **reterr);
int exec_handover(struct monitor *monitor, const struct client *client, struct err **reterr);
int exec_resize(struct monitor *monitor, const char *id, uint16_t columns, uint16_t rows, struct err **reterr);
/* *ret is an exec_inspect document, a new reference. */
int exec_inspect(struct monitor *monitor, const char *id, json_t **ret, struct err **reterr);

/* A child of ours has ended. Returns whether it was an exec's. */
bool exec_reaped(struct monitor *monitor, pid_t pid, int exit_code);
/* The container has ended, and with it every process inside: all that they said is sent, and they are recorded. */
void exec_end_all(struct monitor *monitor);

/*
 * For health checks: starts `argv` as the container's user, its output going to `tap` (owned by the caller, who takes it
 * back in on_end). `on_end` comes from the loop, once, when the process has ended and its output is read.
 */
typedef void exec_end_fn(int exit_code, void *user);
int exec_probe(struct monitor *monitor, char *const *argv, struct tap *tap, exec_end_fn *on_end, void *user,
	struct exec **ret, struct err **reterr);
void exec_kill(struct exec *exec);
