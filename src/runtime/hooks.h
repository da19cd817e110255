/* Hooks that run on the host's side: absolute path, the hook's own environment and nothing else, the state on stdin. */
#pragma once

#include <stddef.h>

#include "base/err.h"
#include "spec/oci_runtime.h"

/* One after the other; stops at the first failure. `state` is the JSON text; `folder` is where they find themselves, the bundle's
 * (NULL: "/"). */
int hooks_run(const struct oci_hook *hooks, size_t count, const char *name, const char *state, const char *folder,
	struct err **reterr);

/* Those that run when the container is gone: a failure is a warning, and the others run all the same. */
void hooks_run_poststop(const struct oci_hooks *hooks, const char *state, const char *folder,
	void (*warn)(const char *message, void *user), void *user);

/* state.json's text for hooks and `state`; NULL when out of memory. */
char *hooks_state_json(const char *id, const char *status, int64_t pid, const char *bundle,
	const struct map *annotations);
