/*
 * Starts another program from a process of any size at the price of a small one: the child borrows our memory until it
 * executes (vfork), and it inherits nothing that is not named here.
 *
 * The program gets: standard descriptors as given, `fds` as 3, 4, ..., no other descriptor; an empty signal mask and
 * default dispositions; exactly the environment given; `folder`; umask 022; a session of its own.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include <sys/types.h>

#define SPAWN_FDS_MAX 32

struct spawn {
	int program_fd;   /* an open program (no script), or -1: `path` */
	const char *path; /* absolute, or a name for program_fd's errors */
	char *const *argv;
	char *const *env;          /* NULL is an empty one */
	const char *folder;        /* "/" if it can't be entered; NULL: "/" */
	int stdio[3];              /* -1: /dev/null */
	const char *oom_score_adj; /* text for that file, may only raise it without privilege; NULL: inherited */
	const int *fds;            /* borrowed; may hold a descriptor twice */
	size_t fd_count;
	/* Not our child: whoever reaps orphans here does it, and no wait() and no SIGCHLD of ours tells of it. */
	bool is_orphan;
};

#define SPAWN_STDIO_INHERIT \
 {                          \
  0, 1, 2                   \
 }
#define SPAWN_STDIO_NULL \
 {                       \
  -1, -1, -1             \
 }

/* Returns once the program runs; a program that can't be executed is the -errno of execve, and leaves no child. The pid
 * is unreaped, so it can't be another's. `ret_pidfd` may be NULL. */
int spawn_program(const struct spawn *spawn, pid_t *ret_pid, int *ret_pidfd);

/* A child of ours for something slow that nobody waits for: it goes on like fork's, keeps no descriptor but the standard ones and
 * `kept_fd`, so no lock and no connection either, and ends itself by _exit. 0 in the child; -errno: there is none. With a
 * `kept_fd` of STDERR_FILENO (or -1: not even those), not for a moment either; with another one, until it runs. */
pid_t spawn_aside(int kept_fd);
