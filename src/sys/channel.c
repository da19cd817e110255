/*
 * Sending: straight to the kernel while nothing is queued; what it does not take, for whatever reason, waits in order, with
 * duplicates of its descriptors, until the socket can be written. What is refused then too, other than for a moment, shuts the
 * socket down, since a peer that gets no answer would wait for ever. So does a peer that reads nothing and makes the queue
 * grow to CHANNEL_QUEUE_MAX. The loop reports it as any other end.
 *
 * Receiving: the length is asked first, so a quiet channel costs no buffer and a message gets one of its own size, with
 * a NUL after it. A message over the limit, or whose descriptors did not fit, is a broken peer: nothing of it is used.
 * A peer that closes with messages of ours unread makes the kernel say ECONNRESET once, ahead of what it had sent us:
 * reading again gets that, and then the end.
 *
 * The end is always told from the loop, never from inside channel_send or channel_drain, whose callers still hold the
 * channel; whatever arrived before the end is delivered before it.
 *
 * The channel may be freed inside its own callbacks: `busy` counts the frames below us, the last of which frees it.
 */
#include "sys/channel.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "base/io.h"
#include "base/list.h"

#define CHANNEL_MESSAGES_PER_EVENT 16
#define CHANNEL_BACKLOG            64

struct queued {
	struct list link;
	int fds[CHANNEL_FDS_MAX];
	size_t fd_count;
	size_t len;
	char data[];
};

struct channel {
	int fd;
	struct loop_source *source;
	channel_message_fn *on_message;
	channel_closed_fn *on_closed;
	void *user;

	struct list queue;
	size_t queue_len;

	bool broken; /* no more sends */
	bool ended;  /* on_closed was called */
	bool freed;
	unsigned busy;
};

static void fds_close(int *fds, size_t count)
{
	for (size_t i = 0; i < count; i++)
		fd_close(&fds[i]);
}

/* Messages on a bare socket */

static int message_send_flags(int fd, const void *data, size_t len, const int *fds, size_t fd_count, int flags)
{
	if (len == 0 || len > CHANNEL_MESSAGE_MAX || fd_count > CHANNEL_FDS_MAX)
		return -EMSGSIZE; /* an empty message would look like the end */

	struct iovec iov = { .iov_base = (void *)data, .iov_len = len };
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(sizeof(int) * CHANNEL_FDS_MAX)];
	} control = { 0 };
	struct msghdr message = { .msg_iov = &iov, .msg_iovlen = 1 };
	if (fd_count) {
		message.msg_control = &control;
		message.msg_controllen = CMSG_SPACE(sizeof(int) * fd_count);
		struct cmsghdr *header = CMSG_FIRSTHDR(&message);
		header->cmsg_level = SOL_SOCKET;
		header->cmsg_type = SCM_RIGHTS;
		header->cmsg_len = CMSG_LEN(sizeof(int) * fd_count);
		memcpy(CMSG_DATA(header), fds, sizeof(int) * fd_count);
	}
	for (;;) {
		if (sendmsg(fd, &message, flags | MSG_NOSIGNAL) >= 0)
			return 0;
		if (errno != EINTR)
			return errno == ECONNRESET || errno == ENOTCONN ? -EPIPE : -errno;
	}
}

int message_send(int fd, const void *data, size_t len, const int *fds, size_t fd_count)
{
	return message_send_flags(fd, data, len, fds, fd_count, 0);
}

static size_t message_take_fds(struct msghdr *message, int fds[CHANNEL_FDS_MAX])
{
	size_t count = 0;
	for (struct cmsghdr *header = CMSG_FIRSTHDR(message); header; header = CMSG_NXTHDR(message, header)) {
		if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS)
			continue;
		size_t n = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		assert(count + n <= CHANNEL_FDS_MAX); /* the control buffer has no room for more */
		memcpy(fds + count, CMSG_DATA(header), n * sizeof(int));
		count += n;
	}
	return count;
}

