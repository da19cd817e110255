/*
 * `tared --cleanup`: for good, when no tared is to come back, at a package's removal say. tared itself takes nothing of networks with it
 * when it ends, since containers go on. Refused while a tared or a container of this exec-root lives.
 */
#pragma once

#include "base/err.h"
#include "holder/options.h"

/* Goes on as tare-network (network/cleanup.h), so it only returns if it can't. */
int cleanup_run(const struct options *options, struct err **reterr);
