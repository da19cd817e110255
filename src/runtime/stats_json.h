/* What a container has used, as the document that `events` prints. Callers of runc parse it: names and order are runc's. */
#pragma once

#include <jansson.h>

struct container;

/* A new reference; NULL: out of memory. */
json_t *stats_json(struct container *container);
