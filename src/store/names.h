/* Names of images as rows: repository in full, tag or digest ("" where not), image ID. */
#pragma once

#include "base/err.h"
#include "codec/reference.h"
#include "store/store.h"

/* reference_parse with the answer a client gets; `text` is quoted in it. */
int name_parse(const char *text, struct reference *out, struct err **reterr);
/* The same for something to be tagged: no digest, the default tag filled in. */
int name_parse_tag(const char *text, struct reference *out, struct err **reterr);

/* What people write: "debian:12", "debian@sha256:HEX". NULL when out of memory. */
char *name_format(const char *repository, const char *tag, const char *digest);

/* The image's ID of that name, or "" if there is none. */
int name_lookup(struct store *store, const char *repository, const char *tag, const char *digest,
	char ret_id[static STORE_DIGEST_SIZE], struct err **reterr);
/* All tags of a repository, as name_format has them, in their order. */
int names_of_repository(struct store *store, const char *repository, char ***ret, struct err **reterr);
/* Within the caller's transaction: points it at the image, and notes the time. */
int name_point(struct store *store, const struct reference *reference, const char *image_id, struct err **reterr);
