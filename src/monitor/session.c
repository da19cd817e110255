#include "monitor/session.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/log.h"
#include "monitor/queue.h"

#define TCP_DEAD_MS        60000
#define TCP_PROBE_AFTER_S  30
#define TCP_PROBE_EVERY_S  10
#define READS_PER_EVENT    8
#define LINGER_DISCARD_MAX (16UL * 1024)
#define HEAD_UNREAD_MS     1000

struct session {
	struct loop *loop;
	int fd;
	const struct session_ops *ops;
	void *user;
	struct loop_source *source;
	struct loop_source *timer; /* the end: now, after a failed send; of lingering; of waiting for a head's reader */
	struct queue out;
	char *surplus;
	size_t surplus_pos, surplus_len;
	bool is_started;
	bool input_ended;
	bool is_broken;      /* nothing can be sent any more */
	bool is_ending;      /* session_end was called */
	bool is_behind_head; /* the client may not have read the head yet */
	bool lingers;        /* all was sent, and end of file after it */
};

static bool is_unix(int fd)
{
	int domain = 0;
	socklen_t len = sizeof domain;
	return getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) == 0 && domain == AF_UNIX;
}

/* A peer that vanished without a word is found by the kernel; unix sockets always tell. */
static void watch_for_dead_peer(int fd)
{
	int on = 1, dead_ms = TCP_DEAD_MS, after_s = TCP_PROBE_AFTER_S, every_s = TCP_PROBE_EVERY_S;

	if (is_unix(fd))
		return;
	if (setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on) < 0 ||
		setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &after_s, sizeof after_s) < 0 ||
		setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &every_s, sizeof every_s) < 0 ||
		setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &dead_ms, sizeof dead_ms) < 0 ||
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) < 0)
		log_debug("cannot set the time-outs of a client's connection: %s", strerrordesc_np(errno));
}

static bool wants_input(const struct session *session)
{
	return session->is_started && session->ops->input_room && !session->input_ended && !session->is_ending;
}

/* A broken connection is read without epoll, which would report its end all the time. On all others a hang-up is always
 * reported, EPOLLERR or not. */
static void update_events(struct session *session)
{
	uint32_t events = EPOLLERR;
	if (session->is_broken) {
		loop_fd_set_events(session->source, 0);
		return;
	}
	if (session->is_behind_head && session->out.len) {
		/* There is room all the time; each read of the client's is an edge. */
		loop_fd_set_events(session->source, events | EPOLLOUT | EPOLLET);
		return;
	}
	if (session->lingers || (wants_input(session) && session->ops->input_room(session, session->user)))
		events |= EPOLLIN;
	if (session->out.len)
		events |= EPOLLOUT;
	loop_fd_set_events(session->source, events);
}

/* Handled by the loop's next round, since the caller may be anywhere. */
static void mark_broken(struct session *session)
{
	if (session->is_broken)
		return;
	session->is_broken = true;
	queue_finish(&session->out);
	loop_fd_set_events(session->source, 0);
	loop_timer_set(session->timer, clock_monotonic_ms());
	/* It may be there still, when it was our memory that failed: then it sees that it is cut off, and we an end behind what it
	 * has said. */
	shutdown(session->fd, SHUT_RDWR);
}

static bool deliver_surplus(struct session *session)
{
	while (session->surplus) {
		size_t room = session->ops->input_room(session, session->user);
		size_t len = session->surplus_len - session->surplus_pos;
		if (!room)
			return false;
		if (len > room)
			len = room;
		const char *data = session->surplus + session->surplus_pos;
		session->surplus_pos += len;
		session->ops->input(session, data, len, session->user);
		if (session->surplus_pos == session->surplus_len) {
			free(session->surplus);
			session->surplus = NULL;
		}
	}
	return true;
}

/* One read. Returns whether another may find more. */
static bool read_once(struct session *session)
{
	char data[SESSION_INPUT_MAX];
	size_t room = session->ops->input_room(session, session->user);
	if (!room)
		return false;
	ssize_t n;
	do
		n = read(session->fd, data, room < sizeof data ? room : sizeof data);
	while (n < 0 && errno == EINTR);
	if (n > 0) {
		session->ops->input(session, data, (size_t)n, session->user);
		return true;
	}
	if (n < 0 && errno == EAGAIN)
		return false;
	session->input_ended = true;
	session->ops->input_end(session, session->user);
	return false;
}

static void pump_input(struct session *session)
{
	if (!wants_input(session) || !deliver_surplus(session))
		return;
	for (int i = 0; (session->is_broken || i < READS_PER_EVENT) && wants_input(session); i++)
		if (!read_once(session))
			break;
}

static void begin_linger(struct session *session)
{
	session->lingers = true;
	if (shutdown(session->fd, SHUT_WR) < 0)
		mark_broken(session);
	else
		loop_timer_set(session->timer, clock_monotonic_ms() + SESSION_LINGER_MS);
}

/* True when the client has closed. */
static bool linger_discard(struct session *session)
{
	char data[LINGER_DISCARD_MAX];
	ssize_t n = read(session->fd, data, sizeof data);
	return n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR);
}

/* Of the kernel's count one may be on its way out. */
static bool head_is_read(struct session *session)
{
	int unread = 0;
	if (session->is_behind_head && (ioctl(session->fd, SIOCOUTQ, &unread) < 0 || unread <= 1)) {
		session->is_behind_head = false;
		loop_timer_set(session->timer, LOOP_NEVER);
	}
	return !session->is_behind_head;
}

