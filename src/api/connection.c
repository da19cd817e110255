/*
 * One client's connection, as a small state machine driven by the loop:
 *
 *	HEAD      reading a request's head; 10 s from its first byte, 60 s idle before it
 *	BODY      reading a small body whole, up to REQUEST_BODY_MAX
 *	HANDLING  a handler has the request; nothing is read, so pipelined requests and a hand-over's surplus stay in order
 *	STREAM    an endless answer; input is only watched for its end
 *	FLUSH     the answer is written; then HEAD again (keep-alive) or LINGER
 *	LINGER    we have said all and shut our side down; what the client still sends is thrown away, within a bound, so that
 *	          it gets to read our answer instead of a reset
 *
 * `input` holds what was read and not used. A request outlives its client: while HANDLING, a connection whose peer has gone
 * only notes it, and ends with the answer. Errors in the framing are answered and end the connection, since what follows
 * can't be trusted to be a request.
 */
#include "api/connection.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <sys/socket.h>

#include "api/request.h"
#include "api/routes.h"
#include "api/server.h"
#include "base/clock.h"
#include "base/log.h"
#include "codec/http.h"
#include "codec/http_write.h"

#define READ_SIZE 4096
/* A head, and a little of what follows it. */
#define INPUT_MAX  (HTTP_START_LINE_MAX + HTTP_HEADERS_MAX + 16 * 1024)
#define OUTPUT_MAX (64 * 1024 * 1024)

#define HEAD_TIMEOUT_MS   10000
#define IDLE_TIMEOUT_MS   60000
#define BODY_TIMEOUT_MS   60000
#define WRITE_TIMEOUT_MS  60000
#define LINGER_TIMEOUT_MS 5000
#define LINGER_BYTES_MAX  (2LL * 1024 * 1024 * 1024)

enum state { STATE_HEAD, STATE_BODY, STATE_HANDLING, STATE_STREAM, STATE_FLUSH, STATE_LINGER };

struct connection {
	struct list link;
	struct server *server;
	int fd;
	struct loop_source *source;
	struct loop_source *timer;
	enum state state;
	bool peer_gone;
	bool keep_alive;
	bool in_handler; /* the handler has not returned: an answer now must not start the next request below it */
	bool *freed;     /* told when the connection is freed below connection_go_on */
	int64_t lingered_bytes;

	struct buf input;
	struct http_head *head;
	struct http_body body_decoder;
	struct buf body;
	const struct route *route;
	struct query *query;

	struct request request;
	char extra_headers[512];
	struct buf output;
	size_t output_sent;
	void (*on_closed)(void *user);
	void *on_closed_user;
};

static const struct route_table *const all_routes[] = { &system_routes, &container_routes, &container_verb_routes,
	&archive_routes, &exec_routes, &image_routes, &registry_routes, &volume_routes, &network_routes, &event_routes,
	&absent_routes };

static void connection_go_on(struct connection *c);

struct connection *connection_of(struct list *link)
{
	return container_of(link, struct connection, link);
}

static struct connection *of_request(struct request *request)
{
	return request->connection;
}

static void request_reset(struct connection *c)
{
	for (size_t i = 0; i < REQUEST_PARAMS_MAX; i++)
		free(c->request.params[i]);
	query_free(c->query);
	c->query = NULL;
	buf_finish(&c->body);
	c->request = (struct request){ 0 };
	c->extra_headers[0] = '\0';
}

void connection_free(struct connection *c)
{
	void (*on_closed)(void *) = c->state == STATE_STREAM ? c->on_closed : NULL;
	if (on_closed)
		on_closed(c->on_closed_user);
	if (c->freed)
		*c->freed = true;
	list_remove(&c->link);
	loop_source_free(c->source);
	loop_source_free(c->timer);
	fd_close(&c->fd);
	request_reset(c);
	http_head_free(c->head);
	buf_finish(&c->input);
	buf_finish(&c->output);
	free(c);
}

static void set_deadline(struct connection *c, int64_t ms)
{
	loop_timer_set(c->timer, ms < 0 ? LOOP_NEVER : clock_monotonic_ms() + ms);
}

static bool is_reading(const struct connection *c)
{
	return c->state == STATE_HEAD || c->state == STATE_BODY || c->state == STATE_LINGER;
}

