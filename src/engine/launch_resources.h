/* Limits, devices and groups of a container as the OCI document has them. */
#pragma once

#include "engine/container.h"
#include "spec/launch.h"

/* Those that can be changed while it runs: of CPU, memory, processes and the weight of blocks. Into the zeroed `out`. -ENOMEM. */
int launch_limits(const struct host_resources *from, struct oci_resources *out);

/* Fills oci.linux_config.resources, cgroups_path, process.rlimits and launch->devices. */
int launch_resources(const struct container *container, struct launch *launch, struct err **reterr);
