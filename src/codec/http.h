/*
 * The head of an HTTP/1.0 or 1.1 message, read in any pieces: request or status line and headers, up to and with the blank
 * line. What follows belongs to the body (http_body.h) or, after an upgrade, to another protocol.
 *
 * Strict, because two readers that disagree about where a message ends can be played against each other: line ends are
 * CRLF, no NUL or other control character, no folded header, no blank before a colon, at most one Content-Length, never
 * together with Transfer-Encoding, which is "chunked" or refused; a request's target is a path.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/cleanup.h"
#include "codec/http_body.h"

#define HTTP_START_LINE_MAX   (16 * 1024)
#define HTTP_HEADERS_MAX      (64 * 1024) /* all of them, with their line ends */
#define HTTP_HEADER_COUNT_MAX 200

enum http_kind {
	HTTP_REQUEST_HEAD,
	HTTP_RESPONSE_HEAD,
	HTTP_RESPONSE_TO_HEAD, /* whatever its headers say, no body follows */
};

struct http_head;

/* Returns NULL when out of memory. */
struct http_head *http_head_new(enum http_kind kind);
void http_head_free(struct http_head *head);
DEFINE_AUTOFREE(http_head, struct http_head *, http_head_free);

/* Makes it ready for the next message of the same connection. Everything borrowed before is gone. */
void http_head_reset(struct http_head *head);

/*
 * Returns 1 when the head is complete: *ret_used bytes of `data` were part of it, the surplus follows. 0: all were used
 * and more are needed. Errors, told again by every later call (http_error_status gives the answer's status):
 * -EINVAL malformed, -ENAMETOOLONG the start line, -EFBIG the headers, -EPROTONOSUPPORT the version, -EOPNOTSUPP the
 * transfer coding, -ENOMEM.
 */
int http_head_feed(struct http_head *head, const char *data, size_t len, size_t *ret_used);

/* Whether a byte has been fed: end of file before is no error but a closed connection. */
bool http_head_has_begun(const struct http_head *head);

/* What was wrong, for the answer's message. Borrows a constant. */
const char *http_head_problem(const struct http_head *head);
/* 400, 414, 431, 501, 505, or 500 for -ENOMEM. */
int http_error_status(int ret);

/* --- of a complete head; everything is borrowed --- */

const char *http_head_method(const struct http_head *head); /* "GET" */
const char *http_head_target(const struct http_head *head); /* as it was sent */
const char *http_head_path(const struct http_head *head);   /* decoded, without the query */
const char *http_head_query(const struct http_head *head);  /* raw, "" if there is none */
int http_head_status(const struct http_head *head);         /* of a response */
const char *http_head_reason(const struct http_head *head);

size_t http_head_header_count(const struct http_head *head);
void http_head_header_at(const struct http_head *head, size_t index, const char **ret_name, const char **ret_value);
/* The first of that name in any case, without blanks around it; NULL if there is none. */
const char *http_head_header(const struct http_head *head, const char *name);
/* Whether one of the comma-separated words of all headers of that name is `token`, in any case. */
bool http_head_has_token(const struct http_head *head, const char *name, const char *token);

/* 0 for HTTP/1.0, which knows no chunks; else 1. */
int http_head_minor(const struct http_head *head);
struct http_framing http_head_framing(const struct http_head *head);
bool http_head_keep_alive(const struct http_head *head);
/* The protocol asked for (request) or switched to (status 101); NULL if none. */
const char *http_head_upgrade(const struct http_head *head);
bool http_head_expects_continue(const struct http_head *head);
