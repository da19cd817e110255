/*
 * What a container that has ended still has of networks of driver cni (network/cni.h): it is detached by tare-network before the
 * container is removed, and when an engine begins, which may be after the machine was started anew. Mostly there is nothing:
 * its monitor has done it.
 */
#pragma once

#include "engine/operation.h"

/* As a step. A failure keeps the container, so that it can be tried again, unless it is removed by force. */
int detach_left(struct operation *operation, struct err **reterr);

void detach_boot(struct engine *engine);

/* Of a container that is no more (one with AutoRemove, after a power cut): its folder goes when it is detached; else the next engine
 * tries again. */
bool detach_is_due(int containers_fd, const char *id);
void detach_orphan(struct engine *engine, const char *id);
