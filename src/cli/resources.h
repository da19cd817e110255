/* The options that limit or give devices and resources, one value each, as the API's objects. */
#pragma once

#include <jansson.h>
#include <stdbool.h>

#include "base/err.h"

/* Each appends to the array `out`. */

/* "/dev/a[:/dev/b][:rwm]" */
int resources_device(const char *spec, json_t *out, struct err **reterr);
/* Whether it names a device of the container device interface, "vendor.com/class=name". */
bool resources_is_cdi_device(const char *spec);
/* "/dev/sda:100" (weight) */
int resources_weight(const char *spec, json_t *out, struct err **reterr);
/* "/dev/sda:1mb" if `is_bytes`, else "/dev/sda:1000" */
int resources_rate(const char *spec, bool is_bytes, json_t *out, struct err **reterr);
/* "nofile=1024:2048" */
int resources_ulimit(const char *spec, json_t *out, struct err **reterr);
/* "all", "2", "device=0,1" ... */
int resources_gpu(const char *spec, json_t *out, struct err **reterr);
/* "c 1:3 rwm", a string as it is */
int resources_device_rule(const char *spec, json_t *out, struct err **reterr);
