/* Shared by resources.c and resources_devices.c alone. */
#pragma once

#include "runtime/resources.h"

int resources_devices(struct cgroup *group, const struct oci_resources *resources, struct err **reterr);

/* Writes the formatted value; the error names file and value. */
int resources_set(struct cgroup *group, struct err **reterr, const char *controller, const char *file,
	const char *format, ...) printf_like(5, 6);
