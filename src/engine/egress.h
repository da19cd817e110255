/*
 * A container's egress policy: from HostConfig.Egress, or the label tare.egress of the request (never of an image, which would
 * decide what may be done to it), into the record in the words in which it is shown. Limits of bandwidth go the same way.
 */
#pragma once

#include "engine/container.h"

/* Of a new container, before its image's labels are merged in. */
int egress_complete(struct container_record *record, struct err **reterr);
/* `words` as they are written down, or NULL for a policy that allows everything. What no policy can be held on is refused. */
int egress_settle(char *const *words, const struct host_config *host, char ***ret, struct err **reterr);
/* Of bits a second, 0 being none. */
int egress_check_bandwidth(int64_t bits, const struct host_config *host, struct err **reterr);
/* The policy, and what the kernel has counted of what it refused: {Policy, Seen, Truncated}. */
void egress_show(struct container *container, engine_done_fn *done, void *user);
