#include "cli/client.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "base/io.h"
#include "base/log.h"
#include "cli/launch.h"
#include "codec/http.h"
#include "codec/http_write.h"
#include "codec/json.h"
#include "codec/percent.h"

#define READ_SIZE   (64 * 1024)
#define UPLOAD_SIZE (128 * 1024)

struct client {
	char *host;
	char *socket_path;
	char version[16];
	bool may_start;
	int idle_fd; /* a connection for the next request, or -1 */
};

/* The body on its way out: a file as it is, anything else in chunks. */
struct upload {
	int fd;       /* borrowed; -1: nothing (more) to send */
	int64_t left; /* of a file; -1: it is something else */
	struct buf pending;
	bool last; /* `pending` ends with the last chunk */
};

struct response {
	struct client *client;
	int fd;
	struct http_head *head;
	struct http_body body;
	struct upload upload;
	struct buf input; /* read, but not used yet */
	size_t used;      /* of `input` */
	struct buf line;  /* response_next */
	bool finished;    /* the body's end was seen */
};

/* Hosts */

static const char *default_host(void)
{
	static const char *const names[] = { "TARE_HOST", "DOCKER_HOST" };
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		const char *value = getenv(names[i]);
		if (value && *value)
			return value;
	}
	return "unix://" CLIENT_DEFAULT_SOCKET;
}

int client_new(const char *host, bool may_start, struct client **ret, struct err **reterr)
{
	if (!host)
		host = default_host();
	if (strncmp(host, "unix://", 7) != 0 || host[7] != '/')
		return err_set(reterr, ERR_INVALID, 0, "unable to parse host %s: only unix:///PATH is supported", host);
	if (strlen(host + 7) >= sizeof((struct sockaddr_un *)NULL)->sun_path)
		return err_set(reterr, ERR_INVALID, 0, "the socket's path is too long: %s", host + 7);

	_autofree_(client) struct client *client = calloc(1, sizeof *client);
	if (!client)
		return err_oom(reterr);
	client->idle_fd = -1;
	client->host = strdup(host);
	client->socket_path = strdup(host + 7);
	if (!client->host || !client->socket_path)
		return err_oom(reterr);
	const char *version = getenv("DOCKER_API_VERSION");
	snprintf(client->version, sizeof client->version, "%s", version && *version ? version : CLIENT_API_VERSION);
	client->may_start = may_start && strcmp(client->socket_path, CLIENT_DEFAULT_SOCKET) == 0;
	*ret = TAKE(client);
	return 0;
}

void client_free(struct client *client)
{
	if (!client)
		return;
	fd_close(&client->idle_fd);
	free(client->host);
	free(client->socket_path);
	free(client);
}

const char *client_host(const struct client *client)
{
	return client->host;
}

const char *client_api_version(const struct client *client)
{
	return client->version;
}

int client_path(struct buf *path, const char *before, const char *name, const char *after)
{
	int ret = buf_puts(path, before);
	if (ret == 0)
		ret = percent_encode(path, name, "/:@");
	return ret < 0 ? ret : buf_puts(path, after);
}

/* Connections */

static int fail_connect(const struct client *client, int ret, struct err **reterr)
{
	if (ret == -EACCES || ret == -EPERM)
		return err_set(reterr, ERR_FORBIDDEN, -ret,
			"permission denied while trying to connect to the engine at %s: add yourself to the group tare, or be root",
			client->host);
	return err_set(reterr, ERR_UNAVAILABLE, -ret, "Cannot connect to the engine at %s: %s. Is tared running?",
		client->host, strerror(-ret));
}

static int client_connect(struct client *client, int *ret_fd, struct err **reterr)
{
	int ret = launch_connect(client->socket_path, ret_fd);
	if ((ret == -ENOENT || ret == -ECONNREFUSED) && client->may_start) {
		ret = launch_engine(client->socket_path, reterr);
		if (ret < 0)
			return ret;
		ret = launch_connect(client->socket_path, ret_fd);
	}
	return ret < 0 ? fail_connect(client, ret, reterr) : 0;
}

