/*
 * Routes: method and path to handler. A pattern is segments between slashes; "{}" matches one segment, "{*}" one or more
 * (image names have slashes) and is followed by at most one literal segment.
 */
#pragma once

#include <stddef.h>

#include "base/err.h"

struct request;

typedef void route_handler(struct request *request);

enum route_flags {
	ROUTE_UNREAD = 1 << 0, /* the body is not read here: it goes on to whoever the connection is handed to */
};

struct route {
	const char *method; /* GET also serves HEAD */
	const char *pattern;
	int min_minor; /* first API version that has it; 0: all */
	unsigned flags;
	route_handler *handler;
};

struct route_table {
	const struct route *routes;
	size_t count;
};

#define ROUTE_TABLE(routes_)                     \
 {                                               \
  (routes_), sizeof(routes_) / sizeof *(routes_) \
 }

/*
 * Takes "/v1.44" off *path. Returns 0 and the minor version (the newest one without a prefix), or ERR_INVALID with
 * Docker's sentence for one that is too old or too new.
 */
int route_version(const char **path, int *ret_minor, struct err **reterr);

/*
 * Finds the route; `params` get heap strings. ERR_NOT_FOUND "page not found" if none matches in that version, be it for the
 * method alone: Docker has no 405.
 */
int route_find(const struct route_table *const *tables, size_t table_count, const char *method, const char *path,
	int minor, const struct route **ret_route, char **params, struct err **reterr);
