/* Listening unix stream sockets on paths: made with their final rights, replaced only when dead, removed only if ours. */
#pragma once

#include <stdbool.h>

#include <sys/types.h>

/* Which file a socket was bound to, so that its maker removes no other. */
struct socket_file {
	dev_t device;
	ino_t inode;
};

/*
 * Listens on `path` (absolute), owned by us and `gid`, of `mode`, whatever the umask. A socket file nobody answers on is
 * replaced. O_CLOEXEC, blocking. Fails with
 *   -EADDRINUSE  somebody listens there
 *   -EOWNERDEAD  somebody does whom a process that is gone has left the socket
 *   -EEXIST      something else has that name: a file, a folder, a symbolic link (which is not followed)
 *   -EPERM       others may rename files in the folder, so what is at the path need not stay ours
 * and what the kernel says (-ENOENT: no such folder).
 */
int socket_listen_unix(const char *path, gid_t gid, mode_t mode, int *ret_fd, struct socket_file *ret_file);

/* Removes `path` if it is still that file. Returns 0 also if it is not, or gone. */
int socket_unlink_unix(const char *path, const struct socket_file *file);

/* Whether `fd` is a unix stream socket that listens. */
bool socket_is_unix_listener(int fd);
