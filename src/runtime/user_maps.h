/*
 * The maps of a new user namespace. Who has the right to all ids writes them; an ordinary user may map himself alone, and for his
 * sub-ids asks newuidmap and newgidmap, which look into /etc/subuid and /etc/subgid.
 */
#pragma once

#include <sys/types.h>

#include "base/err.h"
#include "spec/oci_runtime.h"

/* `pid`: in its new namespace, waiting. For an ordinary user it must be dumpable meanwhile: its files are root's else. */
int user_maps_write(pid_t pid, const struct oci_linux *config, struct err **reterr);
