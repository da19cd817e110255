/* A container's root as an overlay of layers, as a detached mount: in nobody's mount table. */
#pragma once

#include "base/err.h"
#include "runtime/container.h"

#define OVERLAY_LAYERS_MAX 500 /* the kernel's */

int overlay_mount(const struct container_rootfs *rootfs, int *ret_fd, struct err **reterr);
