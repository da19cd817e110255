/*
 * The Engine API's client: HTTP/1.1 over the engine's unix socket, blocking.
 *
 * One connection is kept for the next request where the engine allows it; a request made while another response is
 * still being read gets one of its own. A body that is uploaded is sent while the response is read, since the engine
 * reports progress, or refuses, before it has seen all of it.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"

#define CLIENT_API_VERSION    "1.50"
#define CLIENT_DEFAULT_SOCKET "/run/tare/tare.sock"
#define CLIENT_ANSWER_MAX     (256 * 1024 * 1024) /* a JSON answer */
#define CLIENT_LINE_MAX       (16 * 1024 * 1024)  /* one message of a stream of them */
#define CLIENT_PATH_MAX       (64 * 1024)

struct client;
struct response;

/*
 * `host` is unix://PATH, or NULL: TARE_HOST, DOCKER_HOST or the default. Does not connect. On the default socket a
 * missing engine is started by the first request, unless `may_start` is false.
 */
int client_new(const char *host, bool may_start, struct client **ret, struct err **reterr);
void client_free(struct client *client);
DEFINE_AUTOFREE(client, struct client *, client_free);

const char *client_host(const struct client *client);        /* "unix:///run/tare/tare.sock" */
const char *client_api_version(const struct client *client); /* what is spoken */

struct request {
	const char *method;
	const char *path;   /* "/containers/json?all=1", without the version */
	const json_t *body; /* or NULL */
	int upload_fd;      /* the body is what can be read from it; used if `upload` */
	bool upload;
	bool upgrade;              /* asks for a raw stream */
	const char *registry_auth; /* X-Registry-Auth, or NULL */
};

/*
 * Sends a request and reads the answer's head. A status of 400 and above is an error with the engine's message, kind by
 * status; 304 is not. The engine itself not answering is ERR_UNAVAILABLE.
 */
int client_request(struct client *client, const struct request *request, struct response **ret, struct err **reterr);

/*
 * The two halves, for several requests at once: client_send leaves the answer unread, response_wait reads its head as
 * client_request does. Each gets a connection of its own.
 */
int client_send(struct client *client, const struct request *request, struct response **ret, struct err **reterr);
int response_wait(struct response *response, struct err **reterr);

/* The whole of it: *ret, if wanted, gets the answer's JSON (NULL if it is empty), a new reference. */
int client_call(struct client *client, const char *method, const char *path, const json_t *body, json_t **ret,
	struct err **reterr);

void response_free(struct response *response);
DEFINE_AUTOFREE(response, struct response *, response_free);

int response_status(const struct response *response);
const char *response_header(const struct response *response, const char *name);

/* The next piece of the body, borrowed until the next call. Returns its length, 0 at the end, or -errno. */
ssize_t response_read(struct response *response, const char **ret_piece);
/* The rest of the body as JSON, a new reference; NULL if there is none. */
int response_json(struct response *response, json_t **ret, struct err **reterr);
/* The next of a stream of JSON values, a line each. Returns 1, 0 at the end, or -errno with *reterr. */
int response_next(struct response *response, json_t **ret, struct err **reterr);

/* Writes the rest of the body to `fd`. */
int response_copy(struct response *response, int fd, struct err **reterr);

/* For poll(2). Readable: response_read won't block for long. */
int response_fd(const struct response *response);
/* Takes the connection out, as a raw stream, with what was already read of it appended to `surplus`. */
int response_take_stream(struct response *response, struct buf *surplus);

/* Appends `before`, `name` escaped as a part of a path, and `after`. */
int client_path(struct buf *path, const char *before, const char *name, const char *after);
