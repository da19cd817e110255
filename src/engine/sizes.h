/*
 * How many bytes containers and volumes have on disk. A worker counts them: the engine walks no tree. What is named by the
 * wish is asked for in one go, or in several where one message has no room for the names.
 */
#pragma once

#include "engine/container.h"

struct sizes;

struct sizes_wish {
	const struct container *container; /* this one */
	bool containers;                   /* all of them */
	bool volumes;                      /* likewise */
};

/* Called once, from the loop; `sizes` is borrowed for the call and NULL with an error. */
typedef void sizes_done_fn(void *user, const struct sizes *sizes, const struct err *err);
/* Fails, and then `done` is not called, only if no worker can be asked. */
int sizes_count(struct engine *engine, const struct sizes_wish *wish, sizes_done_fn *done, void *user,
	struct err **reterr);

/* What a container has written, and what a volume holds; -1 if it is not known, also if `sizes` is NULL. */
int64_t sizes_of_container(const struct sizes *sizes, const char *id);
int64_t sizes_of_volume(const struct sizes *sizes, const char *name);
