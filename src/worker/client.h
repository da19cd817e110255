/*
 * The client whose connection this worker was handed: its body is read, and it is answered, here. One request, then the
 * connection ends.
 *
 * Errors before the first progress message are an HTTP status, unless client_stream_errors was called; after it, messages in
 * the stream, as Docker's. A client that goes away is noticed at every wait (client_is_gone), which is how a job is cancelled.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <sys/types.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "spec/handover.h"

struct client;

/* Takes `fd` (also on failure); copies the surplus. */
int client_new(int fd, const struct handover_body *body, const void *surplus, size_t surplus_len, struct client **ret,
	struct err **reterr);
/* Closes the connection, after a last chunk if anything was answered. */
void client_free(struct client *client);
DEFINE_AUTOFREE(client, struct client *, client_free);

/* Decoded bytes of the body; 0 at its end. An upload that stops before its end or idles too long is an error. */
ssize_t client_read(struct client *client, void *data, size_t size, struct err **reterr);
/*
 * Moves bytes of the body into a pipe without looking at them: as many as there are, at most `size`, and never one of the last
 * `keep` or any but those of a body whose length is known. 0: none can go this way (any more), the rest is for client_read;
 * -EAGAIN: the pipe is full; -EPIPE: nobody reads it. Those two are no errors of the client's, and without a message.
 */
ssize_t client_move(struct client *client, int pipe_fd, size_t size, uint64_t keep, struct err **reterr);
/* The body's first bytes, which client_read gives again: as many as there are up to `size`, at most CLIENT_PEEK_BYTES. Before
 * any client_read. */
#define CLIENT_PEEK_BYTES 16
ssize_t client_peek(struct client *client, void *data, size_t size, struct err **reterr);
/* Asked from time to time while the client is waited for, to read or to write: non-zero breaks the connection off. NULL: nobody.
 */
typedef int client_patience_fn(void *data);
void client_set_patience(struct client *client, client_patience_fn *patience, void *data);
/* Nobody is at the other end any more. */
bool client_is_gone(const struct client *client);
int client_fd(const struct client *client);

/* The whole answer, a JSON document; takes `document`. */
void client_answer(struct client *client, int status, json_t *document);
/* One JSON message of the stream; takes `message`, NULL being out of memory. What can't be sent is dropped. */
void client_tell(struct client *client, json_t *message);
/*
 * An answer of bytes (an archive) instead of messages: its head, with what `headers` says beside the framing; then the bytes.
 * `len` below 0: not known, and the end is marked. Writing waits for a slow client and returns -EPIPE once it is gone or
 * reads nothing any more. A job that fails in the middle leaves the answer without its end, which every client notices.
 */
struct client_header {
	const char *name;
	const char *value;
};
void client_answer_bytes(struct client *client, const struct client_header *headers, size_t header_count, int64_t len);
int client_write(struct client *client, const void *data, size_t len);
/* The next `len` bytes of a regular file, of an answer whose length was told; -ENODATA if the file ends before. */
int client_send_file(struct client *client, int fd, int64_t len);

/* From now on an error is a message of the stream, even its first. */
void client_stream_errors(struct client *client);
/* Its method is HEAD: no answer has a body. */
void client_head_only(struct client *client);
/* The answer of a job that failed. */
void client_tell_error(struct client *client, const struct err *err);
