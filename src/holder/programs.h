/*
 * The files that are executed for each kind of child, and what every child is given. A container may get at the file its
 * monitor was executed from, so a monitor runs through a read-only mount of it that is in no mount table: nobody can open it
 * for writing, and all monitors share its pages. The mount is made anew when the file is another one, so an upgrade takes
 * effect with the next container; one whose file has gone serves on.
 */
#pragma once

#include <stddef.h>

#include <sys/types.h>

#include "base/err.h"
#include "holder/options.h"
#include "spec/holder.h"

#define PROGRAM_KINDS (HOLDER_NETWORK + 1)

struct program {
	char *path;
	int kept_fd; /* the monitor's, through that mount; -1: none made yet */
	struct timespec modified;
	dev_t device;
	ino_t inode;
	off_t size;
};

struct programs {
	struct program items[PROGRAM_KINDS]; /* by enum holder_kind */
	char **env;
	char *oom_score_adj; /* what children get; NULL: as we have it */
};

/* Protects ourselves from the kernel's OOM killer too, where that is allowed; children get what we had. */
int programs_init(struct programs *programs, const struct options *options, struct err **reterr);
void programs_finish(struct programs *programs);

/* Runs it with `fds` as 3, 4, ...; its standard output and error are ours. Returns 0 or -errno. */
int programs_spawn(struct programs *programs, enum holder_kind kind, char *const *argv, const int *fds, size_t fd_count,
	pid_t *ret_pid);
