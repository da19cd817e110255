/*
 * A connection between two of our processes: a SOCK_SEQPACKET unix socket whose messages are bytes and descriptors.
 * Sends never block: what the kernel does not take is queued in order, up to CHANNEL_QUEUE_MAX messages, after which the
 * peer counts as dead. Payload is JSON (spec/messages.h), optionally followed by a NUL byte and raw bytes.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include <sys/types.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "sys/loop.h"

#define CHANNEL_MESSAGE_MAX (160 * 1024)
#define CHANNEL_FDS_MAX     8
#define CHANNEL_QUEUE_MAX   1024

struct channel;

/*
 * `data[len]` is a NUL. The descriptors are the callee's: it sets those it takes to -1, the rest are closed afterwards.
 * The channel may be freed inside.
 */
typedef void channel_message_fn(struct channel *channel, const char *data, size_t len, int *fds, size_t fd_count,
	void *user);
/* End of file or a broken peer; called once, and the channel may be freed inside. */
typedef void channel_closed_fn(struct channel *channel, void *user);

/* Takes `fd` (also on failure). */
int channel_new(struct loop *loop, int fd, channel_message_fn *on_message, channel_closed_fn *on_closed, void *user,
	struct channel **ret);
void channel_free(struct channel *channel);
DEFINE_AUTOFREE(channel, struct channel *, channel_free);

/* Descriptors are duplicated into the message; the caller keeps its own. 0, -EPIPE once closed, -EMSGSIZE, -ENOMEM. */
int channel_send(struct channel *channel, const void *data, size_t len, const int *fds, size_t fd_count);

/* Handles every message that has already arrived, now, before returning: makes what a peer said earlier visible. */
void channel_drain(struct channel *channel);

/* uid and pid of the peer when it connected. */
int channel_peer(const struct channel *channel, uid_t *ret_uid, pid_t *ret_pid);

/* The same framing without a loop, blocking or not as the socket is: for children and short programs. */
int message_send(int fd, const void *data, size_t len, const int *fds, size_t fd_count);
/* Returns the length, 0 at end of file, -errno (-EMSGSIZE: more bytes or descriptors than fit). Received descriptors are
 * O_CLOEXEC; unused slots are -1. */
ssize_t message_receive(int fd, void *data, size_t size, int fds[CHANNEL_FDS_MAX], size_t *ret_fd_count);

/*
 * The same for messages of any length: what is more than CHANNEL_MESSAGE_MAX is in a file without a name, the last of the
 * descriptors. For a peer of the same build, which receives with message_receive_long: 0 with an empty buffer at end of file.
 */
int channel_send_long(struct channel *channel, const void *data, size_t len, const int *fds, size_t fd_count);
int message_receive_long(int fd, struct buf *ret, int fds[CHANNEL_FDS_MAX], size_t *ret_fd_count);

/* Connected pair, and a listener/connector on a path reached through a folder's descriptor (sun_path is short). */
int channel_pair(int ret_fds[2]);
/* Mode 0600, non-blocking; replaces what has that name, so the caller holds the folder's lock. */
int channel_listen(int dirfd, const char *name, int *ret_fd);
/* -ENOENT or -ECONNREFUSED: nobody listens; -EAGAIN: it listens, but its backlog is full. */
int channel_connect(int dirfd, const char *name, int *ret_fd);
