/* The name of a container changes. */
#pragma once

#include "engine/container.h"

/* Docker's rules and words; the leading slash is optional. */
int change_name(struct container *container, const char *name, struct err **reterr);
