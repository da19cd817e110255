/* POST /images/NAME/push, the whole job: layers that the registry lacks, several at once, then config and manifest. */
#pragma once

#include "worker/task.h"

int push_run(struct task *task, const struct handover *handover, struct err **reterr);
