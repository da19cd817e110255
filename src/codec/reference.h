/*
 * Names of images: "debian", "debian:12", "host:5000/team/app:1.0@sha256:HEX". The grammar is the distribution project's;
 * Docker's short forms are filled in ("debian" is "docker.io/library/debian") and taken away again for people.
 */
#pragma once

#define REFERENCE_NAME_MAX 255 /* of the repository, domain included */
#define REFERENCE_TAG_MAX  128

struct reference {
	char *repository; /* in full: "docker.io/library/debian", "host:5000/team/app" */
	char *tag;        /* NULL if absent: what that means is the caller's */
	char *digest;     /* "sha256:HEX", NULL if absent */
};

/* The tag that a name without one means. */
#define REFERENCE_DEFAULT_TAG "latest"

/* Returns 0, -ENOMEM, or -EINVAL and Docker's words for what is wrong, a constant, in *ret_problem (may be NULL). */
int reference_parse(const char *text, struct reference *out, const char **ret_problem);
void reference_finish(struct reference *reference);

/* The short form of a repository in full: "debian". Points into it. */
const char *reference_familiar(const char *repository);

#define REFERENCE_HUB "docker.io"

/* The registry that a server's address names, as repositories begin with it: "https://index.docker.io/v1/" and none at all (NULL
 * too) are "docker.io", "http://host:5000/v2/" is "host:5000". Returns a copy, NULL out of memory. */
char *reference_registry(const char *address);
