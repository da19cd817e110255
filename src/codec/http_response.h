/*
 * A whole response as a client reads it: interim answers (100 Continue, 103 Early Hints) are passed over, then the head,
 * then the decoded body; or, after 101, whatever the other protocol says, as it comes.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include <sys/types.h>

#include "base/cleanup.h"
#include "codec/http.h"

#define HTTP_INTERIM_MAX 16

enum http_response_state {
	HTTP_AWAITS_HEAD,
	HTTP_IN_BODY,  /* the head can be asked */
	HTTP_UPGRADED, /* the head can be asked; bytes are those of the other protocol */
	HTTP_COMPLETE, /* bytes after this are not the response's */
};

struct http_response;

/* `to_head`: the request was HEAD. Returns NULL when out of memory. */
struct http_response *http_response_new(bool to_head);
void http_response_free(struct http_response *response);
DEFINE_AUTOFREE(http_response, struct http_response *, http_response_free);

/*
 * Returns how many bytes were used, and in *ret_piece, *ret_len the body's bytes among them. Stops at the end of the head,
 * so that the caller can look at it before the body comes; call again with the rest while there is any and the state is
 * not HTTP_COMPLETE. Errors are http_head_feed's and http_body_decode's; -EPROTO for too many interim answers.
 */
ssize_t http_response_feed(struct http_response *response, const char *data, size_t len, const char **ret_piece,
	size_t *ret_len);

enum http_response_state http_response_state(const struct http_response *response);
const struct http_head *http_response_head(const struct http_response *response);

/* The connection ended: 0 if the response is complete, -ENODATA if it was cut off. */
int http_response_end(struct http_response *response);
