/*
 * TCP connections of a resolver: several queries in one, answered as answers come (RFC 7766). A connection is read as long
 * as it has few questions open and takes its answers; it is closed when it says nonsense, or nothing for too long, or has said
 * its last and got all answers.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/socket.h>

#include "base/buf.h"
#include "base/clock.h"
#include "network/dns_server_internal.h"

#define PREFIX 2

struct dns_stream {
	struct list link;
	struct dns_streams *streams;
	int fd;
	struct loop_source *source;
	struct loop_source *timer;
	struct buf out;
	size_t have;
	unsigned pending;
	bool ended; /* it says no more */
	uint8_t in[PREFIX + DNS_QUERY_MAX];
};

struct dns_streams {
	struct loop *loop;
	struct dns_server *server;
	int listener_fd;
	struct loop_source *listener;
	struct list all;
	size_t count;
	uint8_t scratch[DNS_MESSAGE_MAX];
};

static void watch_listener(struct dns_streams *streams)
{
	loop_fd_set_events(streams->listener, streams->count < DNS_TCP_MAX ? EPOLLIN : 0);
}

static void stream_free(struct dns_stream *stream)
{
	struct dns_streams *streams = stream->streams;

	dns_server_forget(streams->server, stream);
	loop_source_free(stream->source);
	loop_source_free(stream->timer);
	fd_close(&stream->fd);
	buf_finish(&stream->out);
	list_remove(&stream->link);
	free(stream);
	streams->count--;
	watch_listener(streams);
}

static void touch(struct dns_stream *stream)
{
	loop_timer_set(stream->timer, clock_monotonic_ms() + DNS_TCP_IDLE_MS);
}

static size_t first_len(const struct dns_stream *stream)
{
	return (size_t)stream->in[0] << 8 | stream->in[1];
}

/* Whether there is something to do about what has come: one message, or too long a one. */
static bool has_one(const struct dns_stream *stream)
{
	return stream->have >= PREFIX &&
	       (first_len(stream) > DNS_QUERY_MAX || stream->have >= PREFIX + first_len(stream));
}

static bool may_take(const struct dns_stream *stream)
{
	return stream->pending < DNS_TCP_PENDING_MAX && stream->out.len <= DNS_TCP_OUT_MAX;
}

/* With a whole message in it, the buffer is not read into: that one must be taken first. */
static void watch(struct dns_stream *stream)
{
	bool reads = !stream->ended && may_take(stream) && !has_one(stream);

	loop_fd_set_events(stream->source, (reads ? EPOLLIN : 0) | (stream->out.len ? EPOLLOUT : 0));
}

/* Answers that the socket does not take now stay; false: it is broken. */
static bool flush(struct dns_stream *stream)
{
	while (stream->out.len) {
		ssize_t n = send(stream->fd, stream->out.data, stream->out.len, MSG_NOSIGNAL);
		if (n < 0)
			return errno == EAGAIN || errno == EINTR;
		buf_consume(&stream->out, (size_t)n);
		touch(stream);
	}
	return true;
}

static bool put(struct dns_stream *stream, const uint8_t *data, size_t len)
{
	uint8_t prefix[PREFIX] = { (uint8_t)(len >> 8), (uint8_t)len };

	return buf_append(&stream->out, prefix, sizeof(prefix)) == 0 && buf_append(&stream->out, data, len) == 0;
}

/* Takes the first message. -errno: the stream is no use any more. */
static int take_one(struct dns_stream *stream)
{
	const struct dns_client client = { .stream = stream };
	size_t len = first_len(stream);
	bool waits = false;

	if (len > DNS_QUERY_MAX)
		return -EMSGSIZE;
	size_t answer = dns_server_take(stream->streams->server, &client, stream->in + PREFIX, len,
		stream->streams->scratch, &waits);
	stream->have -= PREFIX + len;
	memmove(stream->in, stream->in + PREFIX + len, stream->have);
	stream->pending += waits;
	if (!waits && answer == 0)
		return -EBADMSG;
	return answer && !put(stream, stream->streams->scratch, answer) ? -EFBIG : 0;
}

