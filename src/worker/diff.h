/* GET /containers/ID/changes: what a container added (A), changed (C) and deleted (D) of its image's files. */
#pragma once

#include "spec/handover.h"
#include "worker/task.h"

int diff_run(struct task *task, const struct handover *handover, struct err **reterr);
