/*
 * NOTIFY_SOCKET: who started us wants to hear when the container is ready. The container gets a socket of its own at
 * /run/notify/notify.sock, in a folder of the state's that is mounted there read-only, and what it says of READY is passed on, with
 * init's pid as the one to watch. It says nothing else of itself: not another pid, no status.
 */
#pragma once

#include <stdbool.h>

#include <sys/types.h>

#include "base/err.h"
#include "spec/oci_runtime.h"

#define NOTIFY_FOLDER "notify" /* in the container's state folder */
#define NOTIFY_SOCKET "notify.sock"
#define NOTIFY_INSIDE "/run/notify"

struct notify {
	int fd;           /* -1: nobody wants to hear, or it was said */
	const char *host; /* borrowed from the environment */
};

#define NOTIFY_INIT      \
 {                       \
  .fd = -1, .host = NULL \
 }

/* Whether somebody does. */
bool notify_is_wanted(void);

/* The folder, and in the document its mount and the variable. `folder`, of the state, is ROOT/ID. */
int notify_prepare(struct oci_spec *spec, int folder, const char *root, const char *id, struct err **reterr);

/* Listens there. Nothing to do if nobody wants to hear, or the container was created without. */
int notify_listen(int folder, struct notify *notify, struct err **reterr);
void notify_close(struct notify *notify);

/* One message, which is there: when it is the one that was waited for, it is passed on, and that is the end of it. */
void notify_serve(struct notify *notify, pid_t pid);

/* Until it was said, or the process has ended. */
void notify_wait(struct notify *notify, pid_t pid, int pidfd);
