/*
 * Bringing a planned process into the world as the caller's child: the one place where clone happens. Where a pid or user
 * namespace is joined, which only a process born afterwards is in, a joiner goes ahead: it joins, bears the process as its
 * sibling (CLONE_PARENT), hands over its pidfd and ends.
 */
#pragma once

#include "runtime/plan.h"

struct birth {
	pid_t pid;
	int pidfd;
	int sync;     /* our end of the socket pair that report.h describes */
	int state_fd; /* memory file for hooks' state; -1: none */
};

#define BIRTH_INIT                                    \
 {                                                    \
  .pid = -1, .pidfd = -1, .sync = -1, .state_fd = -1, \
 }

/* On failure nothing is left. */
int birth_give(struct plan *plan, struct birth *ret, struct err **reterr);
/* Closes what the struct holds; `kill_it`: ends and reaps the process first. */
void birth_finish(struct birth *birth, bool kill_it);
