/*
 * The engine's side of the holder's protocol (spec/holder.h): asks tared for children, and hears of their ends. When tared
 * is gone so is the engine: the next tared starts one that has its sockets.
 */
#pragma once

#include "engine/core.h"
#include "spec/holder.h"

struct holder_link;

/* Takes `fd`. */
int holder_link_new(struct engine *engine, int fd, struct holder_link **ret, struct err **reterr);
void holder_link_free(struct holder_link *link);

/* Has the program of `kind` started with one end of a new channel as its descriptor 3; *ret_fd is the other end, which may
 * be written to at once. That it could not be started is heard as its end. `argv` is without argv[0]. */
int holder_link_spawn(struct holder_link *link, enum holder_kind kind, const char *id, char *const *argv, int *ret_fd,
	struct err **reterr);

/* The monitor of the container `id`, whose run folder is there. */
int holder_link_spawn_monitor(struct engine *engine, const char *id, int *ret_fd, struct err **reterr);
