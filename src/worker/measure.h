/*
 * How many bytes the files below a folder have, as `docker ps -s` and `system df` count: the lengths of all that is no folder,
 * hard links once. Links are not followed, mounts not entered. A container or somebody else may be at work in there meanwhile,
 * or have made it as deep as it goes: what disappears does not count, and one folder at a time is open.
 */
#pragma once

#include <stdint.h>

/* `path` below `root_fd` is a folder that nobody else can move. Returns 0 or -errno: what can't be counted to its end is unknown. */
int measure(int root_fd, const char *path, int64_t *ret_bytes);
