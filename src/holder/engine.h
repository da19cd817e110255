/* tare-engine: started with our sockets, started again whenever it ends, and told what became of the other children. */
#pragma once

#include <stdbool.h>

#include "base/err.h"
#include "holder/listeners.h"
#include "holder/options.h"
#include "holder/programs.h"
#include "spec/holder.h"
#include "sys/loop.h"

struct engine;

/* The strings and descriptors are valid during the call; the receiver duplicates what it keeps. */
typedef void engine_spawn_fn(const struct holder_message *message, const int *fds, size_t fd_count, void *user);

struct engine_config {
	struct loop *loop;
	struct programs *programs;         /* shares */
	const struct options *options;     /* shares */
	const struct listeners *listeners; /* shares */
	engine_spawn_fn *on_spawn;
	void *user;
};

int engine_new(const struct engine_config *config, struct engine **ret, struct err **reterr);
void engine_free(struct engine *engine);
DEFINE_AUTOFREE(engine, struct engine *, engine_free);

int engine_start(struct engine *engine, struct err **reterr);

/* Asks it to end; the loop is quit with 0 once it has, by force after a while. */
void engine_stop(struct engine *engine);

/* Whether `pid`, which was reaped with `status`, is the engine. It is running again, or will be, when this returns; the loop
 * is quit with HOLDER_EXIT_CANNOT_START if it says that it never can. */
bool engine_reaped(struct engine *engine, pid_t pid, int status);

/* Now, or when an engine runs. */
void engine_tell_exited(struct engine *engine, enum holder_kind kind, const char *id, pid_t pid, int status);
