/*
 * POST /images/create?fromImage=: the manifest (of an index, the one for the platform), the config, then the layers that the
 * store does not have (fetch.h), and the image appears with its tag and its
 * repository digest. Without a tag and a digest: all tags of the repository, one after the other.
 */
#pragma once

#include "worker/task.h"

int pull_run(struct task *task, const struct handover *handover, struct err **reterr);
