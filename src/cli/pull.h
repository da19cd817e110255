/* Pulling an image: the command, and what run and create do where one is missing. */
#pragma once

#include "base/err.h"
#include "cli/client.h"

/* Shows progress on `fd`. `platform` may be NULL. */
int pull_image(struct client *client, const char *image, const char *platform, int fd, struct err **reterr);
