/* Changes to what a container is: its name, its restart policy. */
#pragma once

#include "engine/container.h"

/* Docker's rules and words; the leading slash is optional. */
int change_name(struct container *container, const char *name, struct err **reterr);

/* POST /containers/ID/update: the restart policy. Limits of resources are refused. Borrows `update`. The result is NULL. */
void change_update(struct container *container, const struct container_update *update, engine_done_fn *done,
	void *user);
