/* The containers' monitors: run on request, adopted from a tared that died, and replaced when they die. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include <sys/types.h>

#include "base/err.h"
#include "holder/options.h"
#include "holder/programs.h"
#include "sys/loop.h"

struct monitors;

/* One that was our child is gone for good: it ended by itself with status 0, or nothing could be recovered. */
typedef void monitor_ended_fn(const char *id, pid_t pid, int status, void *user);

struct monitors_config {
	struct loop *loop;
	struct programs *programs;     /* shares */
	const struct options *options; /* shares */
	int containers_fd;             /* shares: exec-root/containers */
	monitor_ended_fn *on_ended;
	void *user;
};

int monitors_new(const struct monitors_config *config, struct monitors **ret, struct err **reterr);
void monitors_free(struct monitors *monitors);
DEFINE_AUTOFREE(monitors, struct monitors *, monitors_free);

/* Looks at every container of this exec root: live monitors are watched, dead ones replaced. To be called once. */
int monitors_adopt(struct monitors *monitors, struct err **reterr);

/* Returns 0 or -errno. */
int monitors_start(struct monitors *monitors, const char *id, char *const *argv, const int *fds, size_t fd_count,
	pid_t *ret_pid);

/* Whether `pid`, which was reaped with `status`, is one of them. */
bool monitors_reaped(struct monitors *monitors, pid_t pid, int status);
