/*
 * Where requests go: (scheme, host, port), to which credentials and TLS settings belong. URLs are taken apart by libcurl's own
 * parser, so that what was judged is what is connected to.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "spec/handover.h"

struct origin {
	char *scheme; /* "https" or "http" */
	char *host;   /* without brackets; lower case */
	char *port;
};
void origin_finish(struct origin *origin);

/* Of an absolute http or https URL without user information: 0, -EINVAL (anything else) or -ENOMEM. */
int origin_of(const char *url, struct origin *out);
bool origin_equal(const struct origin *a, const struct origin *b);
/* What `reference` means seen from `base`, as a whole URL: 0, -EINVAL, -ENOMEM. */
int origin_resolve(const char *base, const char *reference, char **ret);

/* "localhost", 127.0.0.0/8, ::1 */
bool host_is_loopback(const char *host);
/* The same name, or under the same registrable domain ("auth.example.co.uk" and "r.example.co.uk"). Addresses only equal
 * themselves. */
bool host_is_related(const char *a, const char *b);
/* Named in the list, by "host", "host:port" or, for an address, a CIDR. */
bool host_is_listed(const char *host, const char *host_port, char *const *list);

/* One place where the repository may be found. */
struct endpoint {
	char *base;     /* "https://registry-1.docker.io", without a final slash */
	bool verify;    /* false: any certificate is taken */
	bool is_mirror; /* no credentials go there */
};

/* All of them for a registry ("docker.io", "host:5000"), in the order to try. *ret is calloc'ed. */
int endpoints_of(const char *registry, const struct handover_registry *settings, struct endpoint **ret,
	size_t *ret_count, struct err **reterr);
void endpoints_free(struct endpoint *endpoints, size_t count);
