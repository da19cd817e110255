/*
 * POST /images/load: a tar of images, as `docker save`, skopeo and podman write them: with manifest.json (docker-archive) or
 * as an OCI layout (index.json); all of it compressed or not.
 *
 * The archive is unpacked by a confined child into a folder of the job's. What it says is read from there, and each layer
 * is unpacked and verified by itself (layers.h). An image appears when all of it is right; images before a bad one in the
 * same archive stay, and have been told.
 */
#pragma once

#include "spec/handover.h"
#include "worker/task.h"

/* Of the parameters: the platform's name. */
int load_check(const struct handover *handover, struct err **reterr);
int load_run(struct task *task, const struct handover *handover, struct err **reterr);