/* The kept connection, unless the engine has closed it meanwhile. */
static int take_idle(struct client *client)
{
	if (client->idle_fd < 0)
		return -1;
	struct pollfd poll_fd = { .fd = client->idle_fd, .events = POLLIN | POLLRDHUP };
	if (poll(&poll_fd, 1, 0) != 0)
		fd_close(&client->idle_fd);
	return TAKE_FD(client->idle_fd);
}

static void give_back(struct response *response)
{
	struct client *client = response->client;
	if (response->fd < 0)
		return;
	bool reusable = response->finished && response->upload.fd < 0 && !response->upload.pending.len &&
			response->used == response->input.len && http_head_keep_alive(response->head);
	if (reusable && client->idle_fd < 0)
		client->idle_fd = TAKE_FD(response->fd);
	fd_close(&response->fd);
}

void response_free(struct response *response)
{
	if (!response)
		return;
	give_back(response);
	http_head_free(response->head);
	buf_finish(&response->upload.pending);
	buf_finish(&response->input);
	buf_finish(&response->line);
	free(response);
}

/* Sending */

/* What is left of a regular file, or -1 (also for those that say 0 and have more, as in /proc). */
static int64_t upload_length(const struct request *request)
{
	struct stat st;
	off_t at;
	if (!request->upload || fstat(request->upload_fd, &st) < 0 || !S_ISREG(st.st_mode))
		return -1;
	at = lseek(request->upload_fd, 0, SEEK_CUR);
	return at >= 0 && at < st.st_size ? st.st_size - at : -1;
}

static int build_head(const struct client *client, const struct request *request, int64_t body_len, struct buf *out)
{
	_cleanup_(buf_finish) struct buf target = BUF_INIT(CLIENT_PATH_MAX);
	int ret = buf_printf(&target, "/v%s%s", client->version, request->path);
	if (ret == 0)
		ret = http_write_request(out, request->method, target.data);
	if (ret == 0)
		ret = http_write_header(out, "Host", "tare");
	if (ret == 0)
		ret = http_write_header(out, "User-Agent", "tare/" TARE_VERSION);
	if (ret == 0 && (request->body || request->upload))
		ret = http_write_header(out, "Content-Type", request->body ? "application/json" : "application/x-tar");
	if (ret == 0 && body_len < 0)
		ret = http_write_header(out, "Transfer-Encoding", "chunked");
	else if (ret == 0 && strcmp(request->method, "GET") != 0)
		ret = http_write_headerf(out, "Content-Length", "%" PRId64, body_len);
	if (ret == 0 && request->registry_auth)
		ret = http_write_header(out, "X-Registry-Auth", request->registry_auth);
	if (ret == 0 && request->upgrade)
		ret = http_write_header(out, "Connection", "Upgrade");
	if (ret == 0 && request->upgrade)
		ret = http_write_header(out, "Upgrade", "tcp");
	return ret < 0 ? ret : http_write_end(out);
}

/* *ret_upload: how long the body is that follows, -1 if in chunks. */
static int build_request(const struct client *client, const struct request *request, struct buf *out,
	int64_t *ret_upload)
{
	_cleanup_(buf_finish) struct buf body = BUF_INIT(CLIENT_ANSWER_MAX);
	int ret = request->body ? json_print_value(request->body, &body) : 0;
	*ret_upload = upload_length(request);
	if (ret == 0)
		ret = build_head(client, request, request->upload ? *ret_upload : (int64_t)body.len, out);
	if (ret == 0 && body.len)
		ret = buf_append(out, body.data, body.len);
	return ret;
}

