/* GET /images/search, the whole job: what a registry finds, filtered here, since it knows no filters. */
#pragma once

#include "worker/task.h"

int search_run(struct task *task, const struct handover *handover, struct err **reterr);
