/* Which sysctls belong to a namespace that a container can have of its own. */
#pragma once

#include <stdbool.h>

/* By grammar too: letters, digits, and "._-/" without empty components. */
bool rules_sysctl_is_namespaced(const char *name);
bool rules_sysctl_is_network(const char *name);
bool rules_sysctl_is_ipc(const char *name);
