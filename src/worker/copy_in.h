/* PUT /containers/ID/archive. */
#pragma once

#include "spec/handover.h"
#include "worker/task.h"

int copy_in_run(struct task *task, const struct handover *handover, struct err **reterr);
