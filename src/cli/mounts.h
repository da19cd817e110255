/* --volume and --mount. */
#pragma once

#include <jansson.h>

#include "base/err.h"

/* "[source:]target[:options]": with a source it is appended to Binds (an array), else put into Volumes (an object). */
int mounts_volume(const char *spec, json_t *binds, json_t *volumes, struct err **reterr);

/* "type=bind,source=/a,target=/b,readonly": appended to Mounts (an array). */
int mounts_mount(const char *spec, json_t *mounts, struct err **reterr);
