/*
 * What a route's handler sees: one parsed request, and the ways to answer it. A handler answers exactly once, now or later
 * (from a callback); the request lives until then, also if the client goes away meanwhile, and must not be touched
 * afterwards. The one exception is a stream, which lives until it is ended or `on_closed` was called.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "codec/json.h"
#include "codec/query.h"
#include "spec/handover.h"

#define API_MINOR_MIN   24
#define API_MINOR_MAX   50
#define API_VERSION_MAX "1.50"

/* A small JSON body, read whole before the handler is called. */
#define REQUEST_BODY_MAX (4 * 1024 * 1024)
/* What a stream's reader may be behind before it is dropped. */
#define STREAM_QUEUE_MAX   (1024 * 1024)
#define REQUEST_PARAMS_MAX 2

struct connection;
struct engine;

struct request {
	struct connection *connection;
	struct engine *engine;
	const char *method;
	bool is_head;
	int api_minor;                    /* of version 1.x, the newest if the path names none */
	char *params[REQUEST_PARAMS_MAX]; /* what the pattern's braces matched */
	const struct query *query;        /* never NULL */
	const char *body;                 /* "" if there is none; NUL-terminated */
	size_t body_len;
};

/* The value of a header, or NULL. Borrows. */
const char *request_header(const struct request *request, const char *name);

/* ERR_INVALID unless there is a body that says it is JSON. */
int request_check_body(const struct request *request, struct err **reterr);
/* Parses the body by a table into the zeroed `out`. An absent body is an empty object with `optional`, else refused. */
int request_read_body(const struct request *request, const struct json_table *table, bool optional, void *out,
	struct err **reterr);

/* --- answering --- */

void respond_empty(struct request *request, int status);
/* Borrows the object. */
void respond_document(struct request *request, int status, const struct json_table *table, const void *object);
/* Takes the reference; NULL is answered as out of memory. */
void respond_json(struct request *request, int status, json_t *value);
void respond_text(struct request *request, int status, const char *content_type, const char *text);
/* {"message": ...} with the status of the error's kind. Borrows `err`. */
void respond_error(struct request *request, const struct err *err);
/* The same with a status of the caller's choice, where Docker's differs from the kind's. */
void respond_error_status(struct request *request, int status, const struct err *err);
/* Extra headers of the coming answer. */
void request_add_header(struct request *request, const char *name, const char *value);

/* The HTTP status of an error kind. */
int respond_status_of(enum err_kind kind);

/* --- streams --- */

/* Sends the head (200, chunked). `on_closed` is called at most once, when the client is gone or was dropped for being
 * slow; the request is freed after it returns. */
void stream_begin(struct request *request, const char *content_type, void (*on_closed)(void *user), void *user);
/* Copies. False if the client is gone: `on_closed` has been called. */
bool stream_write(struct request *request, const void *data, size_t len);
void stream_end(struct request *request);

/* --- hand-over --- */

/*
 * Fills the facts of the connection into `handover` (method, version, framing, peer) and lets the caller send it. The
 * client's socket and the bytes already read stay this side's until request_handed_over or an answer.
 */
void request_describe(struct request *request, struct handover *handover);
int request_fd(const struct request *request);
const char *request_surplus(const struct request *request, size_t *ret_len);
/* The receiver has acknowledged: our descriptor is closed, the request freed. */
void request_handed_over(struct request *request);
