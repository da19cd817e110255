/*
 * A container's places on networks. What was asked for is record.networking (by network's name), what was decided record.legs: an
 * address is chosen when the container is created and chosen anew at its start if somebody else has it by then, so most starts
 * write nothing. It is taken while the container lives, and nowhere else is that written: addresses can't leak.
 *
 * A static address (IPAMConfig) is taken while its container lives, too.
 */
#pragma once

#include "engine/container.h"
#include "engine/networks.h"
#include "spec/launch.h"

/* The container's network when the user names none, and what modes mean: NULL for those that are no networks. */
const char *endpoints_main_network(const char *mode);

/* Of a new container's request: keys become networks' names, the main network gets its entry, addresses and names are
 * checked. What names a network that is not there yet is left for the start. */
int endpoints_complete(struct engine *engine, struct container_record *record, struct err **reterr);
/* One entry, which is `settings`; for connect too. */
int endpoints_check(struct network *network, const struct endpoint_settings *settings, struct err **reterr);

/* Decides what is not decided yet. `except`: the container whose record it is, NULL before there is one. `ret_changed`: it
 * is to be written down. */
int endpoints_choose(struct engine *engine, struct container_record *record, const struct container *except,
	bool *ret_changed, struct err **reterr);

/* Whether its addresses are taken. */
bool endpoints_are_live(const struct container *container);
/* NULL: it is not on that network. */
const struct record_leg *endpoints_leg(const struct container *container, const struct network *network);
/* Of a network of driver cni: what its plugins have chosen; NULL. */
const struct run_place *endpoints_place(const struct container *container, const struct network *network);
/* What was asked for there; NULL. */
const struct endpoint_settings *endpoints_asked(const struct container *container, const struct network *network);
void endpoints_mac(const struct container *container, const struct network *network, const struct record_leg *leg,
	char out[INET_MAC_SIZE]);

/* What others on a network know it by; the first is its own. -ENOMEM */
int endpoints_names(const struct container *container, const struct endpoint_settings *asked, char ***ret);

/* The legs of launch.json, its default routes decided. */
int endpoints_launch(const struct container *container, struct launch *launch, struct err **reterr);

/* Lines "name:address" for /etc/hosts: what was asked for, with host-gateway as the default bridge's address, and links. */
int endpoints_extra_hosts(const struct container *container, char ***ret);

/* For inspect and lists: by network's name, what was asked and, while the container lives, what it has. The map owns its values. */
struct map *endpoints_describe(const struct container *container);
