/*
 * SCMP_ACT_NOTIFY: the filter's listener goes from the contained process, by its creator, to whoever listens at listenerPath, with the
 * document of the runtime specification that tells whose it is (containerProcessState).
 */
#pragma once

#include "runtime/container.h"

/* `number` is the listener's in the process `pid`, alive and waiting. */
int listener_hand_over(const struct container_listener *listener, pid_t pid, int pidfd, int number,
	struct err **reterr);
