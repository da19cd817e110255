/*
 * Links of the default bridge (`--link name[:alias]`), where no names are resolved: lines in /etc/hosts, and variables that say
 * where the other's ports are and what its own variables were, as they are when a start reads them. On networks of the user's
 * making a link is an alias for the resolver, and its container may come later (lease_endpoint.links).
 */
#pragma once

#include "engine/container.h"

/* Of a new container: those that it names must be there. */
int links_check(struct engine *engine, const struct container_record *record, struct err **reterr);
/* At its start: they must run. */
int links_check_start(const struct container *container, struct err **reterr);

/* "alias:address", and "name:address" if that is another. -ENOMEM */
int links_hosts(const struct container *container, char ***ret);
/* "ALIAS_PORT=tcp://address:80", "ALIAS_ENV_X=..." and so on, with Docker's names. -ENOMEM */
int links_env(const struct container *container, char ***ret);

/* Of a network of the user's making: "alias=name"; who is there is called by its ID, which stays when it is renamed. -ENOMEM */
int links_aliases(const struct container *container, char *const *links, char ***ret);
