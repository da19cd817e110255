/* What the files of this folder share of one session (registry.h). */
#pragma once

#include <curl/curl.h>

#include "base/list.h"
#include "registry/challenge.h"
#include "registry/origin.h"
#include "registry/registry.h"

/* X-Registry-Auth: base64 of a JSON object. Secrets: wiped when freed, never in a message. */
struct credentials {
	char *username;
	char *password;
	char *auth; /* base64 "user:password", of old */
	char *identity_token;
	char *registry_token;
};

int credentials_read(const char *header, struct credentials *out, struct err **reterr);
int credentials_copy(const struct handover_auth *login, struct credentials *out, struct err **reterr);
void credentials_finish(struct credentials *credentials);

struct registry {
	CURLM *multi;
	char *host; /* "docker.io" */
	char *path; /* "library/debian" */
	const struct handover_registry *settings;
	registry_cancelled_fn *cancelled;
	void *cancelled_user;
	bool pushes;
	char *const *sources;

	struct endpoint *endpoints;
	size_t endpoint_count;
	size_t chosen; /* the one that answers */
	bool probed;
	struct origin origin; /* of the chosen one */

	struct credentials credentials;
	bool login; /* nothing else is done here: what does not need the credentials proves nothing */
	bool basic; /* the registry wants user and password */
	char *token;
	int64_t token_until_ms; /* CLOCK_MONOTONIC */
	unsigned token_number;  /* counts them: who failed with an older one tries this one first */

	struct list exchanges;
	uint64_t happened; /* steps taken so far: a wait ends when it grows */
};

/* The endpoint is found first: the one that answers at all. */
int session_probe(struct registry *registry, struct err **reterr);
/* Leaves the endpoint for the next (a mirror that fails). -ENOENT and no error when it was the last. */
int session_next_endpoint(struct registry *registry);
bool session_cancelled(const struct registry *registry);
/* What every request has: limits, TLS of the host, proxies. */
int session_setup(struct registry *registry, CURL *easy, const char *url, bool verify, struct err **reterr);
/*
 * For an address that somebody else than the user has named: connections to link-local addresses fail with
 * CURLE_COULDNT_CONNECT. Cloud hosts keep secrets there, which no registry shall make us fetch.
 */
void session_refuse_link_local(CURL *easy);

/* ---- authorisation (auth.c) */

/* Answers what the registry asked for: afterwards auth_header has something new. `token_number`: the token that was
 * refused. ERR_UNAUTHORIZED when there is nothing more to try. */
int auth_answer(struct registry *registry, const struct challenge *challenge, unsigned token_number,
	struct err **reterr);
/* "Authorization: ..." for the session's own origin, *ret NULL if there is none. A secret, freed by the caller. */
int auth_header(const struct registry *registry, char **ret);
