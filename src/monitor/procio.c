#include "monitor/procio.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/io.h"

/* A trickle is read through the stack; a stream in full flow gets a buffer as long as it flows, and a pipe in which its writer
 * gets on while this process waits for a processor. */
#define PIPE_BYTES      (1024 * 1024)
#define READ_SMALL      4096
#define READ_FULL_FLOW  (16UL * 1024)
#define READS_PER_EVENT 4

void procio_init(struct procio *stdio, struct loop *loop)
{
	*stdio = (struct procio){ .loop = loop, .in_fd = -1 };
	list_init(&stdio->taps);
	queue_init(&stdio->in, PROCIO_INPUT_MAX);
	for (size_t i = 0; i < ARRAY_SIZE(stdio->out); i++)
		stdio->out[i] = (struct procio_stream){ .stdio = stdio, .number = LOG_STDOUT + i, .fd = -1 };
}

static void stream_close(struct procio_stream *stream)
{
	loop_source_free(stream->source);
	stream->source = NULL;
	stream->is_hung_up = false;
	fd_close(&stream->fd);
	free(stream->buffer);
	stream->buffer = NULL;
}

static void input_close(struct procio *stdio)
{
	loop_source_free(stdio->in_source);
	stdio->in_source = NULL;
	fd_close(&stdio->in_fd);
	queue_finish(&stdio->in);
}

void procio_close(struct procio *stdio)
{
	for (size_t i = 0; i < ARRAY_SIZE(stdio->out); i++)
		stream_close(&stdio->out[i]);
	input_close(stdio);
	stdio->in_broken = stdio->in_closing = stdio->is_terminal = stdio->has_ended = false;
	stdio->log = NULL;
}

static bool tap_wants(const struct tap *tap, enum log_stream stream)
{
	return stream == LOG_STDOUT ? tap->want_stdout : tap->want_stderr;
}

static bool stream_is_ready(const struct procio_stream *stream)
{
	struct tap *tap;
	list_foreach (tap, &stream->stdio->taps, link)
		if (tap_wants(tap, stream->number) && !tap->ops->ready(tap))
			return false;
	return true;
}

static void stream_deliver(struct procio_stream *stream, const char *data, size_t len)
{
	struct procio *stdio = stream->stdio;
	struct tap *tap, *following;

	if (stdio->log) {
		logwriter_put(stdio->log, stream->number, data, len, clock_realtime_ns());
		stdio->on_logged(stdio, stdio->user);
	}
	list_foreach_safe (tap, following, &stdio->taps, link)
		if (tap_wants(tap, stream->number))
			tap->ops->output(tap, stream->number, data, len);
}

static void stream_end(struct procio_stream *stream)
{
	struct procio *stdio = stream->stdio;
	stream_close(stream);
	if (stdio->log) {
		logwriter_end(stdio->log, stream->number, clock_realtime_ns());
		stdio->on_logged(stdio, stdio->user);
	}
}

/* Bytes read and delivered; 0 when there is nothing now or the stream has ended. */
static size_t stream_read(struct procio_stream *stream)
{
	char small[READ_SMALL];
	struct procio *stdio = stream->stdio;
	size_t size = stream->buffer ? PROCIO_READ_MAX : sizeof small;
	char *data = stream->buffer ?: small;
	ssize_t n;

	do
		n = read(stream->fd, data, size);
	while (n < 0 && errno == EINTR);
	if (n < 0 && errno == EAGAIN)
		return 0;
	if (n < 0 && errno == EIO && stdio->is_terminal && !stdio->has_ended) {
		stream->is_hung_up = true;
		return 0;
	}
	if (n <= 0) {
		stream_end(stream);
		return 0;
	}
	stream->is_hung_up = false;
	stream_deliver(stream, data, (size_t)n);
	if (stream->buffer && (size_t)n < READ_FULL_FLOW) {
		free(stream->buffer);
		stream->buffer = NULL;
	} else if (!stream->buffer && (size_t)n == sizeof small) {
		/* Or not: then it goes on slower. */
		stream->buffer = malloc(PROCIO_READ_MAX);
		if (fcntl(stream->fd, F_GETPIPE_SZ) < PIPE_BYTES)
			(void)fcntl(stream->fd, F_SETPIPE_SZ, PIPE_BYTES);
	}
	return (size_t)n;
}

static void stream_on_events(struct loop_source *source, uint32_t events, void *data)
{
	(void)source;
	(void)events;
	struct procio_stream *stream = data;
	struct procio *stdio = stream->stdio;

	for (int i = 0; i < READS_PER_EVENT && stream->fd >= 0 && stream_is_ready(stream); i++)
		if (!stream_read(stream))
			break;
	if (procio_has_output(stdio))
		procio_update(stdio);
	else if (stdio->on_end)
		stdio->on_end(stdio, stdio->user);
}

static int stream_open(struct procio_stream *stream, int fd)
{
	stream->fd = fd;
	int ret = io_set_nonblock(fd, true);
	if (ret == 0)
		ret = loop_add_fd(stream->stdio->loop, fd, EPOLLIN, stream_on_events, stream, &stream->source);
	return ret;
}

