/* What a container is to be, on its way to a config.json. */
#pragma once

#include "base/buf.h"
#include "library/error.h"
#include "spec/oci_runtime.h"

/* The document, and the folder that relative paths in it start at (borrowed). */
int config_document(const tare_config *config, const char *id, struct buf *text, const char **ret_bundle,
	struct tare_error *error);

/* What `limits` says and no more; strings are shared. */
void config_resources(const struct tare_limits *limits, struct oci_resources *out);
