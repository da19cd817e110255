#include "codec/http_response.h"

#include <errno.h>
#include <stdlib.h>

struct http_response {
	enum http_response_state state;
	struct http_head *head;
	struct http_body body;
	unsigned interim_count;
};

struct http_response *http_response_new(bool to_head)
{
	_autofree_(http_response) struct http_response *response = calloc(1, sizeof *response);
	if (!response)
		return NULL;
	response->head = http_head_new(to_head ? HTTP_RESPONSE_TO_HEAD : HTTP_RESPONSE_HEAD);
	return response->head ? TAKE(response) : NULL;
}

void http_response_free(struct http_response *response)
{
	if (!response)
		return;
	http_head_free(response->head);
	free(response);
}

static int begin_body(struct http_response *response)
{
	int status = http_head_status(response->head);
	if (status == 101) {
		response->state = HTTP_UPGRADED;
		return 0;
	}
	if (status / 100 == 1) {
		http_head_reset(response->head);
		return ++response->interim_count > HTTP_INTERIM_MAX ? -EPROTO : 0;
	}
	struct http_framing framing = http_head_framing(response->head);
	http_body_init(&response->body, &framing);
	response->state = http_body_is_done(&response->body) ? HTTP_COMPLETE : HTTP_IN_BODY;
	return 0;
}

static ssize_t feed_head(struct http_response *response, const char *data, size_t len)
{
	size_t used;
	int ret = http_head_feed(response->head, data, len, &used);
	if (ret == 1)
		ret = begin_body(response);
	return ret < 0 ? ret : (ssize_t)used;
}

static ssize_t feed_body(struct http_response *response, const char *data, size_t len, const char **ret_piece,
	size_t *ret_len)
{
	ssize_t used = http_body_decode(&response->body, data, len, ret_piece, ret_len);
	if (used >= 0 && http_body_is_done(&response->body))
		response->state = HTTP_COMPLETE;
	return used;
}

ssize_t http_response_feed(struct http_response *response, const char *data, size_t len, const char **ret_piece,
	size_t *ret_len)
{
	*ret_piece = data;
	*ret_len = 0;
	switch (response->state) {
	case HTTP_AWAITS_HEAD: return feed_head(response, data, len);
	case HTTP_IN_BODY: return feed_body(response, data, len, ret_piece, ret_len);
	case HTTP_UPGRADED: *ret_len = len; return (ssize_t)len;
	case HTTP_COMPLETE: break;
	}
	return 0;
}

enum http_response_state http_response_state(const struct http_response *response)
{
	return response->state;
}

const struct http_head *http_response_head(const struct http_response *response)
{
	return response->head;
}

int http_response_end(struct http_response *response)
{
	if (response->state == HTTP_AWAITS_HEAD)
		return -ENODATA;
	if (response->state == HTTP_IN_BODY && http_body_end(&response->body) < 0)
		return -ENODATA;
	response->state = HTTP_COMPLETE;
	return 0;
}
