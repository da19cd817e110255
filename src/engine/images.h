/* Images as Docker shows and removes them, on top of the store. Documents are new references. */
#pragma once

#include "engine/core.h"
#include "engine/filters.h"

extern const char *const images_list_filters[];
extern const char *const images_prune_filters[];

struct images_wish {
	const struct filters *filters; /* may be NULL */
	bool all;                      /* those that only others are built on too */
	bool shared_size;              /* how much of each belongs to others too is told */
	bool count_containers;         /* how many containers are of each is told */
	int api_minor;                 /* clients before API 1.44 get VirtualSize */
};
/* GET /images/json */
int images_list(struct engine *engine, const struct images_wish *wish, json_t **ret, struct err **reterr);
/* `platform` NULL or "": any; an image of another is not found. */
int images_inspect(struct engine *engine, const char *name, const char *platform, int api_minor, json_t **ret,
	struct err **reterr);
int images_history(struct engine *engine, const char *name, const char *platform, json_t **ret, struct err **reterr);
/* `tag` NULL or "": latest. */
int images_tag(struct engine *engine, const char *name, const char *repository, const char *tag, struct err **reterr);
/* DELETE /images/NAME */
int images_remove(struct engine *engine, const char *name, bool force, bool prune_parents, json_t **ret,
	struct err **reterr);
int images_prune(struct engine *engine, const struct filters *filters, json_t **ret, struct err **reterr);
