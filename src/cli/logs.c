#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "cli/client.h"
#include "cli/timestamp.h"
#include "cli/values.h"
#include "cli/verbs.h"
#include "codec/json.h"
#include "codec/query.h"
#include "codec/stdcopy.h"

struct logs_options {
	bool details;
	bool follow;
	const char *since;
	const char *tail;
	bool timestamps;
	const char *until;
};

#define OPTION(...) OPTION_IN(struct logs_options, __VA_ARGS__)
static const struct option_spec specs[] = {
	OPTION("details", 0, OPTION_BOOL, details, "Show the log's extra attributes"),
	OPTION("follow", 'f', OPTION_BOOL, follow, "Go on as more is written"),
	OPTION("since", 0, OPTION_STRING, since, "Show what was written since then (2026-11-23T20:15:00Z, or 42m ago)"),
	OPTION("tail", 'n', OPTION_STRING, tail, "How many lines of the end to show", .fallback = "all"),
	OPTION("timestamps", 't', OPTION_BOOL, timestamps, "Show when each line was written"),
	OPTION("until", 0, OPTION_STRING, until, "Show what was written before then"),
};
static const struct option_table table = OPTION_TABLE(specs);

static int build_path(const struct logs_options *options, const char *container, struct buf *path, struct err **reterr)
{
	int ret = client_path(path, "/containers/", container, "/logs?stdout=1&stderr=1");
	if (ret == 0)
		ret = buf_printf(path, "&follow=%d&timestamps=%d&details=%d", options->follow, options->timestamps,
			options->details);
	if (ret == 0)
		ret = query_append(path, "tail", options->tail);
	if (ret < 0)
		return err_errno(reterr, ret, "cannot make the request");
	ret = timestamp_append(path, "since", options->since, reterr);
	return ret < 0 ? ret : timestamp_append(path, "until", options->until, reterr);
}

/* Whether the body is frames; where the answer's type does not tell, the container's terminal does. */
static int is_framed(const struct invocation *invocation, const struct response *response, bool *ret,
	struct err **reterr)
{
	const char *type = response_header(response, "Content-Type");
	*ret = type && strstr(type, "multiplexed-stream");
	if (*ret)
		return 0;
	_cleanup_(buf_finish) struct buf path = BUF_INIT(CLIENT_PATH_MAX);
	_autojson_ json_t *container = NULL;
	if (client_path(&path, "/containers/", invocation->args[0], "/json") < 0)
		return err_oom(reterr);
	int r = client_call(invocation->client, "GET", path.data, NULL, &container, reterr);
	*ret = r == 0 && !value_bool(container, "Config.Tty");
	return r;
}

static int write_piece(int fd, const char *data, size_t len, struct err **reterr)
{
	int ret = len ? io_write_full(fd, data, len) : 0;
	return ret < 0 ? err_errno(reterr, ret, "cannot write to standard %s", fd == STDOUT_FILENO ? "output" : "error")
		       : 0;
}

static int write_frames(struct stdcopy *demux, const char *data, size_t len, struct err **reterr)
{
	while (len) {
		struct stdcopy_piece piece;
		ssize_t used = stdcopy_decode(demux, data, len, &piece);
		if (used < 0)
			return err_set(reterr, ERR_UNAVAILABLE, 0, "the log came in a form that is no frame");
		if (piece.stream == STDCOPY_SYSTEM_ERROR && piece.len)
			return err_set(reterr, ERR_INTERNAL, 0, "error from daemon in stream: %.*s", (int)piece.len,
				piece.data);
		int ret = write_piece(piece.stream == STDCOPY_STDERR ? STDERR_FILENO : STDOUT_FILENO, piece.data,
			piece.len, reterr);
		if (ret < 0)
			return ret;
		data += used;
		len -= (size_t)used;
	}
	return 0;
}

static int copy_log(struct response *response, bool framed, struct err **reterr)
{
	struct stdcopy demux;
	stdcopy_init(&demux);
	for (;;) {
		const char *piece;
		ssize_t n = response_read(response, &piece);
		if (n < 0)
			return err_errno(reterr, (int)n, "error reading the log");
		if (n == 0)
			return 0;
		int ret = framed ? write_frames(&demux, piece, (size_t)n, reterr)
				 : write_piece(STDOUT_FILENO, piece, (size_t)n, reterr);
		if (ret < 0)
			return ret;
	}
}

static int logs_run(const struct invocation *invocation, struct err **reterr)
{
	_cleanup_(buf_finish) struct buf path = BUF_INIT(CLIENT_PATH_MAX);
	int ret = build_path(invocation->options, invocation->args[0], &path, reterr);
	if (ret < 0)
		return ret;
	const struct request request = { .method = "GET", .path = path.data };
	_autofree_(response) struct response *response = NULL;
	bool framed = false;
	ret = client_request(invocation->client, &request, &response, reterr);
	if (ret == 0)
		ret = is_framed(invocation, response, &framed, reterr);
	return ret < 0 ? ret : copy_log(response, framed, reterr);
}

const struct command logs_command = {
	.names = { "container logs", "logs" },
	.usage = "[OPTIONS] CONTAINER",
	.summary = "Print what a container wrote",
	.options = { { &table } },
	.options_size = sizeof(struct logs_options),
	.min_args = 1,
	.max_args = 1,
	.arguments = ARGUMENTS_CONTAINERS,
	.flags = COMMAND_ENGINE,
	.run = logs_run,
};
