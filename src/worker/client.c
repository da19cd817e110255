#include "worker/client.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/sendfile.h>
#include <sys/socket.h>

#include "base/buf.h"
#include "base/clock.h"
#include "codec/http_body.h"
#include "codec/http_write.h"
#include "codec/json.h"
#include "worker/limits.h"

#define INPUT_BYTES    (64 * 1024)
#define MESSAGE_BYTES  (16 * 1024 * 1024) /* the most that one may have; memory is what it has */
#define HEAD_BYTES     (16 * 1024)
#define SENDFILE_BYTES 0x7ffff000 /* the most that the kernel takes at once */
/* How long a client may take to read an answer, and to send the rest of a body that is not wanted any more. */
#define WRITE_IDLE_MS 60000
#define LINGER_MS     10000
/* How often somebody's patience is asked. */
#define PATIENCE_MS 200
/* The same for an archive, which goes on to wherever the client sends it: perhaps that asks for a password first. */
#define BYTES_IDLE_MS (3600 * 1000)

struct client {
	int fd;
	struct http_body body;
	bool expects_continue;
	bool chunked_answer; /* HTTP/1.1 */
	bool answered;       /* the head was sent */
	bool sends_bytes;    /* not messages: client_answer_bytes */
	bool streams_errors; /* client_stream_errors */
	bool head_only;
	client_patience_fn *patience;
	void *patience_data;
	bool broken;
	char *input; /* undecoded: from `start`, `len` bytes */
	size_t start;
	size_t len;
	size_t size;
	char peeked[CLIENT_PEEK_BYTES];
	size_t peeked_len;
};

static int wait_for(int fd, short events, int timeout_ms)
{
	struct pollfd pollfd = { .fd = fd, .events = events };
	int r;

	do
		r = poll(&pollfd, 1, timeout_ms);
	while (r < 0 && errno == EINTR);
	if (r < 0)
		return -errno;
	return r == 0 ? -ETIMEDOUT : 0;
}

static struct http_framing framing(const struct handover_body *body)
{
	if (body->chunked)
		return (struct http_framing){ .kind = HTTP_BODY_CHUNKED };
	if (body->content_length.set && body->content_length.value > 0)
		return (struct http_framing){ .kind = HTTP_BODY_LENGTH,
			.length = (uint64_t)body->content_length.value };
	return (struct http_framing){ .kind = HTTP_BODY_NONE };
}

int client_new(int fd, const struct handover_body *body, const void *surplus, size_t surplus_len, struct client **ret,
	struct err **reterr)
{
	struct http_framing how = framing(body);
	struct client *client = calloc(1, sizeof(*client));

	if (!client) {
		fd_close(&fd);
		return err_oom(reterr);
	}
	client->fd = fd;
	client->size = surplus_len > INPUT_BYTES ? surplus_len : INPUT_BYTES;
	client->input = malloc(client->size);
	if (!client->input) {
		client_free(client);
		return err_oom(reterr);
	}
	if (surplus_len > 0)
		memcpy(client->input, surplus, surplus_len);
	client->len = surplus_len;
	client->expects_continue = body->expect_continue;
	client->chunked_answer = body->http_minor > 0;
	http_body_init(&client->body, &how);
	*ret = client;
	return 0;
}

int client_fd(const struct client *client)
{
	return client->fd;
}

/* A half-closed connection is one that has said all and waits for the answer: only both halves count. */
bool client_is_gone(const struct client *client)
{
	struct pollfd pollfd = { .fd = client->fd };

	return client->broken || (poll(&pollfd, 1, 0) > 0 && (pollfd.revents & (POLLHUP | POLLERR)));
}

/* ---- reading */

