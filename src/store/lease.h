/* Leases: what keeps an image's layers while somebody needs them, with or without the image. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "store/image.h"

/*
 * A lease keeps an image's layers for a container, even after the image itself was removed. `id` is the container's; taking
 * one that exists replaces it. Create takes it before the container's row is written; a start-up compares both. Without
 * `durable` (containers that are gone with a power cut anyway) it costs no fsync.
 */
int store_lease_create(struct store *store, const char *id, const char *image_id, bool durable, struct err **reterr);
/* Releasing one that is not there succeeds. Layers that only it held go to trash/. A power cut may bring one back. */
int store_lease_release(struct store *store, const char *id, struct err **reterr);
/* IDs of all containers' leases. */
int store_lease_list(struct store *store, char ***ret, struct err **reterr);

/* Bytes of a lease's layers, unpacked. */
int store_lease_size(struct store *store, const char *id, int64_t *ret_bytes, struct err **reterr);

/* Absolute paths of the layers' folders, the topmost first: the overlay's lower folders. */
int store_lease_paths(struct store *store, const char *id, char ***ret, struct err **reterr);
int store_layers_paths(struct store *store, const struct store_image *image, char ***ret, struct err **reterr);
