/* What the engine says about itself and its machine. Documents are new references. */
#pragma once

#include "engine/core.h"

int info_version(struct engine *engine, json_t **ret, struct err **reterr);
int info_system(struct engine *engine, json_t **ret, struct err **reterr);
/* GET /system/df: what is known without walking trees. */
int info_disk_usage(struct engine *engine, json_t **ret, struct err **reterr);