static void update_events(struct connection *c)
{
	uint32_t events = is_reading(c) ? EPOLLIN : EPOLLRDHUP;
	if (c->output.len > c->output_sent)
		events |= EPOLLOUT;
	if (c->source)
		loop_fd_set_events(c->source, events);
}

/* --- writing --- */

/* Sends what it can. False if the connection is broken. */
static bool flush_output(struct connection *c)
{
	while (c->output_sent < c->output.len) {
		ssize_t n = send(c->fd, c->output.data + c->output_sent, c->output.len - c->output_sent, MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			return true;
		if (n < 0)
			return false;
		c->output_sent += (size_t)n;
	}
	buf_finish(&c->output);
	c->output_sent = 0;
	return true;
}

static void begin_linger(struct connection *c)
{
	c->state = STATE_LINGER;
	shutdown(c->fd, SHUT_WR);
	buf_finish(&c->input);
	set_deadline(c, LINGER_TIMEOUT_MS);
	update_events(c);
}

/* After an answer: the rest of it, then the next request or the end. */
static void flush_and_go_on(struct connection *c)
{
	if (c->peer_gone || !flush_output(c)) {
		connection_free(c);
		return;
	}
	if (c->output.len) {
		set_deadline(c, WRITE_TIMEOUT_MS);
		update_events(c);
		return;
	}
	if (!c->keep_alive) {
		begin_linger(c);
		return;
	}
	c->state = STATE_HEAD;
	http_head_reset(c->head);
	request_reset(c);
	set_deadline(c, IDLE_TIMEOUT_MS);
	if (!c->in_handler)
		connection_go_on(c);
}

static int write_head(struct connection *c, int status, const char *content_type)
{
	struct buf *out = &c->output;
	int r = http_write_status(out, status);
	r = r ?: http_write_header(out, "Api-Version", API_VERSION_MAX);
	r = r ?: http_write_header(out, "Docker-Experimental", "false");
	r = r ?: http_write_header(out, "Ostype", "linux");
	r = r ?: http_write_header(out, "Server", "tare/" TARE_VERSION " (linux)");
	r = r ?: buf_puts(out, c->extra_headers);
	if (!r && content_type)
		r = http_write_header(out, "Content-Type", content_type);
	if (!r && !c->keep_alive)
		r = http_write_header(out, "Connection", "close");
	return r;
}

static void respond(struct connection *c, int status, const char *content_type, const char *data, size_t len)
{
	bool has_body = status != 204 && status != 304;
	int r = write_head(c, status, has_body ? content_type : NULL);
	if (!r && has_body)
		r = http_write_headerf(&c->output, "Content-Length", "%zu", len);
	r = r ?: http_write_end(&c->output);
	if (!r && has_body && !c->request.is_head)
		r = buf_append(&c->output, data, len);
	if (r < 0) {
		log_error("an answer could not be made: %s", strerrordesc_np(-r));
		buf_finish(&c->output);
		c->output_sent = 0;
		c->keep_alive = false;
	}
	/* Without a method the head was refused: it has no path. */
	log_debug("%s %s: %d", c->request.method ?: "-", c->request.method ? http_head_path(c->head) : "-", status);
	c->state = STATE_FLUSH;
	flush_and_go_on(c);
}

int respond_status_of(enum err_kind kind)
{
	static const int statuses[ERR_KIND_COUNT] = {
		[ERR_INTERNAL] = 500,
		[ERR_INVALID] = 400,
		[ERR_NOT_FOUND] = 404,
		[ERR_CONFLICT] = 409,
		[ERR_FORBIDDEN] = 403,
		[ERR_UNAUTHORIZED] = 401,
		[ERR_UNAVAILABLE] = 503,
		[ERR_UNSUPPORTED] = 501,
		[ERR_NOT_MODIFIED] = 304,
		[ERR_TOO_LARGE] = 413,
		[ERR_CMD_NOT_FOUND] = 400,
		[ERR_CMD_NOT_EXEC] = 400,
	};
	return statuses[kind];
}

static void respond_message(struct connection *c, int status, const char *message)
{
	_autojson_ json_t *value = json_pack("{s:s}", "message", message);
	_cleanup_(buf_finish) struct buf text = BUF_INIT(OUTPUT_MAX);
	if (value && json_print_value(value, &text) == 0)
		buf_putc(&text, '\n');
	respond(c, status, "application/json", text.data ?: "", text.len);
}

/* A fault in the framing: answered, and the end. */
static void refuse(struct connection *c, int status, const char *message)
{
	c->keep_alive = false;
	respond_message(c, status, message);
}

void respond_error_status(struct request *request, int status, const struct err *err)
{
	respond_message(of_request(request), status, err_message(err));
}

void respond_error(struct request *request, const struct err *err)
{
	respond_error_status(request, err ? respond_status_of(err->kind) : 500, err);
}

void respond_empty(struct request *request, int status)
{
	respond(of_request(request), status, NULL, "", 0);
}

void respond_text(struct request *request, int status, const char *content_type, const char *text)
{
	respond(of_request(request), status, content_type, text, strlen(text));
}

void respond_json(struct request *request, int status, json_t *value)
{
	_autojson_ json_t *owned = value;
	_cleanup_(buf_finish) struct buf text = BUF_INIT(OUTPUT_MAX);
	int r = owned ? json_print_value(owned, &text) : -ENOMEM;
	r = r ?: buf_putc(&text, '\n');
	if (r < 0) {
		respond_message(of_request(request), 500, strerrordesc_np(-r));
		return;
	}
	respond(of_request(request), status, "application/json", text.data, text.len);
}

void respond_document(struct request *request, int status, const struct json_table *table, const void *object)
{
	respond_json(request, status, json_write(table, object));
}

void request_add_header(struct request *request, const char *name, const char *value)
{
	struct connection *c = of_request(request);
	_cleanup_(buf_finish) struct buf line = BUF_INIT(sizeof c->extra_headers - 1 - strlen(c->extra_headers));
	if (http_write_header(&line, name, value) == 0)
		strcat(c->extra_headers, line.data);
}

/* --- streams --- */

void stream_begin(struct request *request, const char *content_type, void (*on_closed)(void *user), void *user)
{
	struct connection *c = of_request(request);
	c->keep_alive = false;
	c->on_closed = on_closed;
	c->on_closed_user = user;
	int r = write_head(c, 200, content_type);
	r = r ?: http_write_header(&c->output, "Transfer-Encoding", "chunked");
	r = r ?: http_write_end(&c->output);
	c->state = STATE_STREAM;
	set_deadline(c, -1);
	if (r < 0 || c->peer_gone || !flush_output(c))
		c->peer_gone = true; /* the first write or event tells the owner */
	update_events(c);
}

bool stream_write(struct request *request, const void *data, size_t len)
{
	struct connection *c = of_request(request);
	bool ok = !c->peer_gone && c->output.len - c->output_sent + len <= STREAM_QUEUE_MAX;
	ok = ok && http_write_chunk(&c->output, data, len) == 0 && flush_output(c);
	if (ok)
		update_events(c);
	else
		connection_free(c);
	return ok;
}

void stream_end(struct request *request)
{
	struct connection *c = of_request(request);
	c->on_closed = NULL;
	if (http_write_last_chunk(&c->output) < 0)
		c->peer_gone = true;
	c->state = STATE_FLUSH;
	flush_and_go_on(c);
}

/* --- hand-over --- */

void request_describe(struct request *request, struct handover *handover)
{
	struct connection *c = of_request(request);
	struct http_framing framing = http_head_framing(c->head);
	bool unread = c->route->flags & ROUTE_UNREAD;
	struct ucred peer;
	socklen_t len = sizeof peer;

	handover->api_minor = request->api_minor;
	handover->peer_uid = getsockopt(c->fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0 ? (int64_t)peer.uid : -1;
	handover->body.content_length.set = unread && framing.kind == HTTP_BODY_LENGTH;
	handover->body.content_length.value = (int64_t)framing.length;
	handover->body.chunked = unread && framing.kind == HTTP_BODY_CHUNKED;
	handover->body.expect_continue = unread && http_head_expects_continue(c->head);
	handover->body.upgrade = http_head_upgrade(c->head) != NULL;
	handover->body.http_minor = http_head_minor(c->head);
}

int request_fd(const struct request *request)
{
	return request->connection->fd;
}

const char *request_surplus(const struct request *request, size_t *ret_len)
{
	*ret_len = request->connection->input.len;
	return request->connection->input.data;
}

void request_handed_over(struct request *request)
{
	struct connection *c = of_request(request);
	c->state = STATE_FLUSH;
	connection_free(c);
}

/* --- the request --- */

const char *request_header(const struct request *request, const char *name)
{
	return http_head_header(request->connection->head, name);
}

int request_check_body(const struct request *request, struct err **reterr)
{
	if (!request->body_len)
		return err_set(reterr, ERR_INVALID, 0, "invalid JSON: got EOF while reading request body");
	const char *type = request_header(request, "Content-Type");
	if (type && strncasecmp(type, "application/json", strlen("application/json")) == 0)
		return 0;
	return err_set(reterr, ERR_INVALID, 0, "unsupported Content-Type header (%s): must be 'application/json'",
		type ?: "");
}

int request_read_body(const struct request *request, const struct json_table *table, bool optional, void *out,
	struct err **reterr)
{
	if (!request->body_len && optional)
		return json_parse(table, "{}", 2, out, reterr);
	int r = request_check_body(request, reterr);
	return r ?: json_parse(table, request->body, request->body_len, out, reterr);
}

static void call_handler(struct connection *c)
{
	c->request.body = c->body.data ?: "";
	c->request.body_len = c->body.len;
	c->state = STATE_HANDLING;
	set_deadline(c, -1);
	update_events(c);
	c->route->handler(&c->request); /* may free the connection */
}

static bool find_route(struct connection *c, struct err **reterr)
{
	const char *path = http_head_path(c->head);
	if (route_version(&path, &c->request.api_minor, reterr) < 0)
		return false;
	return route_find(all_routes, ARRAY_SIZE(all_routes), c->request.method, path, c->request.api_minor, &c->route,
		       c->request.params, reterr) == 0;
}

/* The head is complete: which route, and does it want the body? */
static void handle_head(struct connection *c)
{
	_autofree_(err) struct err *err = NULL;
	c->keep_alive = http_head_keep_alive(c->head);
	c->request = (struct request){ .connection = c,
		.engine = c->server->engine,
		.method = http_head_method(c->head),
		.is_head = strcmp(http_head_method(c->head), "HEAD") == 0 };

	/* A browser's page has no business here, whichever way it found the socket. */
	if (http_head_header(c->head, "Origin")) {
		refuse(c, 403, "requests from web pages are refused");
		return;
	}
	int r = query_parse(http_head_query(c->head), &c->query);
	if (r < 0) {
		refuse(c, r == -ENOMEM ? 500 : 400, "invalid query string");
		return;
	}
	c->request.query = c->query;
	bool found = find_route(c, &err);
	struct http_framing framing = http_head_framing(c->head);
	if (!found) {
		c->keep_alive = c->keep_alive && framing.kind == HTTP_BODY_NONE;
		respond_error(&c->request, err);
		return;
	}
	if (c->route->flags & ROUTE_UNREAD) {
		c->keep_alive = false; /* an answer of ours in place of the receiver's ends the connection */
		call_handler(c);
		return;
	}
	if (framing.kind == HTTP_BODY_LENGTH && framing.length > REQUEST_BODY_MAX) {
		refuse(c, 413, "the request's body is too large");
		return;
	}
	http_body_init(&c->body_decoder, &framing);
	buf_init(&c->body, REQUEST_BODY_MAX);
	c->state = STATE_BODY;
	if (http_head_expects_continue(c->head) && buf_puts(&c->output, "HTTP/1.1 100 Continue\r\n\r\n") == 0)
		flush_output(c);
	set_deadline(c, BODY_TIMEOUT_MS);
}

/* Both take from `input` and return whether the state has changed, so that it is worth going on. */
static bool take_head(struct connection *c)
{
	size_t used = 0;
	bool had_begun = http_head_has_begun(c->head);
	int r = http_head_feed(c->head, c->input.data ?: "", c->input.len, &used);
	if (r < 0) {
		refuse(c, http_error_status(r), http_head_problem(c->head));
		return false;
	}
	buf_consume(&c->input, used);
	if (r == 0) {
		if (!had_begun && http_head_has_begun(c->head))
			set_deadline(c, HEAD_TIMEOUT_MS);
		return false;
	}
	handle_head(c);
	return true;
}

static bool take_body(struct connection *c)
{
	size_t offset = 0;
	while (!http_body_is_done(&c->body_decoder) && offset < c->input.len) {
		const char *piece;
		size_t piece_len;
		ssize_t used = http_body_decode(&c->body_decoder, c->input.data + offset, c->input.len - offset, &piece,
			&piece_len);
		int r = used < 0 ? (int)used : buf_append(&c->body, piece, piece_len);
		if (r < 0) {
			refuse(c,
				r == -EFBIG    ? 413
				: r == -ENOMEM ? 500
					       : 400,
				r == -EFBIG ? "the request's body is too large"
					    : "the request's body is framed wrongly");
			return false;
		}
		offset += (size_t)used;
	}
	buf_consume(&c->input, offset);
	if (!http_body_is_done(&c->body_decoder))
		return false;
	call_handler(c);
	return true;
}

/*
 * Handles what is in `input` until more must be read or a handler has the request. A handler that answers at once comes
 * back here by way of the loop below, not by recursion, however many requests a client pipelines; one that frees the
 * connection is noticed by `freed`.
 */
static void connection_go_on(struct connection *c)
{
	bool freed = false, more = true;
	c->freed = &freed;
	while (more) {
		c->in_handler = true;
		if (c->state == STATE_HEAD && c->input.len)
			more = take_head(c);
		else if (c->state == STATE_BODY)
			more = take_body(c);
		else
			more = false;
		if (freed)
			return;
		c->in_handler = false;
	}
	c->freed = NULL;
	if (c->input.len == 0)
		buf_finish(&c->input); /* an idle connection holds no buffer */
	update_events(c);
}

/* --- events --- */

static void on_lingering(struct connection *c)
{
	char dropped[16 * 1024];
	ssize_t n = recv(c->fd, dropped, sizeof dropped, 0);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	c->lingered_bytes += n;
	if (n <= 0 || c->lingered_bytes > LINGER_BYTES_MAX)
		connection_free(c);
}

static void on_readable(struct connection *c)
{
	ssize_t n = buf_read(&c->input, c->fd, READ_SIZE);
	if (n == -EAGAIN)
		return;
	if (n <= 0) {
		connection_free(c);
		return;
	}
	connection_go_on(c);
}

static void on_event(struct loop_source *source, uint32_t events, void *data)
{
	struct connection *c = data;
	(void)source;
	if (events & EPOLLOUT) {
		if (c->state == STATE_FLUSH) {
			flush_and_go_on(c);
			return;
		}
		if (!flush_output(c)) {
			connection_free(c);
			return;
		}
		update_events(c);
	}
	if (c->state == STATE_LINGER) {
		on_lingering(c);
	} else if (is_reading(c)) {
		if (events & (EPOLLIN | EPOLLHUP | EPOLLERR))
			on_readable(c);
	} else if (c->state == STATE_HANDLING && events & (EPOLLHUP | EPOLLERR)) {
		/* A hang-up can't be masked: stop watching until the answer. */
		c->peer_gone = true;
		loop_source_free(TAKE(c->source));
	} else if (c->state == STATE_HANDLING && events & EPOLLRDHUP) {
		loop_fd_set_events(c->source, 0); /* half closed: it still wants the answer */
	} else if (c->state != STATE_HANDLING && events & (EPOLLHUP | EPOLLERR | EPOLLRDHUP)) {
		connection_free(c);
	}
}

static void on_deadline(struct loop_source *timer, void *data)
{
	struct connection *c = data;
	(void)timer;
	if (c->state == STATE_HEAD && http_head_has_begun(c->head))
		refuse(c, 408, "the request's head took too long");
	else if (c->state == STATE_BODY)
		refuse(c, 408, "the request's body took too long");
	else
		connection_free(c);
}

int connection_new(struct server *server, int fd)
{
	struct connection *c = calloc(1, sizeof *c);
	if (!c) {
		fd_close(&fd);
		return -ENOMEM;
	}
	c->server = server;
	c->fd = fd;
	c->state = STATE_HEAD;
	buf_init(&c->input, INPUT_MAX);
	buf_init(&c->output, OUTPUT_MAX + STREAM_QUEUE_MAX);
	list_append(&server->connections, &c->link);
	c->head = http_head_new(HTTP_REQUEST_HEAD);
	int r = c->head ? 0 : -ENOMEM;
	r = r ?: loop_add_fd(server->loop, fd, EPOLLIN, on_event, c, &c->source);
	r = r ?: loop_add_timer(server->loop, clock_monotonic_ms() + IDLE_TIMEOUT_MS, on_deadline, c, &c->timer);
	if (r < 0)
		connection_free(c);
	return r;
}