/* In pieces, if somebody's patience is to be asked in between. */
static int wait_for_client(struct client *client, short events, int timeout_ms)
{
	int64_t deadline = clock_monotonic_ms() + timeout_ms;
	int r;

	if (!client->patience)
		return wait_for(client->fd, events, timeout_ms);
	do {
		r = wait_for(client->fd, events, PATIENCE_MS);
		if (r == -ETIMEDOUT && client->patience(client->patience_data) != 0)
			return -ECANCELED;
	} while (r == -ETIMEDOUT && clock_monotonic_ms() < deadline);
	return r;
}

static void wait_for_reader(struct client *client)
{
	client->broken = wait_for_client(client, POLLOUT, client->sends_bytes ? BYTES_IDLE_MS : WRITE_IDLE_MS) < 0;
}

static void send_all(struct client *client, const char *data, size_t len)
{
	while (len > 0 && !client->broken) {
		ssize_t n = send(client->fd, data, len, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n >= 0) {
			data += n;
			len -= (size_t)n;
		} else if (errno == EAGAIN) {
			wait_for_reader(client);
		} else if (errno != EINTR) {
			client->broken = true;
		}
	}
}

static void send_continue(struct client *client)
{
	static const char text[] = "HTTP/1.1 100 Continue\r\n\r\n";

	if (client->expects_continue && client->chunked_answer && !client->answered)
		send_all(client, text, strlen(text));
	client->expects_continue = false;
}

static ssize_t receive(struct client *client, void *data, size_t size, int timeout_ms)
{
	for (;;) {
		ssize_t n = recv(client->fd, data, size, MSG_DONTWAIT);
		int r;

		if (n >= 0)
			return n;
		if (errno == EINTR)
			continue;
		if (errno != EAGAIN)
			return -errno;
		r = wait_for_client(client, POLLIN, timeout_ms);
		if (r < 0)
			return r;
	}
}

/* More undecoded bytes; 0 at end of file. */
static ssize_t refill(struct client *client, int timeout_ms)
{
	ssize_t n = receive(client, client->input, client->size, timeout_ms);

	client->start = 0;
	client->len = n > 0 ? (size_t)n : 0;
	return n;
}

/* Decodes some of what is there, at most `size` bytes of it. */
static ssize_t decode(struct client *client, void *data, size_t size, struct err **reterr)
{
	size_t piece_len = 0, len = client->len < size ? client->len : size;
	const char *piece = NULL;
	ssize_t used = http_body_decode(&client->body, client->input + client->start, len, &piece, &piece_len);

	if (used < 0)
		return err_set(reterr, ERR_INVALID, (int)-used, "the request's body is malformed");
	if (piece_len > 0)
		memcpy(data, piece, piece_len);
	client->start += (size_t)used;
	client->len -= (size_t)used;
	return (ssize_t)piece_len;
}

static int cannot_read(ssize_t n, struct err **reterr)
{
	if (n == 0)
		return err_set(reterr, ERR_INVALID, ECONNRESET, "the upload was cut off before its end");
	return err_errno(reterr, (int)n, "cannot read the upload");
}

/* In the middle of data there is nothing to decode: it goes where it is wanted. */
static ssize_t read_data(struct client *client, void *data, size_t size, struct err **reterr)
{
	uint64_t ahead = http_body_ahead(&client->body);
	const char *piece;
	size_t piece_len;
	ssize_t n = receive(client, data, size < ahead ? size : (size_t)ahead, LIMIT_BODY_IDLE_MS);

	if (n <= 0)
		return cannot_read(n, reterr);
	return http_body_decode(&client->body, data, (size_t)n, &piece, &piece_len);
}

static ssize_t read_body(struct client *client, void *data, size_t size, struct err **reterr)
{
	send_continue(client);
	while (!http_body_is_done(&client->body)) {
		ssize_t n;

		if (client->len == 0 && http_body_ahead(&client->body) > 0)
			return read_data(client, data, size, reterr);
		if (client->len == 0) {
			n = refill(client, LIMIT_BODY_IDLE_MS);
			if (n <= 0)
				return cannot_read(n, reterr);
		}
		n = decode(client, data, size, reterr);
		if (n != 0)
			return n;
	}
	return 0;
}

