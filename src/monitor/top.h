/* The container's processes as `ps` on the host would list them. Runs nothing. */
#pragma once

#include "codec/json.h"

struct monitor;

/* `args`: ps's options in one string, NULL is "-ef". New references. */
int top_list(struct monitor *monitor, const char *args, json_t **ret_titles, json_t **ret_processes,
	struct err **reterr);