static ssize_t message_receive_flags(int fd, void *data, size_t size, int fds[CHANNEL_FDS_MAX], size_t *ret_fd_count,
	int flags)
{
	struct iovec iov = { .iov_base = data, .iov_len = size };
	union {
		struct cmsghdr header;
		char space[CMSG_LEN(sizeof(int) *
				    CHANNEL_FDS_MAX)]; /* without the padding, which would hold one more */
	} control;
	struct msghdr message = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control.space
	};
	for (size_t i = 0; i < CHANNEL_FDS_MAX; i++)
		fds[i] = -1;
	*ret_fd_count = 0;

	ssize_t n;
	do
		n = recvmsg(fd, &message, flags | MSG_CMSG_CLOEXEC);
	while (n < 0 && (errno == EINTR || errno == ECONNRESET));
	if (n < 0)
		return -errno;
	size_t count = message_take_fds(&message, fds);
	if (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) {
		fds_close(fds, count);
		return -EMSGSIZE;
	}
	*ret_fd_count = count;
	return n;
}

ssize_t message_receive(int fd, void *data, size_t size, int fds[CHANNEL_FDS_MAX], size_t *ret_fd_count)
{
	return message_receive_flags(fd, data, size, fds, ret_fd_count, 0);
}

/* Messages in a file */

static const char in_a_file[] = "file"; /* no message of ours begins so */

int channel_send_long(struct channel *channel, const void *data, size_t len, const int *fds, size_t fd_count)
{
	int all[CHANNEL_FDS_MAX];
	if (len <= CHANNEL_MESSAGE_MAX)
		return channel_send(channel, data, len, fds, fd_count);
	if (fd_count >= CHANNEL_FDS_MAX)
		return -EMSGSIZE;
	_autoclose_ int file = memfd_create("message", MFD_CLOEXEC);
	int r = file < 0 ? -errno : io_write_full(file, data, len);
	if (r < 0)
		return r;
	memcpy(all, fds, fd_count * sizeof *fds);
	all[fd_count] = file;
	return channel_send(channel, in_a_file, sizeof in_a_file, all, fd_count + 1);
}

static int read_file(int fd, struct buf *ret)
{
	if (lseek(fd, 0, SEEK_SET) < 0)
		return -errno;
	buf_reset(ret);
	return io_read_all(fd, ret);
}

int message_receive_long(int fd, struct buf *ret, int fds[CHANNEL_FDS_MAX], size_t *ret_fd_count)
{
	int r = buf_reserve(ret, CHANNEL_MESSAGE_MAX);
	if (r < 0)
		return r;
	ssize_t len = message_receive(fd, ret->data, CHANNEL_MESSAGE_MAX, fds, ret_fd_count);
	if (len < 0)
		return (int)len;
	ret->len = (size_t)len;
	if (ret->len != sizeof in_a_file || memcmp(ret->data, in_a_file, sizeof in_a_file) != 0 || !*ret_fd_count)
		return 0;
	r = read_file(fds[--*ret_fd_count], ret);
	fd_close(&fds[*ret_fd_count]);
	return r;
}

/* Sending */

static void queued_free(struct queued *queued)
{
	list_remove(&queued->link);
	fds_close(queued->fds, queued->fd_count);
	free(queued);
}

static int channel_watch(struct channel *channel)
{
	bool out = channel->queue_len > 0 && !channel->broken;
	return loop_fd_set_events(channel->source, out ? EPOLLIN | EPOLLOUT : EPOLLIN);
}

static void channel_drop_queue(struct channel *channel)
{
	struct queued *queued, *following;
	list_foreach_safe (queued, following, &channel->queue, link)
		queued_free(queued);
	channel->queue_len = 0;
}

/* Sends fail from now on; the loop finds the end of file behind what has arrived already. */
static void channel_break(struct channel *channel)
{
	channel->broken = true;
	channel_drop_queue(channel);
	channel_watch(channel);
	shutdown(channel->fd, SHUT_RDWR);
}

static int channel_enqueue(struct channel *channel, const void *data, size_t len, const int *fds, size_t fd_count)
{
	if (channel->queue_len >= CHANNEL_QUEUE_MAX) {
		channel_break(channel);
		return -EPIPE;
	}
	struct queued *queued = malloc(sizeof *queued + len);
	if (!queued)
		return -ENOMEM;
	list_init(&queued->link);
	queued->len = len;
	memcpy(queued->data, data, len);
	for (queued->fd_count = 0; queued->fd_count < fd_count; queued->fd_count++) {
		int fd = fcntl(fds[queued->fd_count], F_DUPFD_CLOEXEC, 3);
		if (fd < 0) {
			int r = -errno;
			queued_free(queued);
			return r;
		}
		queued->fds[queued->fd_count] = fd;
	}
	list_append(&channel->queue, &queued->link);
	channel->queue_len++;
	return channel_watch(channel);
}

