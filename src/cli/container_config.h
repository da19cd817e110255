/* The options of `run` and `create` as the body of the API's create request. */
#pragma once

#include <jansson.h>

#include "base/err.h"
#include "cli/container_options.h"

/* What becomes of the streams; `run` decides by it what it attaches to. */
struct container_streams {
	bool attach_stdin;
	bool attach_stdout;
	bool attach_stderr;
	bool stdin_once;
};

/*
 * args[0] is the image, the rest the command (NULL-terminated). Reads the files that are named (--env-file, seccomp
 * profiles). `streams`, which container_streams() makes, goes into the body as it is.
 */
int container_config(const struct container_options *options, char *const *args,
	const struct container_streams *streams, json_t **ret, struct err **reterr);

/* -a, -i and the default of stdout and stderr. */
int container_streams(const struct container_options *options, struct container_streams *ret, struct err **reterr);

/* "on-failure:3" as {"Name": ..., "MaximumRetryCount": ...}, a new reference; also for `update`. */
int container_restart_policy(const char *text, json_t **ret, struct err **reterr);
