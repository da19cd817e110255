/* Making a container for `create` and `run`. */
#pragma once

#include "base/err.h"
#include "cli/command.h"
#include "cli/container_config.h"

/*
 * Reads the invocation's container_options and arguments into the request's body. An error here is one of usage.
 * Returns a new reference in *ret.
 */
int create_prepare(const struct invocation *invocation, struct container_streams *ret_streams, json_t **ret,
	struct err **reterr);

/* Sends it, pulling the image if that is what --pull says; prints warnings; writes --cidfile. *ret_id is a new
 * string. */
int create_container(const struct invocation *invocation, json_t *body, char **ret_id, struct err **reterr);

/* Prints "tare: message", points at --help, and returns `code`. */
int create_fail(const struct invocation *invocation, const struct err *err, int code);