/* A hung up terminal says so for as long as it is: of that only changes are heard, of which the next output is one. */
static uint32_t stream_interest(const struct procio_stream *stream)
{
	if (!stream_is_ready(stream))
		return 0;
	return stream->is_hung_up ? EPOLLIN | EPOLLET : EPOLLIN;
}

void procio_update(struct procio *stdio)
{
	for (size_t i = 0; i < ARRAY_SIZE(stdio->out); i++)
		if (stdio->out[i].source)
			loop_fd_set_events(stdio->out[i].source, stream_interest(&stdio->out[i]));
}

void procio_process_ended(struct procio *stdio)
{
	stdio->has_ended = true;
	for (size_t i = 0; i < ARRAY_SIZE(stdio->out); i++)
		if (stdio->out[i].is_hung_up)
			stream_read(&stdio->out[i]); /* it ends, unless something has come */
	procio_update(stdio);
}

void procio_drain(struct procio *stdio)
{
	for (size_t i = 0; i < ARRAY_SIZE(stdio->out); i++) {
		struct procio_stream *stream = &stdio->out[i];
		size_t n, total = 0;
		while (stream->fd >= 0 && total < PROCIO_LEFTOVER_MAX && (n = stream_read(stream)) > 0)
			total += n;
		if (stream->fd >= 0)
			stream_end(stream);
	}
}

/* --- input --- */

static void tell_input_ready(struct procio *stdio)
{
	struct tap *tap, *following;
	list_foreach_safe (tap, following, &stdio->taps, link)
		if (tap->ops->input_ready)
			tap->ops->input_ready(tap);
}

static void input_write(struct procio *stdio, const struct iovec *iov, size_t count)
{
	if (queue_write(&stdio->in, stdio->in_fd, iov, count) < 0) {
		stdio->in_broken = true;
		input_close(stdio);
		return;
	}
	loop_fd_set_events(stdio->in_source, stdio->in.len ? EPOLLOUT : 0);
	if (!stdio->in.len && stdio->in_closing)
		input_close(stdio);
}

static void input_on_events(struct loop_source *source, uint32_t events, void *data)
{
	(void)source;
	(void)events;
	struct procio *stdio = data;
	input_write(stdio, NULL, 0);
	if (!stdio->in.len)
		tell_input_ready(stdio);
}

static int input_open(struct procio *stdio, int fd)
{
	stdio->in_fd = fd;
	int ret = io_set_nonblock(fd, true);
	if (ret == 0)
		ret = loop_add_fd(stdio->loop, fd, 0, input_on_events, stdio, &stdio->in_source);
	return ret;
}

size_t procio_input_room(const struct procio *stdio)
{
	if (stdio->in_broken || stdio->in_closing)
		return PROCIO_INPUT_MAX; /* dropped */
	return stdio->in_fd >= 0 && !stdio->in.len ? PROCIO_INPUT_MAX : 0;
}

void procio_input(struct procio *stdio, const char *data, size_t len)
{
	struct iovec iov = { (char *)data, len };
	if (stdio->in_fd >= 0 && !stdio->in_closing)
		input_write(stdio, &iov, 1);
}

void procio_input_end(struct procio *stdio)
{
	if (stdio->in_fd < 0 || stdio->is_terminal)
		return;
	stdio->in_closing = true;
	if (!stdio->in.len)
		input_close(stdio);
}

/* --- both --- */

int procio_open_pipes(struct procio *stdio, int in_fd, int out_fd, int err_fd)
{
	const int fds[] = { out_fd, err_fd };
	int ret = in_fd >= 0 ? input_open(stdio, in_fd) : 0;

	for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
		int opened = fds[i] >= 0 ? stream_open(&stdio->out[i], fds[i]) : 0;
		ret = ret ?: opened;
	}
	if (ret == 0)
		tell_input_ready(stdio);
	else
		procio_close(stdio);
	return ret;
}

int procio_open_terminal(struct procio *stdio, int master_fd, bool with_input)
{
	/* epoll knows a descriptor once: writing goes through a second one. */
	int in_fd = with_input ? fcntl(master_fd, F_DUPFD_CLOEXEC, 3) : -1;
	if (with_input && in_fd < 0) {
		int ret = -errno;
		fd_close(&master_fd);
		return ret;
	}
	int ret = procio_open_pipes(stdio, in_fd, master_fd, -1);
	stdio->is_terminal = ret == 0;
	return ret;
}

int procio_terminal(const struct procio *stdio)
{
	return stdio->is_terminal ? stdio->out[0].fd : -1;
}

void procio_add_tap(struct procio *stdio, struct tap *tap)
{
	list_append(&stdio->taps, &tap->link);
	procio_update(stdio);
}

void procio_remove_tap(struct procio *stdio, struct tap *tap)
{
	list_remove(&tap->link);
	procio_update(stdio);
}

bool procio_is_open(const struct procio *stdio)
{
	return stdio->in_fd >= 0 || procio_has_output(stdio);
}

bool procio_has_output(const struct procio *stdio)
{
	return stdio->out[0].fd >= 0 || stdio->out[1].fd >= 0;
}
