/*
 * Finding the user's command, with the rules and sentences of Go's exec.LookPath, which is what people see from runc:
 * `exec: "foo": executable file not found in $PATH`. Runs inside the container as the container's user; allocates nothing.
 */
#pragma once

#include <limits.h>

#define LOOKUP_WHY_MAX 512

/* `path_list` is PATH's value or NULL. Fills `out` and returns 0; or -ENOENT, -EACCES, -EISDIR... and the sentence in `why`. */
int lookup_command(const char *command, const char *path_list, char out[static PATH_MAX],
	char why[static LOOKUP_WHY_MAX]);
