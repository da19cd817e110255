/* What a refusal of the kernel's says of the machine, in words for who has to change it. */
#pragma once

#include <stdbool.h>

#include "base/err.h"

/* Whether `r` says that we lack a capability, or the kernel `module` (a part of it that can be one); then *reterr is set. */
bool lacking(int r, const char *module, struct err **reterr);
