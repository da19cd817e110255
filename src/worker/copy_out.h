/* HEAD and GET /containers/ID/archive, GET /containers/ID/export. */
#pragma once

#include "spec/handover.h"
#include "worker/task.h"

int copy_stat_run(struct task *task, const struct handover *handover, struct err **reterr);
int copy_out_run(struct task *task, const struct handover *handover, struct err **reterr);
int export_run(struct task *task, const struct handover *handover, struct err **reterr);
