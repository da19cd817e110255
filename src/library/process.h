/* A process of a container's, as the public header has it. */
#pragma once

#include "library/helper.h"

/* Takes the reply's descriptors, also on failure. */
tare_process *process_new(struct helper *helper, struct reply *reply, struct tare_error *error);
