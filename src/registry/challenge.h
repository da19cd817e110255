/*
 * What a registry asks for: the header WWW-Authenticate (RFC 9110, 11.6.1), which holds one or more challenges, each a scheme
 * and its parameters. It comes from a stranger: lengths are bounded, quoted strings unquoted, control characters refused.
 */
#pragma once

#include <stdbool.h>

#define CHALLENGE_TEXT_MAX (16 * 1024)

struct challenge {
	bool basic;    /* the scheme is offered */
	bool bearer;   /* likewise; then there is a realm */
	char *realm;   /* of Bearer: the token server's URL */
	char *service; /* may be NULL */
	char *scope;   /* may be NULL */
	char *error;   /* "invalid_token", "insufficient_scope"; may be NULL */
};

/* Adds what one header's value offers to the zeroed or partly filled `out`; the first Bearer counts. Returns 0, -ENOMEM or
 * -EINVAL (a text that is no challenge; what was read before it stays). */
int challenge_parse(const char *text, struct challenge *out);
void challenge_finish(struct challenge *challenge);