int channel_send(struct channel *channel, const void *data, size_t len, const int *fds, size_t fd_count)
{
	if (channel->broken)
		return -EPIPE;
	if (len == 0 || len > CHANNEL_MESSAGE_MAX || fd_count > CHANNEL_FDS_MAX)
		return -EMSGSIZE;
	if (channel->queue_len > 0)
		return channel_enqueue(channel, data, len, fds, fd_count);

	int r = message_send_flags(channel->fd, data, len, fds, fd_count, MSG_DONTWAIT);
	if (r == -EPIPE)
		channel_break(channel);
	if (r == 0 || r == -EPIPE || r == -EMSGSIZE || r == -ETOOMANYREFS)
		return r;
	return channel_enqueue(channel, data, len, fds, fd_count);
}

static void channel_flush(struct channel *channel)
{
	while (channel->queue_len > 0) {
		struct queued *first = container_of(channel->queue.next, struct queued, link);
		int r = message_send_flags(channel->fd, first->data, first->len, first->fds, first->fd_count,
			MSG_DONTWAIT);
		if (r == -EAGAIN || r == -ENOBUFS || r == -ENOMEM)
			return;
		if (r < 0) {
			channel_break(channel);
			return;
		}
		queued_free(first);
		channel->queue_len--;
	}
	channel_watch(channel);
}

/* Receiving */

enum received { RECEIVED_ONE, RECEIVED_NOTHING, RECEIVED_END };

/* Length of the next message; 0 at the end, -EAGAIN if there is none yet. */
static ssize_t channel_next_len(const struct channel *channel)
{
	ssize_t n;
	do
		n = recv(channel->fd, NULL, 0, MSG_PEEK | MSG_TRUNC | MSG_DONTWAIT);
	while (n < 0 && (errno == EINTR || errno == ECONNRESET));
	return n >= 0 ? n : -errno;
}

static enum received channel_receive_one(struct channel *channel)
{
	ssize_t len = channel_next_len(channel);
	if (len == -EAGAIN || len == -ENOMEM)
		return RECEIVED_NOTHING;
	if (len <= 0 || len > CHANNEL_MESSAGE_MAX)
		return RECEIVED_END;

	_cleanup_free_ char *data = malloc((size_t)len + 1);
	if (!data)
		return RECEIVED_NOTHING;
	int fds[CHANNEL_FDS_MAX];
	size_t fd_count;
	ssize_t n = message_receive_flags(channel->fd, data, (size_t)len, fds, &fd_count, MSG_DONTWAIT);
	if (n != len)
		return RECEIVED_END;
	data[n] = '\0';
	channel->on_message(channel, data, (size_t)n, fds, fd_count, channel->user);
	fds_close(fds, fd_count);
	return RECEIVED_ONE;
}

static enum received channel_receive(struct channel *channel, size_t at_most)
{
	enum received received = RECEIVED_ONE;
	for (size_t i = 0; i < at_most && received == RECEIVED_ONE && !channel->freed; i++)
		received = channel_receive_one(channel);
	return received;
}

static void channel_release(struct channel *channel)
{
	if (--channel->busy == 0 && channel->freed)
		free(channel);
}

void channel_drain(struct channel *channel)
{
	if (channel->ended)
		return;
	channel->busy++;
	if (channel_receive(channel, CHANNEL_QUEUE_MAX) == RECEIVED_END && !channel->freed)
		channel_break(channel);
	channel_release(channel);
}

static void channel_end(struct channel *channel)
{
	channel_break(channel);
	loop_fd_set_events(channel->source, 0);
	channel->ended = true;
	channel->on_closed(channel, channel->user);
}

static void channel_on_events(struct loop_source *source, uint32_t events, void *data)
{
	(void)source;
	struct channel *channel = data;
	channel->busy++;
	if (events & EPOLLOUT)
		channel_flush(channel);
	if (events & (EPOLLIN | EPOLLHUP | EPOLLERR))
		if (channel_receive(channel, CHANNEL_MESSAGES_PER_EVENT) == RECEIVED_END && !channel->freed)
			channel_end(channel);
	channel_release(channel);
}

