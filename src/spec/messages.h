/*
 * The envelope of JSON messages between our processes (docs/architecture.md, "Messages"): one object with `v`, `op` and,
 * if it is or has an answer, `id`; then optionally a NUL byte and raw bytes, the surplus of a handed-over connection.
 * Additive: members that the reader does not know are ignored, and an unknown op is answered with message_unsupported.
 *
 * Builders return a new reference, or NULL when out of memory; they and message_add pass a NULL on, so a chain of calls
 * needs one check, at message_pack.
 */
#pragma once

#include "codec/json.h"
#include "spec/runstate.h"

#define MESSAGE_VERSION 1
/* No answer is expected. */
#define MESSAGE_NO_ID (-1)
/* What a worker is asked for may have an image's whole configuration in it (channel_send_long). */
#define WORKER_MESSAGE_MAX (8 * 1024 * 1024)

struct message {
	json_t *body;
	const char *op; /* borrowed from body, as below */
	int64_t version;
	int64_t id;          /* MESSAGE_NO_ID if absent */
	const char *surplus; /* borrowed from the parsed bytes; NULL if there is none */
	size_t surplus_len;
	/* Set by those who received some: the descriptors that came along, the receiver's to close. */
	const int *fds;
	size_t fd_count;
};

/* `data` outlives the message. ERR_INVALID: not an object, no op, a wrong type. */
int message_parse(const char *data, size_t len, struct message *out, struct err **reterr);
void message_finish(struct message *message);

/* Members of the body; the wrong type reads as absence. Strings are borrowed. */
const char *message_string(const struct message *message, const char *key);
int64_t message_int(const struct message *message, const char *key, int64_t if_absent);
bool message_bool(const struct message *message, const char *key);
/* A member that is a document. ERR_INVALID if it is missing or wrong, the path beginning with `key`. */
int message_document(const struct message *message, const char *key, const struct json_table *table, void *out,
	struct err **reterr);

json_t *message_new(const char *op, int64_t id);
/* Takes `value`. Returns 0, or -ENOMEM, also if `body` or `value` is NULL. */
int message_add(json_t *body, const char *key, json_t *value);

/* Appends the text and, with `surplus_len`, a NUL byte and the surplus. -ENOMEM if `body` is NULL, -EFBIG. */
int message_pack(const json_t *body, const void *surplus, size_t surplus_len, struct buf *out);

/* --- answers --- */

json_t *message_done(int64_t id);
json_t *message_ack(int64_t id);
json_t *message_error(int64_t id, const struct err *err);
json_t *message_unsupported(int64_t id, const char *op);
/* 0 for `done` and `ack`; for `error` the error it carries; ERR_INTERNAL for anything else. */
int message_outcome(const struct message *answer, struct err **reterr);

/* --- engine and monitor --- */

/* The engine's first words: events up to `acked` have reached it. */
json_t *message_hello(int64_t id, int64_t acked);
json_t *message_hello_answer(int64_t id, const struct runstate *state, char *const *execs);
json_t *message_event(const struct run_event *event, const struct runstate *state);
json_t *message_acked(int64_t seq);
