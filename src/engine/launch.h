/* launch.json, all that a monitor needs to start its container (spec/launch.h), made of what create wrote down. */
#pragma once

#include "engine/container.h"
#include "spec/launch.h"

/* In containers/ID of an AutoRemove container: without a row it may be cleared away. */
#define LAUNCH_AUTO_REMOVE_FILE "auto-remove"

/* What can only be checked at the start: the container whose network is joined runs. */
int launch_check(struct container *container, struct err **reterr);

/* Into the zeroed `out`; launch_finish frees. */
int launch_make(struct container *container, struct launch *out, struct err **reterr);

/* data-root/containers/ID, if it is missing. */
int launch_make_data_folder(const struct container *container, struct err **reterr);

/* The folder below the exec root, made if it is missing: a descriptor. The file is in it, and the monitor needs it. */
int launch_run_folder(const struct engine *engine, const char *id, struct err **reterr);

/* Makes the container's folders if they are missing, and replaces the file. */
int launch_write(struct container *container, struct err **reterr);

/* The same, unless nothing was changed since that it could depend on. */
int launch_refresh(struct container *container, struct err **reterr);
