/*
 * Published ports: from what Docker's documents say (HostConfig.PortBindings, PublishAllPorts, Config.ExposedPorts) to the leases that the
 * monitor publishes, and from what it has published, which its state says, back to documents.
 *
 * A binding without an address is one of both families, on the same port, or as its network has it (NETWORK_OPTION_HOST_IP).
 */
#pragma once

#include "engine/container.h"
#include "spec/container_inspect.h"
#include "spec/launch.h"

/* Whether anything is to be published. */
bool ports_wanted(const struct host_config *host, const struct container_config *config);
/* What a new container asks for. ERR_INVALID in Docker's words. */
int ports_check(const struct host_config *host, struct err **reterr);

/* Bindings of a container after `add` and without `remove` (as PortBindings; either may be NULL; a binding without a host's port stands for
 * all of its container's port). ERR_NOT_FOUND: what is to go is not there. A new document. */
int ports_update(const json_t *bindings, const json_t *add, const json_t *remove, json_t **ret, struct err **reterr);

/* Onto the endpoints that have the default gateways: those of IPv6 onto IPv4's if there is none, where they are
 * only held. Without a
 * gateway nothing is published. */
int ports_launch(const struct container *container, struct launch_network *network, struct err **reterr);

/* NetworkSettings.Ports; NULL when out of memory. */
json_t *ports_describe(const struct container *container);
/* Of a list: heap, whose texts are borrowed from the container. */
int ports_summary(const struct container *container, struct port_summary **ret, size_t *ret_count);
/* Config.ExposedPorts in order, TCP's before others of the same number: heap. -ENOMEM */
struct exposed_port {
	int64_t number;
	const char *proto; /* one pointer for each word */
};
int ports_exposed(const struct container_config *config, struct exposed_port **ret, size_t *ret_count);
/* Whether it publishes any port of "80", "80/udp", "8000-8010". */
bool ports_match(const struct container *container, const char *wanted);
