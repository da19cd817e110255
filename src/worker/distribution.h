/* GET /distribution/NAME/json: what a registry has under a name, and for which platforms. Only documents are fetched. */
#pragma once

#include "worker/task.h"

int distribution_run(struct task *task, const struct handover *handover, struct err **reterr);
