/* POST /commit: an image of what a container's is, and on top of it a layer of what the container changed. */
#pragma once

#include "spec/handover.h"
#include "worker/task.h"

int commit_run(struct task *task, const struct handover *handover, struct err **reterr);
