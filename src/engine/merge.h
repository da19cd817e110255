/* What an image says about its containers, where the request is silent; Docker's rules. */
#pragma once

#include "spec/container_config.h"
#include "spec/oci_image.h"

/* Returns 0 or -ENOMEM. */
int merge_image(struct container_config *config, const struct oci_image_run *image);

/* No command in either: ERR_INVALID "no command specified". */
int merge_check_command(const struct container_config *config, struct err **reterr);
