/* --publish and --expose. */
#pragma once

#include <jansson.h>

#include "base/err.h"

/*
 * Fills ExposedPorts ({"80/tcp": {}}) and PortBindings ({"80/tcp": [{"HostIp": "", "HostPort": "8080"}]}), both
 * objects of the caller's, from "[[address:]host-port:]port[/protocol]", each port a number or a range, or from
 * "published=8080,target=80,protocol=tcp".
 */
int ports_publish(const char *spec, json_t *exposed, json_t *bindings, struct err **reterr);

/* "80", "80/udp", "8000-8010/tcp" */
int ports_expose(const char *spec, json_t *exposed, struct err **reterr);
