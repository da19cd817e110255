/* Shared by resources.c, resources_devices.c and scope_properties.c alone. */
#pragma once

#include "runtime/resources.h"
#include "sys/device_filter.h"

int resources_devices(struct cgroup *group, const struct oci_resources *resources, struct err **reterr);

/* Writes the formatted value; the error names file and value. */
int resources_set(struct cgroup *group, struct err **reterr, const char *controller, const char *file,
	const char *format, ...) printf_like(5, 6);

/* All rules in their order: nothing is allowed, the document's, the usual ones. Heap, the receiver's. */
int resources_device_rules(const struct oci_resources *resources, struct device_rule **ret, size_t *ret_count,
	struct err **reterr);

/* v2's weight for v1's shares. */
unsigned resources_cpu_weight(int64_t shares);
