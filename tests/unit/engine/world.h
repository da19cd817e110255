/*
 * An engine in folders of its own, with the test in the place of tared and of the monitors: it hears what is spawned and
 * what monitors are asked, and says what they would say.
 */
#pragma once

#include "../store/fixture.h"
#include "engine/container.h"
#include "engine/core.h"
#include "spec/holder.h"
#include "spec/messages.h"

struct world {
	struct fixture *fixture;
	char exec_root[64];
	struct loop *loop;
	struct engine *engine;
	int holder_fd; /* tared's end */
	int bell[2];
	int rounds;

	/* The outcome of the last operation that used world_done. */
	unsigned done_count;
	enum err_kind done_kind; /* ERR_KIND_COUNT: success */
	char done_text[256];
};

/* For cmocka_unit_test_setup_teardown. The image "box" exists. */
int world_setup(void **state);
int world_teardown(void **state);

void world_start_engine(struct world *world);
/* As SIGKILL would: nothing is said to anybody, the descriptors are closed. */
void world_kill_engine(struct world *world);
/* The exec-root of a machine that was started anew. */
void world_reboot(struct world *world);

/* Lets the engine handle all that has arrived. */
void world_turn(struct world *world);

/* With the members of `body` in single quotes, and Image, Cmd and NetworkMode "none" if it has none: here nobody makes bridges. */
struct container *world_create(struct world *world, const char *name, const char *body);

void world_done(void *user, json_t *result, const struct err *err);

/* The end of the channel that a child of this kind was just spawned with; -1: none was. Its ID is compared if not NULL. */
int world_spawned(struct world *world, enum holder_kind kind, const char *id);

/* The next message on a monitor's end: its op is compared, its id returned; -1 and no failure if `op` is NULL and none is
 * there. `fd` of a hand-over is closed. */
int64_t world_asked(struct world *world, int fd, const char *op);
bool world_is_closed(int fd);

/* What a monitor says; `text` in single quotes. */
void world_say(struct world *world, int fd, const char *text);
/* hello's answer of a monitor whose container has this status. */
void world_greet(struct world *world, int fd, const char *status);

/* Actions in the journal about this actor, joined by blanks; heap. */
char *world_events(struct world *world, const char *actor);
