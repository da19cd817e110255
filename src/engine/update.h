/* POST /containers/ID/update: limits and the restart policy of a container that is there, running or not. */
#pragma once

#include "engine/container.h"

/* Borrows `update`. The result is Docker's answer, {"Warnings": [...]}. */
void update_container(struct container *container, const struct container_update *update, engine_done_fn *done,
	void *user);
