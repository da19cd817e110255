/*
 * What a command writes with -o, or to standard output, which must be no terminal. A file gets its name, from whatever had it,
 * when it is complete: one that was cut off is not mistaken for it. What is no regular file is written to as it is.
 */
#pragma once

#include "base/err.h"

struct output {
	int fd;
	const char *path; /* borrowed */
	char *temporary;  /* NULL: nothing to be renamed */
};

/* `path` NULL or "": standard output. */
int output_open(const char *path, struct output *ret, struct err **reterr);
int output_commit(struct output *output, struct err **reterr);
/* Removes what was not committed. */
void output_finish(struct output *output);