static int write_all(int fd, const char *data, size_t len)
{
	while (len) {
		ssize_t n = send(fd, data, len, MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		data += n;
		len -= (size_t)n;
	}
	return 0;
}

/* Reads more of the upload and frames it as a chunk. */
static int upload_fill(struct upload *upload)
{
	_cleanup_(buf_finish) struct buf data = BUF_INIT(UPLOAD_SIZE);
	ssize_t n = buf_read(&data, upload->fd, UPLOAD_SIZE);
	if (n == -EAGAIN || n == -EINTR)
		return 0;
	if (n < 0)
		return (int)n;
	upload->last = n == 0;
	return n ? http_write_chunk(&upload->pending, data.data, data.len) : http_write_last_chunk(&upload->pending);
}

static void upload_stop(struct response *response)
{
	if (response->upload.fd >= 0)
		(void)io_set_nonblock(response->fd, false);
	response->upload.fd = -1;
	buf_reset(&response->upload.pending);
}

/* The engine hung up on us: what it said before is still to be read. */
static bool is_hangup(int error)
{
	return error == EPIPE || error == ECONNRESET;
}

static ssize_t upload_some(const struct response *response)
{
	const struct upload *upload = &response->upload;
	if (upload->left >= 0)
		return sendfile(response->fd, upload->fd, NULL, (size_t)upload->left);
	return send(response->fd, upload->pending.data, upload->pending.len, MSG_NOSIGNAL);
}

static int upload_send(struct response *response)
{
	struct upload *upload = &response->upload;
	ssize_t n = upload_some(response);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n < 0 && is_hangup(errno)) {
		upload_stop(response);
		return 0;
	}
	if (n <= 0)
		return n < 0 ? -errno : -ENODATA; /* the file has become shorter */
	if (upload->left > 0)
		upload->left -= n;
	else
		buf_consume(&upload->pending, (size_t)n);
	if (upload->left == 0 || (!upload->pending.len && upload->last))
		upload_stop(response);
	return 0;
}

/* Sends what can be sent until the socket has something to read. */
static int upload_until_readable(struct response *response)
{
	struct upload *upload = &response->upload;
	while (upload->fd >= 0) {
		bool full = upload->left >= 0 || upload->pending.len > 0;
		struct pollfd fds[2] = {
			{ .fd = response->fd, .events = (short)(POLLIN | (full ? POLLOUT : 0)) },
			{ .fd = full ? -1 : upload->fd, .events = POLLIN },
		};
		if (poll(fds, 2, -1) < 0) {
			if (errno == EINTR)
				continue;
			return -errno;
		}
		if (fds[0].revents & (POLLIN | POLLHUP | POLLERR))
			return 0;
		int ret = 0;
		if (fds[0].revents & POLLOUT)
			ret = upload_send(response);
		else if (fds[1].revents)
			ret = upload_fill(upload);
		if (ret < 0)
			return ret;
	}
	return 0;
}

/* Receiving */

/* Reads more bytes into `input`. Returns the count, 0 at end of file. */
static ssize_t fill(struct response *response)
{
	if (response->used == response->input.len) {
		buf_reset(&response->input);
		response->used = 0;
	}
	int ret = upload_until_readable(response);
	if (ret < 0)
		return ret;
	ssize_t n;
	do
		n = buf_read(&response->input, response->fd, READ_SIZE);
	while (n == -EINTR);
	return n == -ECONNRESET ? 0 : n;
}

/* Returns 0, -ECONNRESET if the connection ended before the first byte, or another error. */
static int read_head(struct response *response)
{
	for (;;) {
		ssize_t n = fill(response);
		if (n < 0)
			return (int)n;
		if (n == 0)
			return http_head_has_begun(response->head) ? -ENODATA : -ECONNRESET;
		size_t used;
		int ret = http_head_feed(response->head, response->input.data + response->used,
			response->input.len - response->used, &used);
		if (ret < 0)
			return ret;
		response->used += used;
		if (ret == 1 && http_head_status(response->head) == 100) {
			http_head_reset(response->head);
			continue;
		}
		if (ret == 1)
			break;
	}
	struct http_framing framing = http_head_framing(response->head);
	http_body_init(&response->body, &framing);
	response->finished = http_body_is_done(&response->body);
	return 0;
}

