/*
 * Compiled seccomp filters, by what they were compiled from. Compiling costs megabytes and milliseconds, so a short-lived
 * `tare-runtime seccomp-compile` does it and the result stays in a folder (exec-root/seccomp); who needs it opens it.
 */
#pragma once

#include <jansson.h>

#include "base/err.h"

struct seccomp_request {
	const json_t *profile;     /* Docker's form or the OCI document's; NULL: the default profile */
	char *const *capabilities; /* the container's bounding set: Docker's form has rules that depend on it */
};

/*
 * A descriptor for container_options.seccomp_fd. `cache_fd` is the folder (-1: nothing is kept), `compiler` the path of
 * tare-runtime. A broken or foreign file in the folder is replaced. ERR_INVALID: the profile is wrong, with the compiler's
 * sentence.
 */
int seccomp_cache_open(int cache_fd, const char *compiler, const struct seccomp_request *request, int *ret_fd,
	struct err **reterr);
