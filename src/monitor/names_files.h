/*
 * /etc/hostname, /etc/hosts and /etc/resolv.conf, as Docker writes them, in the container's own folder. Written anew at each
 * start; the container may write to them while it runs. When its networks change meanwhile, its own addresses in hosts follow;
 * resolv.conf does, if it is as we wrote it.
 *
 * No value with a line end or other control character gets in: a line of somebody's choice in these files is somebody's own
 * host name or server.
 */
#pragma once

#include "base/buf.h"
#include "base/err.h"
#include "spec/launch.h"

#define NAMES_FILES 3

struct names_file {
	const char *name;   /* in the container's folder */
	const char *target; /* in the container */
	int (*print)(const struct launch *launch, const struct launch_network *network, struct buf *out);
};

extern const struct names_file names_files[NAMES_FILES];

int names_files_check(const struct launch *launch, struct err **reterr);
/* As a new file. -errno */
int names_file_write(int folder_fd, const struct names_file *file, const struct launch *launch);
/* In the same files, which are mounted. `launch` has the networks of afterwards. Failures are logged. */
void names_files_change(const struct launch *launch, const struct launch_network *before);
