/*
 * One poll loop. Nothing in it blocks on a stalled reader but the requests for signals and sizes, which are short: a
 * pipe that can be written takes at least PIPE_BUF bytes, so standard output and error are written in pieces of that
 * size, and only after poll said so. (Making them non-blocking would change them for every process that shares them.)
 *
 * The terminal is raw from the first turn to the last. Signals arrive through a signalfd, so that they are acted upon
 * between two turns; those that end the program do so after the terminal was put back, by being raised again.
 */
#include "cli/stream.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include <sys/signalfd.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/log.h"
#include "cli/detach.h"
#include "cli/terminal.h"
#include "codec/stdcopy.h"
#include "sys/signals.h"

#define READ_SIZE      (32 * 1024)
#define PENDING_MAX    (256 * 1024)
#define RESIZE_TRIES   10
#define RESIZE_STEP_MS 10

/* Bytes on their way to standard output or error. */
struct sink {
	int fd;
	struct buf pending;
};

struct stream {
	struct client *client;
	const struct stream_options *options;
	struct stream_signals *signals;
	struct terminal terminal;
	struct detach_keys keys;
	int fd; /* the connection */
	bool input_open;
	bool output_open;
	bool detached;
	bool waited; /* the wait's answer is there */
	struct buf to_container;
	struct buf input; /* read from the connection and not taken apart */
	struct stdcopy demux;
	struct sink out;
	struct sink err;
	int resize_tries; /* left */
	int64_t resize_at_ms;
	struct err **reterr;
};

/* Signals */

static void caught_signals(bool pass_on, bool tty, sigset_t *set)
{
	static const int never[] = { SIGKILL, SIGSTOP, SIGCHLD, SIGPIPE, SIGURG, SIGTTIN, SIGTTOU, SIGSEGV, SIGBUS,
		SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGSYS };
	static const int ending[] = { SIGHUP, SIGINT, SIGQUIT, SIGTERM };
	sigemptyset(set);
	if (pass_on) {
		sigfillset(set);
		for (size_t i = 0; i < ARRAY_SIZE(never); i++)
			sigdelset(set, never[i]);
	} else {
		for (size_t i = 0; i < ARRAY_SIZE(ending); i++)
			sigaddset(set, ending[i]);
	}
	if (tty)
		sigaddset(set, SIGWINCH);
	else
		sigdelset(set, SIGWINCH);
}

int stream_catch(struct stream_signals *signals, bool pass_on, bool tty, struct err **reterr)
{
	sigset_t set;
	caught_signals(pass_on, tty, &set);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return err_errno(reterr, -errno, "cannot block signals");
	signals->fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return signals->fd < 0 ? err_errno(reterr, -errno, "cannot catch signals") : 0;
}

void stream_release(struct stream_signals *signals)
{
	if (signals->fd < 0)
		return;
	fd_close(&signals->fd);
	sigset_t none;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

/* Ends the program as the signal does, with the terminal as it was. */
static void die_of(struct stream *stream, int signo)
{
	terminal_restore(&stream->terminal);
	struct sigaction action = { .sa_handler = SIG_DFL };
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, signo);
	sigaction(signo, &action, NULL);
	raise(signo);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
	_exit(128 + signo);
}

static void pass_signal(struct stream *stream, int signo)
{
	char name[SIGNAL_NAME_MAX];
	signal_format(signo, name);
	_cleanup_(buf_finish) struct buf path = BUF_INIT(CLIENT_PATH_MAX);
	_autofree_(err) struct err *err = NULL;
	if (buf_printf(&path, "%s?signal=%s", stream->options->kill_path, name) < 0)
		return;
	if (client_call(stream->client, "POST", path.data, NULL, NULL, &err) < 0)
		log_debug("signal %s was not passed on: %s", name, err_message(err));
}

/* The window's size */

static bool send_size(struct stream *stream, uint16_t columns, uint16_t rows)
{
	_cleanup_(buf_finish) struct buf path = BUF_INIT(CLIENT_PATH_MAX);
	if (buf_printf(&path, "%s?h=%u&w=%u", stream->options->resize_path, rows, columns) < 0)
		return false;
	return client_call(stream->client, "POST", path.data, NULL, NULL, NULL) >= 0;
}

static void try_resize(struct stream *stream)
{
	uint16_t columns, rows;
	if (!stream->options->resize_path || !terminal_size(&columns, &rows) || send_size(stream, columns, rows)) {
		stream->resize_tries = 0;
		return;
	}
	/* the process may not have its terminal yet */
	if (stream->resize_tries > 0) {
		stream->resize_at_ms = clock_monotonic_ms() +
				       (RESIZE_TRIES + 1 - stream->resize_tries) * RESIZE_STEP_MS;
		stream->resize_tries--;
	}
}

static void handle_signals(struct stream *stream)
{
	struct signalfd_siginfo info;
	while (read(stream->signals->fd, &info, sizeof info) == sizeof info) {
		if (info.ssi_signo == SIGWINCH && stream->options->tty)
			try_resize(stream);
		else if (stream->options->kill_path)
			pass_signal(stream, (int)info.ssi_signo);
		else
			die_of(stream, (int)info.ssi_signo);
	}
}