ssize_t response_read(struct response *response, const char **ret_piece)
{
	while (!response->finished) {
		if (response->used == response->input.len) {
			ssize_t n = fill(response);
			if (n < 0)
				return n;
			if (n == 0) {
				response->finished = true;
				return http_body_end(&response->body);
			}
		}
		size_t len;
		ssize_t used = http_body_decode(&response->body, response->input.data + response->used,
			response->input.len - response->used, ret_piece, &len);
		if (used < 0)
			return used;
		response->used += (size_t)used;
		response->finished = http_body_is_done(&response->body);
		if (len)
			return (ssize_t)len;
	}
	return 0;
}

int response_copy(struct response *response, int fd, struct err **reterr)
{
	for (;;) {
		const char *piece;
		ssize_t n = response_read(response, &piece);
		if (n == -ENODATA)
			return err_set(reterr, ERR_INTERNAL, ENODATA, "the engine's answer was cut off before its end");
		if (n <= 0)
			return n ? err_errno(reterr, (int)n, "error reading the engine's answer") : 0;
		int ret = io_write_full(fd, piece, (size_t)n);
		if (ret < 0)
			return err_errno(reterr, ret, "cannot write");
	}
}

static int read_body(struct response *response, struct buf *out)
{
	for (;;) {
		const char *piece;
		ssize_t n = response_read(response, &piece);
		if (n <= 0)
			return (int)n;
		int ret = buf_append(out, piece, (size_t)n);
		if (ret < 0)
			return ret;
	}
}

int response_json(struct response *response, json_t **ret, struct err **reterr)
{
	_cleanup_(buf_finish) struct buf text = BUF_INIT(CLIENT_ANSWER_MAX);
	int r = read_body(response, &text);
	if (r < 0)
		return err_errno(reterr, r, "error reading the engine's answer");
	*ret = NULL;
	return text.len ? json_load(text.data, text.len, ret, reterr) : 0;
}

/* A complete line of `line`, or all of it at the end: parsed and taken out. 1, 0 (none) or -errno. */
static int take_line(struct response *response, bool at_end, json_t **ret, struct err **reterr)
{
	struct buf *line = &response->line;
	while (line->len) {
		const char *end = memchr(line->data, '\n', line->len);
		if (!end && !at_end)
			return 0;
		size_t len = end ? (size_t)(end - line->data) : line->len;
		bool blank = strspn(line->data, " \t\r\n") >= len;
		int r = blank ? 0 : json_load(line->data, len, ret, reterr);
		buf_consume(line, end ? len + 1 : len);
		if (r < 0)
			return err_wrap(reterr, r, "error reading the engine's answer");
		if (!blank)
			return 1;
	}
	return 0;
}

int response_next(struct response *response, json_t **ret, struct err **reterr)
{
	for (;;) {
		int r = take_line(response, false, ret, reterr);
		if (r)
			return r;
		const char *piece;
		ssize_t n = response_read(response, &piece);
		if (n == 0)
			return take_line(response, true, ret, reterr);
		if (n > 0)
			n = buf_append(&response->line, piece, (size_t)n);
		if (n < 0)
			return err_errno(reterr, (int)n, "error reading the engine's answer");
	}
}

int response_fd(const struct response *response)
{
	return response->fd;
}

int response_take_stream(struct response *response, struct buf *surplus)
{
	int ret = buf_append(surplus, response->input.data + response->used, response->input.len - response->used);
	return ret < 0 ? ret : TAKE_FD(response->fd);
}

int response_status(const struct response *response)
{
	return http_head_status(response->head);
}

const char *response_header(const struct response *response, const char *name)
{
	return http_head_header(response->head, name);
}

