/* What the engine says about itself and its machine. Documents are new references. */
#pragma once

#include "engine/core.h"
#include "engine/sizes.h"

int info_version(struct engine *engine, json_t **ret, struct err **reterr);
int info_system(struct engine *engine, json_t **ret, struct err **reterr);

/* GET /system/df: of the kinds that are wanted. */
struct usage_wish {
	bool images, containers, volumes, build_cache;
	int api_minor;
};
int info_disk_usage(struct engine *engine, const struct usage_wish *wish, const struct sizes *sizes, json_t **ret,
	struct err **reterr);