/* To the container */

static int close_input(struct stream *stream)
{
	stream->input_open = false;
	if (!stream->to_container.len)
		shutdown(stream->fd, SHUT_WR);
	return 0;
}

static int read_keys(struct stream *stream)
{
	unsigned char typed[READ_SIZE];
	ssize_t n = read(STDIN_FILENO, typed, sizeof typed);
	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return 0;
	if (n <= 0)
		return close_input(stream);
	if (!stream->keys.count)
		return buf_append(&stream->to_container, typed, (size_t)n);
	int ret = detach_keys_feed(&stream->keys, typed, (size_t)n, &stream->to_container);
	if (ret == 1)
		stream->detached = true;
	return ret < 0 ? ret : 0;
}

static void send_keys(struct stream *stream)
{
	struct buf *pending = &stream->to_container;
	ssize_t n = send(stream->fd, pending->data, pending->len, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n < 0) { /* it takes no more input; its output may go on */
		stream->input_open = false;
		buf_reset(pending);
		return;
	}
	buf_consume(pending, (size_t)n);
	if (!pending->len && !stream->input_open)
		shutdown(stream->fd, SHUT_WR);
}

/* From the container */

static int put_output(struct stream *stream, enum stdcopy_stream kind, const char *data, size_t len)
{
	if (kind == STDCOPY_SYSTEM_ERROR && len)
		return err_set(stream->reterr, ERR_INTERNAL, 0, "error from daemon in stream: %.*s", (int)len, data);
	if (kind == STDCOPY_STDERR)
		return stream->options->attach_stderr ? buf_append(&stream->err.pending, data, len) : 0;
	return stream->options->attach_stdout ? buf_append(&stream->out.pending, data, len) : 0;
}

/* Takes `input` apart into what goes where. */
static int split_output(struct stream *stream)
{
	if (stream->options->tty) {
		int ret = buf_append(&stream->out.pending, stream->input.data, stream->input.len);
		buf_reset(&stream->input);
		return ret;
	}
	size_t used = 0;
	while (used < stream->input.len) {
		struct stdcopy_piece piece;
		ssize_t n = stdcopy_decode(&stream->demux, stream->input.data + used, stream->input.len - used, &piece);
		if (n < 0)
			return err_set(stream->reterr, ERR_UNAVAILABLE, 0,
				"the container's output came in a form that is no frame");
		used += (size_t)n;
		int ret = put_output(stream, piece.stream, piece.data, piece.len);
		if (ret < 0)
			return ret;
	}
	buf_reset(&stream->input);
	return 0;
}

static int read_output(struct stream *stream)
{
	ssize_t n = buf_read(&stream->input, stream->fd, READ_SIZE);
	if (n == -EINTR || n == -EAGAIN)
		return 0;
	if (n <= 0) {
		stream->output_open = false;
		return 0;
	}
	return split_output(stream);
}

static int write_sink(struct stream *stream, struct sink *sink)
{
	size_t len = sink->pending.len < PIPE_BUF ? sink->pending.len : PIPE_BUF;
	ssize_t n = write(sink->fd, sink->pending.data, len);
	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return 0;
	if (n < 0)
		return err_errno(stream->reterr, -errno, "cannot write to standard %s",
			sink->fd == STDOUT_FILENO ? "output" : "error");
	buf_consume(&sink->pending, (size_t)n);
	return 0;
}

/* The loop */

enum { FROM_CONNECTION, FROM_STDIN, TO_STDOUT, TO_STDERR, FROM_SIGNALS, FROM_WAIT, SLOT_COUNT };

static bool is_done(const struct stream *stream)
{
	bool output = stream->options->attach_stdout || stream->options->attach_stderr;
	if (stream->detached)
		return true;
	if (stream->waited && !output)
		return true;
	return !stream->output_open && !stream->out.pending.len && !stream->err.pending.len;
}

static void prepare_poll(const struct stream *stream, int wait_fd, struct pollfd fds[static SLOT_COUNT])
{
	bool full = stream->out.pending.len || stream->err.pending.len;
	short connection = (short)((stream->output_open && !full ? POLLIN : 0) |
				   (stream->to_container.len ? POLLOUT : 0));
	bool wants_keys = stream->input_open && stream->to_container.len < READ_SIZE;
	fds[FROM_CONNECTION] = (struct pollfd){ .fd = connection ? stream->fd : -1, .events = connection };
	fds[FROM_STDIN] = (struct pollfd){ .fd = wants_keys ? STDIN_FILENO : -1, .events = POLLIN };
	fds[TO_STDOUT] = (struct pollfd){ .fd = stream->out.pending.len ? STDOUT_FILENO : -1, .events = POLLOUT };
	fds[TO_STDERR] = (struct pollfd){ .fd = stream->err.pending.len ? STDERR_FILENO : -1, .events = POLLOUT };
	fds[FROM_SIGNALS] = (struct pollfd){ .fd = stream->signals->fd, .events = POLLIN };
	fds[FROM_WAIT] = (struct pollfd){ .fd = stream->waited ? -1 : wait_fd, .events = POLLIN };
}

