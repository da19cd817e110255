/*
 * docker-archive: manifest.json names configs and layers. Names of files are only where to look: IDs are computed from what
 * is found, and a name that is a digest must be the right one.
 */
#pragma once

#include "worker/load_image.h"

int load_docker_archive(struct load_archive *archive, struct err **reterr);
