/*
 * Removing containers. The intent is written first; then folder, volumes, row and name, and the lease go, each of which may be gone
 * already, so a removal that was cut short is done again from the top at the next start. Nothing is deleted here: trees are
 * renamed into trash/, which a worker empties.
 */
#pragma once

#include "engine/container.h"
#include "engine/filters.h"
#include "engine/sizes.h"

/* With `force` a running container is killed first; with `volumes` its anonymous volumes go too. */
void remove_container(struct container *container, bool force, bool volumes, engine_done_fn *done, void *user);
/* AutoRemove: nobody asked, nobody waits but the clients of `wait`. */
void remove_container_unattended(struct container *container);
/* At start-up, for a row with the intent: before monitors are connected. */
void remove_container_resume(struct container *container);

extern const char *const remove_prune_filters[];
/* Those that don't run. *ret is Docker's document, a new reference. */
int remove_prune(struct engine *engine, const struct filters *filters, const struct sizes *sizes, json_t **ret,
	struct err **reterr);

/* exec-root/containers/ID. */
void remove_run_folder(struct engine *engine, const char *id);

/* At start-up: folders and leases of containers that no row knows (AutoRemove ones after a reboot). */
int remove_sweep(struct engine *engine, struct err **reterr);
