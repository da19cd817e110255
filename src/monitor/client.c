#include "monitor/client.h"

#include "base/buf.h"
#include "codec/http_write.h"
#include "monitor/monitor.h"

#define HEAD_MAX 1024

static const char raw_type[] = "application/vnd.docker.raw-stream";
static const char multiplexed_type[] = "application/vnd.docker.multiplexed-stream";
/* The first API that tells the two apart. */
#define MULTIPLEXED_SINCE_MINOR 42

int client_accept(struct monitor *monitor, const struct client *client, const struct session_ops *ops, void *user,
	struct session **ret, struct err **reterr)
{
	int r = monitor_client_begin(monitor, reterr);
	if (r < 0)
		return r;
	r = session_new(monitor->loop, TAKE_FD(*client->fd), client->surplus, client->surplus_len, ops, user, ret);
	if (r < 0) {
		monitor_client_end(monitor);
		return err_errno(reterr, r, "cannot serve the client");
	}
	control_answer(monitor->control, &client->request, message_ack(client->request.id));
	return 0;
}

/* A head that does not fit or has no memory is none: the client sees the connection end. */
static void send_head(struct session *session, struct buf *head, int ret)
{
	if (ret == 0)
		ret = http_write_end(head);
	if (ret < 0)
		session_end(session);
	else
		session_puts(session, head->data);
}

void client_answer_stream(const struct client *client, struct session *session, bool multiplexed)
{
	_cleanup_(buf_finish) struct buf head = BUF_INIT(HEAD_MAX);
	int ret;

	if (client->handover->body.upgrade) {
		bool says_so = multiplexed && client->handover->api_minor >= MULTIPLEXED_SINCE_MINOR;
		ret = buf_puts(&head, "HTTP/1.1 101 UPGRADED\r\n")
				?: http_write_header(&head, "Content-Type", says_so ? multiplexed_type : raw_type)
				?: http_write_header(&head, "Connection", "Upgrade")
				?: http_write_header(&head, "Upgrade", "tcp");
	} else
		ret = buf_puts(&head, "HTTP/1.1 200 OK\r\n") ?: http_write_header(&head, "Content-Type", raw_type);
	send_head(session, &head, ret);
	session_hold_behind_head(session);
}

void client_answer_body(const struct client *client, struct session *session, const char *content_type,
	struct client_body *ret)
{
	_cleanup_(buf_finish) struct buf head = BUF_INIT(HEAD_MAX);

	ret->chunked = client->handover->body.http_minor > 0;
	int r = buf_printf(&head, "HTTP/1.%d 200 OK\r\n", ret->chunked ? 1 : 0)
			?: http_write_headerf(&head, "Api-Version", "1.%lld", (long long)client->handover->api_minor)
			?: http_write_header(&head, "Content-Type", content_type)
			?: http_write_header(&head, "Connection", "close");
	if (r == 0 && ret->chunked)
		r = http_write_header(&head, "Transfer-Encoding", "chunked");
	send_head(session, &head, r);
}

void client_send_body(struct session *session, const struct client_body *body, const void *data, size_t len)
{
	struct iovec iov = { (void *)data, len };
	if (!len)
		return;
	if (body->chunked)
		session_send_chunk(session, data, len);
	else
		session_send(session, &iov, 1);
}

void client_end_body(struct session *session, const struct client_body *body)
{
	if (body->chunked)
		session_send_chunk(session, NULL, 0);
	session_end(session);
}