static int hold(struct session *session, const struct iovec *iov, size_t count)
{
	int ret = 0;
	if (!session->out.len)
		loop_timer_set(session->timer, clock_monotonic_ms() + HEAD_UNREAD_MS);
	for (size_t i = 0; ret == 0 && i < count; i++)
		ret = queue_append(&session->out, iov[i].iov_base, iov[i].iov_len);
	return ret;
}

static void flush(struct session *session)
{
	if (!head_is_read(session))
		return;
	bool had = session->out.len > 0;
	int ret = queue_write(&session->out, session->fd, NULL, 0);
	if (ret < 0) {
		mark_broken(session);
		return;
	}
	if (session->is_ending && !session->out.len && !session->lingers)
		begin_linger(session);
	else if (had && !session->is_ending && session_is_ready(session) && session->ops->drained)
		session->ops->drained(session, session->user);
}

/* The client is gone: what it has said before is still read to its end. */
static void broken_pump(struct session *session)
{
	if (session->ops->drained && !session->is_ending)
		session->ops->drained(session, session->user);
	pump_input(session);
	if (!wants_input(session))
		session->ops->gone(session, session->user);
}

static void on_timer(struct loop_source *source, void *data)
{
	(void)source;
	struct session *session = data;
	if (session->is_broken)
		broken_pump(session);
	else if (session->lingers)
		session->ops->gone(session, session->user);
	else if (session->is_behind_head) {
		session->is_behind_head = false;
		flush(session);
		update_events(session);
	}
}

static void on_events(struct loop_source *source, uint32_t events, void *data)
{
	(void)source;
	struct session *session = data;

	if (session->lingers) {
		if (linger_discard(session))
			session->ops->gone(session, session->user);
		return;
	}
	if (events & (EPOLLHUP | EPOLLERR)) {
		mark_broken(session);
		return;
	}
	if (events & EPOLLOUT)
		flush(session);
	if (events & EPOLLIN)
		pump_input(session);
	update_events(session);
}

int session_new(struct loop *loop, int fd, const char *surplus, size_t surplus_len, const struct session_ops *ops,
	void *user, struct session **ret)
{
	_autoclose_ int taken = fd;
	if (surplus_len > SESSION_SURPLUS_MAX)
		return -EFBIG;
	int r = io_set_nonblock(fd, true);
	if (r < 0)
		return r;
	struct session *session = calloc(1, sizeof *session);
	if (!session)
		return -ENOMEM;
	*session = (struct session){ .loop = loop, .fd = TAKE_FD(taken), .ops = ops, .user = user };
	queue_init(&session->out, SESSION_QUEUE_MAX);
	if (surplus_len) {
		session->surplus_len = surplus_len;
		session->surplus = malloc(surplus_len);
		if (session->surplus)
			memcpy(session->surplus, surplus, surplus_len);
	}
	r = surplus_len && !session->surplus ? -ENOMEM : 0;
	if (r == 0)
		r = loop_add_fd(loop, session->fd, EPOLLERR, on_events, session, &session->source);
	if (r == 0)
		r = loop_add_timer(loop, LOOP_NEVER, on_timer, session, &session->timer);
	if (r < 0) {
		session_free(session);
		return r;
	}
	watch_for_dead_peer(session->fd);
	*ret = session;
	return 0;
}

void session_free(struct session *session)
{
	if (!session)
		return;
	loop_source_free(session->source);
	loop_source_free(session->timer);
	fd_close(&session->fd);
	queue_finish(&session->out);
	free(session->surplus);
	free(session);
}

void session_resume(struct session *session)
{
	session->is_started = true;
	if (session->is_broken)
		loop_timer_set(session->timer, clock_monotonic_ms());
	else if (wants_input(session)) {
		if (session->surplus)
			deliver_surplus(session);
		update_events(session);
	}
}

bool session_is_broken(const struct session *session)
{
	return session->is_broken;
}

bool session_is_ready(const struct session *session)
{
	return session->is_broken || session->is_ending || session->out.len < SESSION_QUEUE_READY;
}

void session_send(struct session *session, const struct iovec *iov, size_t count)
{
	if (session->is_broken || session->is_ending)
		return;
	int ret = head_is_read(session) ? queue_write(&session->out, session->fd, iov, count)
					: hold(session, iov, count);
	if (ret == -EFBIG)
		log_warn("a client that does not read is disconnected");
	if (ret < 0)
		mark_broken(session);
	else if (session->out.len)
		update_events(session);
}

void session_puts(struct session *session, const char *text)
{
	struct iovec iov = { (char *)text, strlen(text) };
	session_send(session, &iov, 1);
}

void session_hold_behind_head(struct session *session)
{
	session->is_behind_head = !session->is_broken && is_unix(session->fd);
}

void session_send_chunk(struct session *session, const void *data, size_t len)
{
	char head[24];
	int n = snprintf(head, sizeof head, "%zx\r\n", len);
	struct iovec iov[] = { { head, (size_t)n }, { (void *)data, len }, { (char *)"\r\n", 2 } };
	session_send(session, iov, 3);
}

void session_drop(struct session *session)
{
	mark_broken(session);
}

void session_end(struct session *session)
{
	if (session->is_ending)
		return;
	session->is_ending = true;
	if (session->is_broken) {
		loop_timer_set(session->timer, clock_monotonic_ms());
		return;
	}
	if (!session->out.len)
		begin_linger(session);
	update_events(session);
}
