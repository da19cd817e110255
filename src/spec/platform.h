/* The platform of images in OCI's words: "linux", "amd64", "v8". */
#pragma once

#include <stdbool.h>

#include "base/err.h"
#include "spec/oci_image.h"

#define PLATFORM_WORD_SIZE 32

struct platform {
	char os[PLATFORM_WORD_SIZE];
	char architecture[PLATFORM_WORD_SIZE];
	char variant[PLATFORM_WORD_SIZE]; /* "" if it does not matter */
};

/* This machine's. */
void platform_of_host(struct platform *ret);
/* "linux/arm64/v8", "linux/amd64", "arm64", or the same as OCI's JSON; NULL or "" is this machine's. */
int platform_parse(const char *text, struct platform *ret, struct err **reterr);
/* Whether an image is for it; one that leaves its variant out is for any. */
bool platform_matches(const struct platform *platform, const struct oci_image_config *config);
/* The same, ERR_NOT_FOUND in Docker's words; `name` is what the image was asked for by. What an image does not say of itself
 * is this machine's. */
int platform_check(const struct platform *platform, const struct oci_image_config *config, const char *name,
	struct err **reterr);
