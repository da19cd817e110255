/*
 * Bringing a planned process into the world as the caller's child: the one place where clone happens. Where a pid or user
 * namespace is joined, which only a process born afterwards is in, a joiner goes ahead: it joins, bears the process as its
 * sibling (CLONE_PARENT), hands over its pidfd and ends.
 *
 * Who does not have to be a copy of us is none: a container whose start is said already and who needs no answer from us on his way, and
 * the joiner of an exec. They live in our memory until they execute a program or end, and we stand still meanwhile, as after vfork(2).
 * That saves copying our page tables, copying each page that one of the two touches next, and taking all of it down again: a twentieth
 * of a start. Nobody may reach through them for our memory: the one is alone in its pid namespace, the other is in none of the
 * container's, and both can't be dumped. Nor does a want of memory inside end us: the kernel takes no one who is in vfork for that.
 */
#pragma once

#include "runtime/plan.h"

struct birth {
	pid_t pid;
	int pidfd;
	int sync;     /* our end of the socket pair that report.h describes */
	int state_fd; /* memory file for hooks' state; -1: none */
	bool start_is_said;
};

#define BIRTH_INIT                                    \
 {                                                    \
  .pid = -1, .pidfd = -1, .sync = -1, .state_fd = -1, \
 }

/* On failure nothing is left. */
int birth_give(struct plan *plan, struct birth *ret, struct err **reterr);
/* Closes what the struct holds; `kill_it`: ends and reaps the process first. */
void birth_finish(struct birth *birth, bool kill_it);
