/*
 * Protection of our own binary against what it will run (CVE-2019-5736): a process in a container may open /proc/PID/exe of
 * any process of ours that it sees. So a program that creates or enters containers runs from a detached read-only mount of
 * its file, which nobody can open for writing, and is undumpable.
 */
#pragma once

#include <stdbool.h>

/* Where the second run looks for the view. */
#define SELFEXE_VIEW_FD 100

/* Re-executes the calling program from such a mount, unless it runs from one: returns 0 then. Without CAP_SYS_ADMIN a sealed
 * copy in memory serves instead. `argv` and the environment are kept. -errno: could not be done.
 * `ret_view`: the mount's descriptor, or -1. Closing it takes the mount away, which waits for a grace period of RCU, several
 * tenths of a millisecond: the caller does it when nobody waits. */
int selfexe_protect(char **argv, int *ret_view);

/* A descriptor on `fd`'s file through a detached read-only mount, for execveat; -errno. */
int selfexe_readonly_view(int fd);
