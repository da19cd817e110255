/*
 * A container and the networks it is on, changed: verbs on a container that runs or not, and the step of a start that makes
 * what it is to be on.
 *
 * The record is written first, then launch.json, then the monitor is told to make the container as launch.json says. A mark in
 * the container's run folder says that it has been told and has not answered: an engine that was killed in between begins
 * with telling it again, so what the record says is what the container gets.
 */
#pragma once

#include "engine/networks.h"
#include "engine/operation.h"
#include "spec/network_config.h"

/* Both answer without a document. `settings` may be NULL; borrowed. */
void connect_container(struct container *container, struct network *network, const struct endpoint_settings *settings,
	engine_done_fn *done, void *user);
void disconnect_container(struct container *container, struct network *network, engine_done_fn *done, void *user);

/* Steps of a start: addresses are chosen and written down if they had to be changed; bridges are there. */
int connect_choose(struct operation *operation, struct err **reterr);
int connect_make_networks(struct operation *operation, struct err **reterr);
int connect_publish_names(struct operation *operation, struct err **reterr);
/* Events: all its networks. */
void connect_started(const struct container *container);
void connect_tell(const struct container *container, const char *action);

/* At start-up: changes that were under way go on. */
void connect_boot(struct engine *engine);
