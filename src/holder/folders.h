/* The two roots: made with their modes whatever the umask, and the exec root held by one tared at a time. */
#pragma once

#include "base/err.h"
#include "holder/options.h"

struct folders {
	int exec_root_fd;
	int containers_fd; /* exec-root/containers */
	int lock_fd;       /* exec-root/tared.lock */
};

#define FOLDERS_INIT                                     \
 {                                                       \
  .exec_root_fd = -1, .containers_fd = -1, .lock_fd = -1 \
 }

/* Fails with ERR_CONFLICT, naming the process, if another tared holds the exec root. */
int folders_open(struct folders *folders, const struct options *options, struct err **reterr);
void folders_finish(struct folders *folders);

/* Writes our pid, replacing the file; NULL is fine. */
int pidfile_write(const char *path, struct err **reterr);
