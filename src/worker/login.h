/* POST /auth: asks the registry whether it takes a user's name and password. Nothing is kept: what to do with a good one is the
 * client's. */
#pragma once

#include "worker/task.h"

int login_run(struct task *task, const struct handover *handover, struct err **reterr);
