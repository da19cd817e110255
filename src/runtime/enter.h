/* The root of a container that runs, for processes outside of it. */
#pragma once

#include "base/err.h"

struct container;

/*
 * The mount that is the container's root, as a detached one of its own: what is mounted on it (volumes, /proc, ...) is not
 * there, and nobody in the container sees it. ERR_CONFLICT if init is gone.
 */
int container_clone_root(struct container *container, int *ret_fd, struct err **reterr);

/* Whether its files know this user ("name", "1000", "name:group"), in Docker's words. ERR_CONFLICT if init is gone. */
int container_check_user(struct container *container, const char *user, struct err **reterr);