ssize_t client_read(struct client *client, void *data, size_t size, struct err **reterr)
{
	size_t len = client->peeked_len < size ? client->peeked_len : size;

	if (len == 0)
		return read_body(client, data, size, reterr);
	memcpy(data, client->peeked, len);
	memmove(client->peeked, client->peeked + len, client->peeked_len - len);
	client->peeked_len -= len;
	return (ssize_t)len;
}

ssize_t client_move(struct client *client, int pipe_fd, size_t size, uint64_t keep, struct err **reterr)
{
	uint64_t ahead = client->body.kind == HTTP_BODY_LENGTH ? http_body_ahead(&client->body) : 0;
	ssize_t n;
	int r;

	if (client->len > 0 || client->peeked_len > 0 || ahead <= keep)
		return 0;
	send_continue(client);
	if (size > ahead - keep)
		size = (size_t)(ahead - keep);
	/* What the splice then waits for can only be the pipe. */
	r = wait_for(client->fd, POLLIN, LIMIT_BODY_IDLE_MS);
	if (r < 0)
		return cannot_read(r, reterr);
	do
		n = splice(client->fd, NULL, pipe_fd, NULL, size, SPLICE_F_NONBLOCK);
	while (n < 0 && errno == EINTR);
	if (n < 0 && (errno == EAGAIN || errno == EPIPE))
		return -errno;
	if (n <= 0)
		return cannot_read(n < 0 ? -errno : 0, reterr);
	http_body_pass(&client->body, (size_t)n);
	return n;
}

ssize_t client_peek(struct client *client, void *data, size_t size, struct err **reterr)
{
	if (size > CLIENT_PEEK_BYTES)
		size = CLIENT_PEEK_BYTES;
	while (client->peeked_len < size) {
		ssize_t n = read_body(client, client->peeked + client->peeked_len, size - client->peeked_len, reterr);

		if (n < 0)
			return n;
		if (n == 0)
			break;
		client->peeked_len += (size_t)n;
	}
	memcpy(data, client->peeked, client->peeked_len);
	return (ssize_t)client->peeked_len;
}

/* ---- answering */

/* Leaves room so that a message, its chunk's frame included, always fits. */
static void answer_head(struct client *client, struct buf *out, int status)
{
	http_write_status(out, status);
	http_write_header(out, "Content-Type", "application/json");
	http_write_header(out, "Connection", "close");
	if (client->chunked_answer)
		http_write_header(out, "Transfer-Encoding", "chunked");
	http_write_end(out);
	client->answered = true;
}

static void answer(struct client *client, int status, json_t *message)
{
	_cleanup_(buf_finish) struct buf text = BUF_INIT(MESSAGE_BYTES), out = BUF_INIT(2 * MESSAGE_BYTES);

	if (!client->answered)
		answer_head(client, &out, status);
	if (client->head_only) {
		client->chunked_answer = false; /* no last chunk either */
		send_all(client, out.data, out.len);
		return;
	}
	int r = json_print_value(message, &text);
	if (r == 0)
		r = buf_puts(&text, "\r\n");
	if (r == 0 && client->chunked_answer)
		r = http_write_chunk(&out, text.data, text.len);
	else if (r == 0)
		r = buf_append(&out, text.data, text.len);
	if (out.len > 0)
		send_all(client, out.data, out.len);
	client->broken |= r < 0; /* an answer without it ends short of its last chunk */
}

void client_answer_bytes(struct client *client, const struct client_header *headers, size_t header_count, int64_t len)
{
	_cleanup_(buf_finish) struct buf out = BUF_INIT(HEAD_BYTES);

	client->chunked_answer &= len < 0;
	http_write_status(&out, 200);
	for (size_t i = 0; i < header_count; i++)
		http_write_header(&out, headers[i].name, headers[i].value);
	http_write_header(&out, "Connection", "close");
	if (client->chunked_answer)
		http_write_header(&out, "Transfer-Encoding", "chunked");
	if (len >= 0)
		http_write_headerf(&out, "Content-Length", "%" PRId64, len);
	if (http_write_end(&out) < 0)
		client->broken = true;
	client->answered = client->sends_bytes = true;
	send_all(client, out.data, out.len);
}

