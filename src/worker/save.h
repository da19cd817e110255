/*
 * GET /images/get and /images/NAME/get: images as a tar that is an OCI layout and a docker-archive at once, over the same
 * blobs, as Docker writes it since 25. What says what is in it stands first, so that a reader that streams knows what is coming.
 *
 * All is looked up and held, and the archive's length known, before the first byte: until then an error is an answer of its
 * own. Blobs then go from the store to the client without passing through this process. The same images make the same bytes.
 */
#pragma once

#include "spec/handover.h"
#include "worker/task.h"

int save_run(struct task *task, const struct handover *handover, struct err **reterr);
