/*
 * What a create body's values may be, beyond their types: Docker's bounds and Docker's words. Nothing is looked up and no
 * path is touched; text that ends up in a file or a kernel interface is checked by grammar. Numbers are compared, never
 * used for an allocation.
 */
#pragma once

#include "base/err.h"
#include "spec/container_config.h"

/* Memory below this is refused. */
#define VALIDATE_MEMORY_MIN (6LL * 1024 * 1024)

/* The container's own part, after the image's has been merged in. */
int validate_config(const struct container_config *config, struct err **reterr);

/* The host's part; appends to *warnings (may stay NULL) what is ignored. */
int validate_host(const struct host_config *host, const struct container_config *config, char ***warnings,
	struct err **reterr);

int validate_restart_policy(const struct restart_policy *policy, bool auto_remove, struct err **reterr);

/* Limits: validate_resources.c. */
int validate_resources(const struct host_resources *resources, char ***warnings, struct err **reterr);

/* Fills in what is meant where they are silent. */
void validate_complete_resources(struct host_resources *resources);

/* A list of CPUs or memory nodes ("0-3,7") within 0 .. `limit` - 1, without allocating. -EINVAL, or -ERANGE. */
int validate_cpu_list(const char *text, unsigned limit);

/* No NUL can be in a string; no line end or other control character either. */
bool validate_is_plain(const char *text);
