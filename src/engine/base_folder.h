/*
 * data-root/base lies below the lowest layer of every container's root. It is what a root has whatever its image:
 * /.dockerenv, by which programs know where they are, /etc/mtab, and the places of the mounts that each start makes. Being
 * below, it leaves an image its own way, and none of it is a change of the container's. An image that hides what is below
 * its /etc has no mtab.
 */
#pragma once

#include "base/err.h"

/* Makes what is missing of it: before anything is started. */
int base_folder_make(int data_fd, struct err **reterr);
