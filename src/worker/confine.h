/*
 * A child process for work on what an attacker wrote: the same program, forked, and then shut in before it reads a byte.
 *
 * In this order: it dies with its parent; keeps the descriptors that it is given as 0, 1, 2 and no other; gets namespaces
 * of its own; makes the given folder (a detached clone of its mount, without devices, set-user-ID and programs) its root
 * and lets go of the old one; takes limits on memory, CPU time and core files; keeps the named capabilities and no_new_privs;
 * locks itself to its root with Landlock where there is one; and last allows itself only the system calls on its list:
 * no socket, no signal, no exec among them.
 *
 * It has no network namespace of its own: it can make no socket, has none, and one costs a millisecond a layer.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <sys/types.h>

/* What an unpacking child needs to give files their owners, modes, devices and capabilities. */
#define CONFINE_UNPACK_CAPS                                                                                    \
 (1ULL << CAP_CHOWN | 1ULL << CAP_DAC_OVERRIDE | 1ULL << CAP_FOWNER | 1ULL << CAP_FSETID | 1ULL << CAP_MKNOD | \
	 1ULL << CAP_SETFCAP)

/* Runs in the child; its result is the exit status. */
typedef int confine_fn(void *data);

struct confine {
	int root_fd;   /* borrowed: a folder */
	bool writable; /* else the root is read-only, and no call that makes or changes a file is on the list */
	bool reads;    /* if not writable: the calls that walk through a tree are on the list; else there are none */
	bool whole;    /* with all that is mounted below the root */
	int files_max; /* open at a time; 0: the usual few */
	uint64_t caps;
	/* Kept open, borrowed: a lock that is to be held as long as the child lives; 0: none. */
	int hold_fd;
	int fds[3]; /* borrowed: become 0, 1, 2; -1: /dev/null; the first must be open for reading alone (else -EINVAL) */
	confine_fn *run;
	void *data;
};

/* Exit status of a child that could not be shut in. */
#define CONFINE_FAILED_STATUS 125

/* Returns the child's pid, to be waited for, or -errno. */
pid_t confine_start(const struct confine *confine);
/* Waits. Returns the exit status, or -EINTR-like errors: -ECHILD, or -ECANCELED if a signal ended it. */
int confine_wait(pid_t pid);
/* Ends it and waits. */
void confine_kill(pid_t pid);
