#include "cli/session.h"

#include <string.h>

#include "cli/detach.h"
#include "cli/print.h"
#include "cli/values.h"
#include "codec/json.h"

static int container_path(const struct session *session, const char *after, struct buf *path, struct err **reterr)
{
	int ret = client_path(path, "/containers/", session->id, after);
	return ret < 0 ? err_errno(reterr, ret, "cannot make the request") : 0;
}

int session_init(struct session *session, struct err **reterr)
{
	session->signals.fd = -1;
	session->attached = session->wait = NULL;
	return stream_catch(&session->signals, session->sig_proxy, session->tty, reterr);
}

void session_finish(struct session *session)
{
	response_free(session->attached);
	response_free(session->wait);
	session->attached = session->wait = NULL;
	stream_release(&session->signals);
}

static int send_attach(struct session *session, struct err **reterr)
{
	_cleanup_(buf_finish) struct buf path = BUF_INIT(CLIENT_PATH_MAX);
	char query[80];
	snprintf(query, sizeof query, "/attach?stream=1&stdin=%d&stdout=%d&stderr=%d", session->attach_stdin,
		session->attach_stdout, session->attach_stderr);
	int ret = container_path(session, query, &path, reterr);
	const struct request request = { .method = "POST", .path = path.data, .upgrade = true };
	return ret < 0 ? ret : client_send(session->client, &request, &session->attached, reterr);
}

static int send_wait(struct session *session, const char *condition, struct err **reterr)
{
	_cleanup_(buf_finish) struct buf path = BUF_INIT(CLIENT_PATH_MAX);
	char query[64];
	snprintf(query, sizeof query, "/wait?condition=%s", condition);
	int ret = container_path(session, query, &path, reterr);
	const struct request request = { .method = "POST", .path = path.data };
	return ret < 0 ? ret : client_send(session->client, &request, &session->wait, reterr);
}

int session_join(struct session *session, const char *condition, struct err **reterr)
{
	int ret = send_attach(session, reterr);
	if (ret == 0)
		ret = send_wait(session, condition, reterr);
	if (ret == 0)
		ret = response_wait(session->attached, reterr);
	return ret < 0 ? ret : response_wait(session->wait, reterr);
}

int session_start(struct session *session, struct err **reterr)
{
	_cleanup_(buf_finish) struct buf path = BUF_INIT(CLIENT_PATH_MAX);
	int ret = container_path(session, "/start", &path, reterr);
	return ret < 0 ? ret : client_call(session->client, "POST", path.data, NULL, NULL, reterr);
}

int session_stream(struct session *session, struct err **reterr)
{
	_cleanup_(buf_finish) struct buf resize = BUF_INIT(CLIENT_PATH_MAX), kill = BUF_INIT(CLIENT_PATH_MAX);
	int ret = container_path(session, "/resize", &resize, reterr);
	if (ret == 0)
		ret = container_path(session, "/kill", &kill, reterr);
	if (ret < 0)
		return ret;
	const struct stream_options options = {
		.tty = session->tty,
		.attach_stdin = session->attach_stdin,
		.attach_stdout = session->attach_stdout,
		.attach_stderr = session->attach_stderr,
		.detach_keys = session->detach_keys,
		.resize_path = resize.data,
		.kill_path = session->sig_proxy ? kill.data : NULL,
	};
	return stream_run(session->client, session->attached, &options, &session->signals, session->wait, reterr);
}

int session_exit_code(struct session *session, struct err **reterr)
{
	_autojson_ json_t *answer = NULL;
	int ret = response_json(session->wait, &answer, reterr);
	if (ret < 0)
		return err_wrap(reterr, ret, "error waiting for container");
	const char *problem = value_string(answer, "Error.Message");
	if (*problem) {
		print_error("Error waiting for container: %s", problem);
		return EXIT_RUN_FAILED;
	}
	return (int)value_int(answer, "StatusCode") & 0xff;
}
