/*
 * `--change` of import and commit: single Dockerfile instructions that change an image's config. CMD, ENTRYPOINT, ENV,
 * EXPOSE, HEALTHCHECK, LABEL, ONBUILD, STOPSIGNAL, USER, VOLUME, WORKDIR.
 */
#pragma once

#include "base/err.h"
#include "spec/oci_image.h"

#define CHANGE_BYTES_MAX (64 * 1024)

/* On failure `run` may have been changed in part. */
int change_apply(const char *line, struct oci_image_run *run, struct err **reterr);
