/*
 * POST /containers/create: what the client asked for, checked and completed from the image, becomes a container. Nothing
 * is made but the lease on the image's layers, the volumes it needs, and the row, in that order: what a crash leaves before
 * the row is released by the next start-up, since nobody was told of it.
 */
#pragma once

#include "engine/container.h"

/*
 * `name` NULL or "": one is invented. Takes the contents of `create`. The container is borrowed; *ret_warnings is the
 * caller's to free, NULL if there are none.
 */
int create_container(struct engine *engine, const char *name, const char *platform, struct container_create *create,
	struct container **ret, char ***ret_warnings, struct err **reterr);
