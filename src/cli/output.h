/*
 * What a command writes with -o, or to standard output, which must be no terminal. A file gets its name, from whatever had it,
 * when it is complete: one that was cut off is not mistaken for it. What is no regular file is written to as it is.
 */
#pragma once

#include "base/err.h"
#include "cli/client.h"

/* The engine's answer to GET `request_path`, into the file `path`; NULL or "": standard output. */
int output_get(struct client *client, const char *request_path, const char *path, struct err **reterr);
