/*
 * Containers in memory: what create wrote down, what their monitors have told since, and how people find them.
 *
 * A container is counted: the registry holds one reference, every operation on it another. Removal takes it out of the
 * registry (nobody finds it any more) and the last operation frees it.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "engine/core.h"
#include "engine/records.h"
#include "spec/runstate.h"

#define CONTAINER_ID_SIZE       65 /* 64 hex digits and the NUL */
#define CONTAINER_ID_SHORT      12
#define CONTAINER_REMOVING_TEXT "removal of container %s is already in progress"

struct monitor_link;

struct container {
	struct engine *engine;
	unsigned references;
	char id[CONTAINER_ID_SIZE];
	char *name; /* without a leading slash */
	struct container_record record;
	bool was_started;
	bool stopped_by_user;
	bool starting;     /* its addresses are taken though it does not run yet */
	bool removing;     /* the intent is written: it only goes forward */
	bool gone;         /* out of the registry */
	bool boot_restart; /* during start-up: the machine went down, so the restart policy decides */
	struct runstate state;
	int64_t acked_seq;          /* events told up to here */
	uint64_t launch_generation; /* the records' when launch.json was written; 0: it was not, by this engine */
	struct monitor_link *link;  /* NULL: no monitor that we know of */
	struct list operations;     /* of struct operation: the first one runs, the others wait for it */
	struct list requests;       /* of struct operation: those that wait for nobody */
};

/* Takes the contents of `record`. State: created. NULL when out of memory, and `record` is as before. */
struct container *container_new(struct engine *engine, const char *id, const char *name,
	struct container_record *record);
struct container *container_ref(struct container *container);
void container_unref(struct container *container);
DEFINE_AUTOFREE(container, struct container *, container_unref);

/* --- the registry --- */

struct containers;

struct containers *containers_new(void);
void containers_free(struct containers *containers);
size_t containers_count(const struct containers *containers);
/* In order of creation; `*cursor` starts at 0. Removing the current one is allowed. */
struct container *containers_next(const struct containers *containers, size_t *cursor);

/* Takes a reference of its own. ERR_CONFLICT if the name is taken, in Docker's words. */
int containers_add(struct containers *containers, struct container *container, struct err **reterr);
/* Drops it; the container is `gone`. */
void containers_remove(struct containers *containers, struct container *container);
int containers_rename(struct containers *containers, struct container *container, const char *name,
	struct err **reterr);
int containers_check_name(const struct containers *containers, const char *name, struct err **reterr);
struct container *containers_by_id(const struct containers *containers, const char *id);

/*
 * By full ID, name (a leading slash is allowed) or unique prefix of an ID, in that order. Borrows. What its monitor has
 * said up to now is taken in first, so the container's state is what its clients may have seen. ERR_NOT_FOUND "No such
 * container: X"; ERR_INVALID for an ambiguous prefix.
 */
int container_find(struct engine *engine, const char *reference, struct container **ret, struct err **reterr);
/* The same for all of them: takes in what every monitor has said. */
void containers_sync(struct engine *engine);

/* Docker's grammar, the slash taken off already: ERR_INVALID in its words. */
int container_name_check(const char *name, struct err **reterr);
/* Two words with "_" between them that no container has as its name. Heap. */
int container_name_invent(const struct containers *containers, char **ret, struct err **reterr);

/* --- state --- */

bool container_is_running(const struct container *container); /* paused too */
bool container_is_paused(const struct container *container);
bool container_is_restarting(const struct container *container);
/* Docker's word: created, running, paused, restarting, removing, exited, dead. */
const char *container_status(const struct container *container);

/* Takes the contents of `state`, which comes from the monitor. */
void container_set_state(struct container *container, struct runstate *state);

/* --- labels of events and filters --- */

/* Heap map of strings: name, image and the container's labels; NULL when out of memory. */
struct map *container_event_attributes(const struct container *container);

/* Writes was_started, stopped_by_user and the last state down. */
int container_save_marks(struct container *container, struct err **reterr);