static int take_all(struct dns_stream *stream)
{
	struct dns_server *server = stream->streams->server;
	int r = 0;

	if (has_one(stream))
		dns_server_begin_round(server);
	while (r == 0 && may_take(stream) && has_one(stream) && !dns_server_is_paused(server)) {
		(void)dns_server_may_read(server); /* which may pause what comes next */
		r = take_one(stream);
	}
	return r;
}

static int receive(struct dns_stream *stream)
{
	ssize_t n = recv(stream->fd, stream->in + stream->have, sizeof(stream->in) - stream->have, 0);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	stream->have += (size_t)n;
	stream->ended = n == 0;
	touch(stream);
	return 0;
}

/* Goes on with what is there, and ends what has ended. */
static void proceed(struct dns_stream *stream, int r)
{
	if (r == 0)
		r = take_all(stream);
	if (r < 0 || !flush(stream) || (stream->ended && !stream->pending && !stream->out.len && !has_one(stream)))
		stream_free(stream);
	else
		watch(stream);
}

static void on_stream(struct loop_source *source, uint32_t events, void *data)
{
	(void)source;
	struct dns_stream *stream = data;
	int r = events & EPOLLIN ? receive(stream) : 0;

	/* Reset, while nothing is to be read. */
	if (events & (EPOLLERR | EPOLLHUP) && !(events & EPOLLIN))
		r = -EPIPE;
	proceed(stream, r);
}

static void on_idle(struct loop_source *source, void *data)
{
	(void)source;
	stream_free(data);
}

void dns_stream_reply(struct dns_stream *stream, const uint8_t *data, size_t len)
{
	stream->pending--;
	proceed(stream, put(stream, data, len) ? 0 : -EFBIG);
}

void dns_streams_resume(struct dns_streams *streams)
{
	struct dns_stream *stream, *following;

	list_foreach_safe (stream, following, &streams->all, link)
		proceed(stream, 0);
}

static int stream_new(struct dns_streams *streams, int fd)
{
	struct dns_stream *stream = calloc(1, sizeof(*stream));

	if (!stream) {
		close(fd);
		return -ENOMEM;
	}
	stream->streams = streams;
	stream->fd = fd;
	buf_init(&stream->out, DNS_TCP_OUT_MAX + PREFIX + DNS_MESSAGE_MAX);
	list_append(&streams->all, &stream->link);
	streams->count++;
	int r = loop_add_timer(streams->loop, LOOP_NEVER, on_idle, stream, &stream->timer);
	if (r == 0)
		r = loop_add_fd(streams->loop, fd, EPOLLIN, on_stream, stream, &stream->source);
	if (r < 0) {
		stream_free(stream);
		return r;
	}
	touch(stream);
	return 0;
}

static void on_listener(struct loop_source *source, uint32_t events, void *data)
{
	(void)source;
	(void)events;
	struct dns_streams *streams = data;

	while (streams->count < DNS_TCP_MAX) {
		int fd = accept4(streams->listener_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
		if (fd < 0 || stream_new(streams, fd) < 0)
			break;
	}
	watch_listener(streams);
}

int dns_streams_new(struct loop *loop, int listener_fd, struct dns_server *server, struct dns_streams **ret)
{
	struct dns_streams *streams = calloc(1, sizeof(*streams));

	if (!streams)
		return -ENOMEM;
	streams->loop = loop;
	streams->server = server;
	streams->listener_fd = listener_fd;
	list_init(&streams->all);
	int r = loop_add_fd(loop, listener_fd, EPOLLIN, on_listener, streams, &streams->listener);
	if (r < 0) {
		free(streams);
		return r;
	}
	*ret = streams;
	return 0;
}

void dns_streams_free(struct dns_streams *streams)
{
	if (!streams)
		return;
	while (!list_is_empty(&streams->all))
		stream_free(container_of(streams->all.next, struct dns_stream, link));
	loop_source_free(streams->listener);
	free(streams);
}

size_t dns_streams_count(const struct dns_streams *streams)
{
	return streams->count;
}
