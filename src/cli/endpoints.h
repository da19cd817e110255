/* --network and what belongs to the first network: --ip, --network-alias, --link ... */
#pragma once

#include <jansson.h>

#include "base/err.h"
#include "cli/container_options.h"

/*
 * *ret_mode is the network mode ("default", or the first network's name; a new string), *ret_endpoints an object of
 * endpoint settings by network (a new reference), perhaps empty.
 */
int endpoints_parse(const struct container_options *options, char **ret_mode, json_t **ret_endpoints,
	struct err **reterr);