static int poll_timeout(const struct stream *stream)
{
	if (!stream->resize_at_ms)
		return -1;
	int64_t left = stream->resize_at_ms - clock_monotonic_ms();
	return left < 0 ? 0 : (int)left;
}

static int turn(struct stream *stream, int wait_fd)
{
	struct pollfd fds[SLOT_COUNT];
	prepare_poll(stream, wait_fd, fds);
	if (poll(fds, SLOT_COUNT, poll_timeout(stream)) < 0)
		return errno == EINTR ? 0 : err_errno(stream->reterr, -errno, "cannot poll");
	if (stream->resize_at_ms && clock_monotonic_ms() >= stream->resize_at_ms) {
		stream->resize_at_ms = 0;
		try_resize(stream);
	}
	int ret = 0;
	if (fds[FROM_SIGNALS].revents)
		handle_signals(stream);
	if (fds[FROM_WAIT].revents)
		stream->waited = true;
	if (fds[FROM_STDIN].revents)
		ret = read_keys(stream);
	if (ret == 0 && fds[TO_STDOUT].revents)
		ret = write_sink(stream, &stream->out);
	if (ret == 0 && fds[TO_STDERR].revents)
		ret = write_sink(stream, &stream->err);
	if (stream->to_container.len && (fds[FROM_CONNECTION].revents & (POLLOUT | POLLERR | POLLHUP)))
		send_keys(stream);
	if (ret == 0 && (fds[FROM_CONNECTION].revents & (POLLIN | POLLHUP | POLLERR)))
		ret = read_output(stream);
	return ret;
}

static int run_loop(struct stream *stream, struct response *wait)
{
	int wait_fd = wait ? response_fd(wait) : -1;
	int ret = stream->input.len ? split_output(stream) : 0;
	if (stream->options->tty) {
		stream->resize_tries = RESIZE_TRIES;
		try_resize(stream);
	}
	while (ret == 0 && !is_done(stream))
		ret = turn(stream, wait_fd);
	if (ret == 0 && stream->detached && stream->to_container.len)
		send_keys(stream); /* those before the sequence, as far as they are taken at once */
	if (ret == 0)
		ret = stream->detached ? STREAM_DETACHED : STREAM_ENDED;
	return ret;
}

static int prepare(struct stream *stream, struct response *attached)
{
	buf_init(&stream->to_container, PENDING_MAX);
	buf_init(&stream->input, PENDING_MAX);
	buf_init(&stream->out.pending, PENDING_MAX);
	buf_init(&stream->err.pending, PENDING_MAX);
	stdcopy_init(&stream->demux);
	stream->fd = response_take_stream(attached, &stream->input);
	if (stream->fd < 0)
		return err_errno(stream->reterr, stream->fd, "cannot take over the stream");
	const struct stream_options *options = stream->options;
	if (options->attach_stdin && options->tty && isatty(STDIN_FILENO)) {
		const char *keys = options->detach_keys ? options->detach_keys : DETACH_KEYS_DEFAULT;
		int ret = detach_keys_parse(keys, &stream->keys, stream->reterr);
		if (ret < 0)
			return ret;
		ret = terminal_make_raw(&stream->terminal, STDIN_FILENO);
		if (ret < 0)
			return err_errno(stream->reterr, ret, "unable to set IO streams as raw terminal");
	}
	if (!options->attach_stdin)
		shutdown(stream->fd, SHUT_WR);
	return 0;
}

static void stream_finish(struct stream *stream)
{
	terminal_restore(&stream->terminal);
	fd_close(&stream->fd);
	buf_finish(&stream->to_container);
	buf_finish(&stream->input);
	buf_finish(&stream->out.pending);
	buf_finish(&stream->err.pending);
}

int stream_run(struct client *client, struct response *attached, const struct stream_options *options,
	struct stream_signals *signals, struct response *wait, struct err **reterr)
{
	_cleanup_(stream_finish) struct stream stream = {
		.client = client,
		.options = options,
		.signals = signals,
		.terminal = TERMINAL_INIT,
		.fd = -1,
		.input_open = options->attach_stdin,
		.output_open = true,
		.out.fd = STDOUT_FILENO,
		.err.fd = STDERR_FILENO,
		.reterr = reterr,
	};
	int ret = prepare(&stream, attached);
	if (ret == 0)
		ret = run_loop(&stream, wait);
	if (ret < 0 && reterr && !*reterr)
		return err_errno(reterr, ret, "the container's stream broke off");
	return ret;
}

int stream_check_tty(bool attach_stdin, bool tty, struct err **reterr)
{
	if (attach_stdin && tty && !isatty(STDIN_FILENO))
		return err_set(reterr, ERR_INVALID, 0, "the input device is not a TTY");
	return 0;
}
