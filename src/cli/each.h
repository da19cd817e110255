/* One request for each argument of a command: "stop a b c". */
#pragma once

#include "cli/command.h"

/* Requests that are under way at the same time. */
#define EACH_PARALLEL 50

struct each {
	const char *method;
	const char *before;   /* "/containers/" */
	const char *after;    /* "/stop?t=5" */
	bool missing_is_fine; /* it is told, but is no failure */
};

/* Prints each argument that went well; errors go to standard error in the arguments' order. Returns the exit code. */
int each_argument(const struct invocation *invocation, const struct each *each, struct err **reterr);
