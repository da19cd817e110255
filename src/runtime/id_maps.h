/* Maps of user namespaces, as the kernel reads them, and namespaces for mounts whose owners are mapped. */
#pragma once

#include "base/buf.h"
#include "base/err.h"
#include "spec/oci_runtime.h"

#define ID_MAP_TEXT_MAX 4096 /* what the kernel takes in one write */

int id_map_text(const struct oci_id_mapping *maps, size_t count, struct buf *out, struct err **reterr);

/* Who a container's `id` is on the host: the same without maps, -1 if they have it not. */
int64_t id_map_host(const struct oci_id_mapping *maps, size_t count, uint32_t id);

/* A user namespace for an idmapped mount: with the mount's own maps, or the container's where it has none. A descriptor, or -errno. */
int id_map_for_mount(const struct oci_mount *mount, const struct oci_spec *spec, struct err **reterr);
