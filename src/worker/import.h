/* POST /images/create?fromSrc=-: a root folder's tar, compressed or not, becomes an image of one layer. */
#pragma once

#include "spec/handover.h"
#include "worker/task.h"

int import_run(struct task *task, const struct handover *handover, struct err **reterr);