/* Requests */

static enum err_kind kind_of_status(int status)
{
	switch (status) {
	case 400: return ERR_INVALID;
	case 401: return ERR_UNAUTHORIZED;
	case 403: return ERR_FORBIDDEN;
	case 404: return ERR_NOT_FOUND;
	case 409: return ERR_CONFLICT;
	case 413: return ERR_TOO_LARGE;
	case 501: return ERR_UNSUPPORTED;
	case 503: return ERR_UNAVAILABLE;
	default: return ERR_INTERNAL;
	}
}

/* The engine's {"message": ...}; any other body is quoted as it is. */
static int fail_status(struct response *response, struct err **reterr)
{
	int status = response_status(response);
	upload_stop(response);
	_cleanup_(buf_finish) struct buf text = BUF_INIT(1024 * 1024);
	int ret = read_body(response, &text);
	if (ret < 0 && ret != -ENODATA)
		return err_errno(reterr, ret, "error reading the engine's answer");

	_autojson_ json_t *answer = NULL;
	const char *message = NULL;
	if (text.len && json_load(text.data, text.len, &answer, NULL) == 0)
		message = json_string_value(json_object_get(answer, "message"));
	if (!message)
		message = text.len ? text.data : http_head_reason(response->head);
	size_t len = strlen(message);
	while (len && (message[len - 1] == '\n' || message[len - 1] == '\r'))
		len--;
	return err_set(reterr, kind_of_status(status), 0, "Error response from daemon: %.*s", (int)len, message);
}

static int fail_exchange(const struct client *client, const struct response *response, int ret, struct err **reterr)
{
	if (ret == -ECONNRESET || ret == -EPIPE || ret == -ENODATA)
		return err_set(reterr, ERR_UNAVAILABLE, ECONNRESET,
			"error during connect: the engine at %s closed the connection before it answered",
			client->host);
	if (ret == -EINVAL || ret == -EFBIG || ret == -ENAMETOOLONG || ret == -EPROTONOSUPPORT || ret == -EOPNOTSUPP)
		return err_set(reterr, ERR_UNAVAILABLE, 0, "what answers at %s does not speak HTTP as it should: %s",
			client->host, http_head_problem(response->head));
	return err_errno(reterr, ret, "error during connect to %s", client->host);
}

/* Sends `text` on a connection of its own or the kept one, and reads the head. -ECONNRESET as read_head. */
static int exchange(struct response *response, const struct request *request, const struct buf *text)
{
	int ret = write_all(response->fd, text->data, text->len);
	if (ret < 0 && !is_hangup(-ret))
		return ret;
	if (request->upload && ret == 0) {
		response->upload.fd = request->upload_fd;
		ret = io_set_nonblock(response->fd, true);
		if (ret < 0)
			return ret;
	}
	return read_head(response);
}

static int response_new(struct client *client, const struct request *request, struct response **ret,
	struct err **reterr)
{
	struct response *response = calloc(1, sizeof *response);
	struct http_head *head = http_head_new(strcmp(request->method, "HEAD") == 0 ? HTTP_RESPONSE_TO_HEAD
										    : HTTP_RESPONSE_HEAD);
	if (!response || !head) {
		free(response);
		http_head_free(head);
		return err_oom(reterr);
	}
	*response = (struct response){ .client = client, .fd = -1, .head = head, .upload = { .fd = -1 } };
	buf_init(&response->upload.pending, UPLOAD_SIZE + 64);
	buf_init(&response->input, READ_SIZE);
	buf_init(&response->line, CLIENT_LINE_MAX);
	*ret = response;
	return 0;
}

