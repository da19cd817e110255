/*
 * A private procfs: a detached instance that no mount in anybody's tree can cover, so what is written goes to the kernel and
 * not to a file that only looks right (CVE-2019-16884, CVE-2025-52881). It shows the pid namespace of whoever opened it.
 * Nothing allocates; all return a descriptor, 0, or -errno.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include <sys/types.h>

/* `pid_only`: without /proc/sys and the other system-wide files. */
int procfs_open(int pid_only);

/* The host's, if it is mounted at /proc and of our own pid namespace, else a private one: to read what nobody but the host could fake.
 * A private one costs more: its end waits for RCU. */
int procfs_open_host(void);

/* Whether the descriptor is on the root of a procfs. */
bool procfs_is_root(int fd);

/* `path` relative to the instance, without symlinks; checked to be procfs and of this very mount. */
int procfs_open_file(int proc_fd, const char *path, int flags);
int procfs_write(int proc_fd, const char *path, const char *text);
/* Reads at most size - 1 bytes and ends them with NUL; returns the length. */
ssize_t procfs_read(int proc_fd, const char *path, char *out, size_t size);

/* "PID/name". */
int procfs_write_pid(int proc_fd, pid_t pid, const char *name, const char *text);
