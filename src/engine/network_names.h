/*
 * What the resolvers of containers know of each network (network/dns_names.h): exec-root/networks/ID/names, written anew whenever a
 * container with a place on it starts, ends, changes its name, its networks or its addresses. Resolvers look at the file
 * with each query, so what is written before a client is answered is true for all that it asks then.
 */
#pragma once

#include "engine/container.h"
#include "engine/networks.h"

/* Failures are logged: the next change writes all of it again. */
void network_names_write(const struct network *network);
/* Of all networks that it is on. */
void network_names_changed(const struct container *container);
void network_names_remove(const struct network *network);
/* All of them, and none of networks that are no more. */
void network_names_boot(struct engine *engine);
