/* Containers as documents: inspect, the list, and the numbers that info counts. */
#pragma once

#include "engine/container.h"
#include "engine/filters.h"
#include "engine/sizes.h"

/* GET /containers/ID/json. *ret is a new reference. `sizes` NULL: nothing is told of them. */
int inspect_container(struct container *container, const struct sizes *sizes, json_t **ret, struct err **reterr);

extern const char *const inspect_list_filters[];

struct inspect_list {
	bool all;                      /* those that don't run too */
	int64_t limit;                 /* the newest; 0: no limit */
	const struct filters *filters; /* may be NULL */
	const struct sizes *sizes;     /* likewise */
};
/* GET /containers/json, the newest first. */
int inspect_containers(struct engine *engine, const struct inspect_list *wish, json_t **ret, struct err **reterr);

struct inspect_counts {
	size_t running;
	size_t paused;
	size_t stopped;
};
void inspect_count(struct engine *engine, struct inspect_counts *ret);
