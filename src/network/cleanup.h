/*
 * All that an engine's networks are on the host, taken away when none is to come back (`tared --cleanup`): its bridges and the parent
 * interfaces of its making, which say by their alias whose they are, and its tables. Each thing is told on standard output. What is one
 * switch for the whole host, forwarding, is left: who switched it on first is written nowhere, and others may need it by now.
 */
#pragma once

#include "base/err.h"

int cleanup_networks(const char *exec_root, struct err **reterr);
