/* Limits, devices and groups of a container as the OCI document has them. */
#pragma once

#include "engine/container.h"
#include "spec/launch.h"

/* Fills oci.linux_config.resources, cgroups_path, process.rlimits and launch->devices. */
int launch_resources(const struct container *container, struct launch *launch, struct err **reterr);