int client_write(struct client *client, const void *data, size_t len)
{
	char head[HTTP_CHUNK_HEAD_MAX];
	bool framed = client->chunked_answer && len > 0;

	if (framed)
		send_all(client, head, http_chunk_head(head, len));
	send_all(client, data, len);
	if (framed)
		send_all(client, "\r\n", 2);
	return client->broken ? -EPIPE : 0;
}

int client_send_file(struct client *client, int fd, int64_t len)
{
	while (len > 0 && !client->broken) {
		ssize_t n = sendfile(client->fd, fd, NULL, len < SENDFILE_BYTES ? (size_t)len : SENDFILE_BYTES);

		if (n > 0)
			len -= n;
		else if (n == 0)
			return -ENODATA;
		else if (errno == EAGAIN)
			wait_for_reader(client);
		else if (errno == EPIPE || errno == ECONNRESET)
			client->broken = true;
		else if (errno != EINTR)
			return -errno;
	}
	return client->broken ? -EPIPE : 0;
}

void client_answer(struct client *client, int status, json_t *document)
{
	_autojson_ json_t *taken = document;

	if (taken)
		answer(client, status, taken);
	else
		client->broken = true;
}

void client_set_patience(struct client *client, client_patience_fn *patience, void *data)
{
	client->patience = patience;
	client->patience_data = data;
}

void client_head_only(struct client *client)
{
	client->head_only = true;
}

void client_tell(struct client *client, json_t *message)
{
	_autojson_ json_t *taken = message;

	if (taken)
		answer(client, 200, taken);
}

static int status_of(const struct err *err)
{
	switch (err ? err->kind : ERR_INTERNAL) {
	case ERR_INVALID: return 400;
	case ERR_UNAUTHORIZED: return 401;
	case ERR_FORBIDDEN: return 403;
	case ERR_NOT_FOUND: return 404;
	case ERR_CONFLICT: return 409;
	case ERR_TOO_LARGE: return 413;
	case ERR_UNSUPPORTED: return 501;
	case ERR_UNAVAILABLE: return 503;
	case ERR_INTERNAL:
	case ERR_NOT_MODIFIED:
	case ERR_CMD_NOT_FOUND:
	case ERR_CMD_NOT_EXEC:
	case ERR_KIND_COUNT:
	default: return 500;
	}
}

void client_stream_errors(struct client *client)
{
	client->streams_errors = true;
}

void client_tell_error(struct client *client, const struct err *err)
{
	const char *text = err_message(err);
	bool streamed = client->answered || client->streams_errors;

	if (client->sends_bytes) {
		client->broken = true;
		return;
	}
	_autojson_ json_t *message = streamed ? json_pack("{s:{s:s}, s:s}", "errorDetail", "message", text, "error",
							text)
					      : json_pack("{s:s}", "message", text);

	if (message)
		answer(client, streamed ? 200 : status_of(err), message);
}

/* Closing with bytes unread would reset the connection under the answer: read and forget them, within a bound. */
static void linger(struct client *client)
{
	int64_t deadline = clock_monotonic_ms() + LINGER_MS;

	shutdown(client->fd, SHUT_WR);
	for (int64_t now; (now = clock_monotonic_ms()) < deadline;)
		if (refill(client, (int)(deadline - now)) <= 0)
			return;
}

void client_free(struct client *client)
{
	if (!client)
		return;
	if (client->answered && client->chunked_answer && !client->broken)
		send_all(client, "0\r\n\r\n", 5);
	if (client->answered && !client->broken && !http_body_is_done(&client->body))
		linger(client);
	fd_close(&client->fd);
	free(client->input);
	free(client);
}