/* A message must fit into the socket's buffer as a whole. */
static void socket_make_room(int fd)
{
	int have = 0;
	int want = 2 * CHANNEL_MESSAGE_MAX;
	socklen_t len = sizeof have;
	if (getsockopt(fd, SOL_SOCKET, SO_SNDBUF, &have, &len) == 0 && have > CHANNEL_MESSAGE_MAX + 1024)
		return;
	if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &want, sizeof want) < 0)
		setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &want, sizeof want);
}

int channel_new(struct loop *loop, int fd, channel_message_fn *on_message, channel_closed_fn *on_closed, void *user,
	struct channel **ret)
{
	_autoclose_ int taken = fd;
	struct channel *channel = calloc(1, sizeof *channel);
	if (!channel)
		return -ENOMEM;
	int r = loop_add_fd(loop, fd, EPOLLIN, channel_on_events, channel, &channel->source);
	if (r < 0) {
		free(channel);
		return r;
	}
	socket_make_room(fd);
	channel->fd = TAKE_FD(taken);
	channel->on_message = on_message;
	channel->on_closed = on_closed;
	channel->user = user;
	list_init(&channel->queue);
	*ret = channel;
	return 0;
}

void channel_free(struct channel *channel)
{
	if (!channel || channel->freed)
		return;
	channel->freed = true;
	channel_drop_queue(channel);
	loop_source_free(channel->source);
	fd_close(&channel->fd);
	if (channel->busy == 0)
		free(channel);
}

int channel_peer(const struct channel *channel, uid_t *ret_uid, pid_t *ret_pid)
{
	struct ucred peer;
	socklen_t len = sizeof peer;
	if (getsockopt(channel->fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0)
		return -errno;
	*ret_uid = peer.uid;
	*ret_pid = peer.pid;
	return 0;
}

/* Ends */

int channel_pair(int ret_fds[2])
{
	int fds[2];
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0)
		return -errno;
	socket_make_room(fds[0]);
	socket_make_room(fds[1]);
	ret_fds[0] = fds[0];
	ret_fds[1] = fds[1];
	return 0;
}

static int channel_address(int dirfd, const char *name, struct sockaddr_un *ret)
{
	*ret = (struct sockaddr_un){ .sun_family = AF_UNIX };
	int n = snprintf(ret->sun_path, sizeof ret->sun_path, "/proc/self/fd/%d/%s", dirfd, name);
	return n < 0 || (size_t)n >= sizeof ret->sun_path || strchr(name, '/') ? -ENAMETOOLONG : 0;
}

/*
 * Born under a temporary name and renamed when it listens: a connector finds the old socket or one that answers, and
 * what a dead predecessor left is replaced. The caller holds the folder's lock.
 */
int channel_listen(int dirfd, const char *name, int *ret_fd)
{
	char temp[64];
	int n = snprintf(temp, sizeof temp, "%s.tmp", name);
	if (n < 0 || (size_t)n >= sizeof temp)
		return -ENAMETOOLONG;
	struct sockaddr_un address;
	int r = channel_address(dirfd, temp, &address);
	if (r < 0)
		return r;
	_autoclose_ int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	if (unlinkat(dirfd, temp, 0) < 0 && errno != ENOENT)
		return -errno;
	/* The file takes its mode from the socket, so it is never open to others. */
	if (fchmod(fd, 0600) < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) < 0)
		return -errno;
	if (listen(fd, CHANNEL_BACKLOG) < 0 || renameat(dirfd, temp, dirfd, name) < 0) {
		r = -errno;
		unlinkat(dirfd, temp, 0);
		return r;
	}
	*ret_fd = TAKE_FD(fd);
	return 0;
}

/* -EAGAIN: it listens, but accepts nobody. */
int channel_connect(int dirfd, const char *name, int *ret_fd)
{
	struct sockaddr_un address;
	int r = channel_address(dirfd, name, &address);
	if (r < 0)
		return r;
	_autoclose_ int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (struct sockaddr *)&address, sizeof address) < 0)
		return -errno;
	r = io_set_nonblock(fd, false);
	if (r < 0)
		return r;
	*ret_fd = TAKE_FD(fd);
	return 0;
}
