/* What a new network's request says, checked in Docker's words; nothing is decided here. */
#pragma once

#include "base/inet.h"
#include "spec/network_config.h"

int network_check_create(const struct network_create *create, struct err **reterr);
/* Of driver cni, afterwards: its list of plugins is read, and found by the network's name if no file is named (option conf is set). */
int network_check_cni(struct network_create *create, struct err **reterr);

/* The pool of a family among those of the request, or NULL. */
const struct network_ipam_pool *network_pool_of(const struct network_ipam *ipam, bool is_v6);
