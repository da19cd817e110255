/*
 * What is mounted into a container besides the defaults: -v, --mount, --tmpfs, --volumes-from and the image's VOLUMEs.
 *
 * At create they become mount points, volumes being made as needed; a place given twice is refused, an image's VOLUME gives
 * way to any. At each start the mount points become mounts of the OCI document. Sources on the host are never looked at
 * here: the monitor resolves them.
 */
#pragma once

#include "engine/container.h"
#include "spec/launch.h"

/*
 * Fills record->mounts. Names of volumes that were made are appended to *made for the undo, also on failure. `id` is the
 * new container's.
 */
int mounts_resolve(struct engine *engine, const char *id, struct container_record *record, char ***made,
	struct err **reterr);

/* Appends to launch->oci.mounts and launch->sources; takes the default mounts out that have the same place. */
int mounts_launch(const struct container *container, struct launch *launch, struct err **reterr);

/* Heap array of record->mounts and a NULL; a place below another comes after it. NULL when out of memory. */
const struct mount_point **mounts_sorted(const struct container_record *record);

/* What of the host's is mounted there; NULL: a filesystem of its own, which only the running container has. Borrowed. */
const char *mounts_host_source(const struct container *container, const struct mount_point *mount);
/* What of the source is mounted there, in place of all of it; or NULL. Borrowed. */
const char *mounts_subpath(const struct container_record *record, const char *destination);

/* "/a//b/../c/" to "/a/c": lexically, as the place in the container is then resolved in its root. NULL when out of
 * memory. */
char *mounts_clean_path(const char *path);