/* A kept connection may have been closed while the request was on its way; what changes nothing is then sent again. */
static int send_request(struct client *client, const struct request *request, struct response *response,
	struct err **reterr)
{
	_cleanup_(buf_finish) struct buf text = BUF_INIT(CLIENT_ANSWER_MAX);
	int ret = build_request(client, request, &text, &response->upload.left);
	if (ret < 0)
		return err_errno(reterr, ret, "cannot make the request");
	response->fd = take_idle(client);
	bool kept = response->fd >= 0;
	if (!kept)
		ret = client_connect(client, &response->fd, reterr);
	if (ret < 0)
		return ret;

	ret = exchange(response, request, &text);
	if (ret == -ECONNRESET && kept && strcmp(request->method, "GET") == 0) {
		fd_close(&response->fd);
		ret = client_connect(client, &response->fd, reterr);
		if (ret < 0)
			return ret;
		ret = exchange(response, request, &text);
	}
	if (ret < 0)
		return fail_exchange(client, response, ret, reterr);
	log_debug("%s %s: %d", request->method, request->path, response_status(response));
	return 0;
}

/* An older engine names the newest version it speaks: adopts it and returns true. */
static bool downgrade(struct client *client, const struct err *err)
{
	static const char phrase[] = "Maximum supported API version is ";
	const char *at = strstr(err_message(err), phrase);
	size_t len = at ? strspn(at + sizeof phrase - 1, "0123456789.") : 0;
	if (!len || len >= sizeof client->version)
		return false;
	char version[sizeof client->version] = "";
	memcpy(version, at + sizeof phrase - 1, len);
	if (strcmp(version, client->version) == 0)
		return false;
	memcpy(client->version, version, sizeof version);
	return true;
}

int client_send(struct client *client, const struct request *request, struct response **ret, struct err **reterr)
{
	_autofree_(response) struct response *response = NULL;
	_cleanup_(buf_finish) struct buf text = BUF_INIT(CLIENT_ANSWER_MAX);
	int r = response_new(client, request, &response, reterr);
	if (r == 0 && (r = build_request(client, request, &text, &response->upload.left)) < 0)
		r = err_errno(reterr, r, "cannot make the request");
	if (r == 0)
		r = client_connect(client, &response->fd, reterr);
	if (r < 0)
		return r;
	r = write_all(response->fd, text.data, text.len);
	if (r < 0 && !is_hangup(-r))
		return fail_exchange(client, response, r, reterr);
	*ret = TAKE(response);
	return 0;
}

int response_wait(struct response *response, struct err **reterr)
{
	int ret = read_head(response);
	if (ret < 0)
		return fail_exchange(response->client, response, ret, reterr);
	return response_status(response) >= 400 ? fail_status(response, reterr) : 0;
}

static int client_try(struct client *client, const struct request *request, struct response **ret, struct err **reterr)
{
	_autofree_(response) struct response *response = NULL;
	int r = response_new(client, request, &response, reterr);
	if (r == 0)
		r = send_request(client, request, response, reterr);
	if (r < 0)
		return r;
	if (response_status(response) >= 400)
		return fail_status(response, reterr);
	*ret = TAKE(response);
	return 0;
}

int client_request(struct client *client, const struct request *request, struct response **ret, struct err **reterr)
{
	struct err *err = NULL;
	int r = client_try(client, request, ret, &err);
	if (r < 0 && err && err->kind == ERR_INVALID && !request->upload && downgrade(client, err)) {
		err_free(TAKE(err));
		r = client_try(client, request, ret, &err);
	}
	if (r < 0 && reterr)
		*reterr = TAKE(err);
	err_free(err);
	return r;
}

int client_call(struct client *client, const char *method, const char *path, const json_t *body, json_t **ret,
	struct err **reterr)
{
	const struct request request = { .method = method, .path = path, .body = body, .upload_fd = -1 };
	_autofree_(response) struct response *response = NULL;
	int r = client_request(client, &request, &response, reterr);
	if (r < 0)
		return r;
	_autojson_ json_t *answer = NULL;
	r = response_json(response, &answer, reterr);
	if (r == 0 && ret)
		*ret = TAKE(answer);
	return r;
}
