/*
 * Users' passwords for registries, where Docker's command keeps them: config.json in $DOCKER_CONFIG (else ~/.docker), or the
 * credential helper that it names for a server (credHelpers) or for all (credsStore). What else the file says stays as it is.
 */
#pragma once

#include <stdbool.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"

struct credentials {
	char *username;       /* NULL: nothing is known of this server */
	char *password;       /* or NULL */
	char *identity_token; /* or NULL */
};

/* Wipes them. */
void credentials_finish(struct credentials *credentials);

/* Under which name those for `registry` ("docker.io", "host:port") are kept. It, or a constant. */
const char *credentials_server(const char *registry);

/* `server`: such a name. No file is no credentials. */
int credentials_get(const char *server, struct credentials *ret, struct err **reterr);
/* *ret_plain gets the path of the file if they lie in it unencrypted, else NULL. */
int credentials_store(const char *server, const struct credentials *credentials, char **ret_plain, struct err **reterr);
/* *ret_known: whether there were any. */
int credentials_erase(const char *server, bool *ret_known, struct err **reterr);

/* The value of X-Registry-Auth for `registry` ("docker.io", "host:port"); `out` stays empty if nothing is known of it. */
int credentials_header(const char *registry, struct buf *out, struct err **reterr);
/* The same for the registry that an image's name begins with. */
int credentials_of_image(const char *image, struct buf *out, struct err **reterr);
#define CREDENTIALS_HEADER_MAX (32 * 1024)
