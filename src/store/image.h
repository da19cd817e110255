/*
 * Images: a config, the layers it names, and what people call it. An image's ID is the digest of its config's bytes. The
 * config is the image author's text: data to show and to run by, never something that steers the engine.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "codec/digest.h"

/* IDs of images and layers are digests as text. */
#define STORE_DIGEST_SIZE DIGEST_SIZE

/* Layers that one image may have: the kernel's limit on an overlay's lower folders. */
#define STORE_LAYERS_MAX 500

struct store;
struct oci_image_config; /* spec/oci_image.h */

struct store_history {
	const char *id; /* "sha256:..." for the top entry, else "<missing>"; borrowed from the image */
	int64_t created_ns;
	const char *created_by; /* never NULL; borrowed from the image's config */
	const char *comment;    /* likewise */
	int64_t size_bytes;     /* of the layer it made; 0 for empty ones */
};

struct store_image {
	char id[STORE_DIGEST_SIZE];     /* digest of the config's bytes: "sha256:HEX" */
	char parent[STORE_DIGEST_SIZE]; /* "" if none */
	char **repo_tags;               /* as people write them, "debian:12", sorted; NULL when dangling */
	char **repo_digests;            /* "debian@sha256:HEX" */
	char **diff_ids;                /* "sha256:HEX", the lowest first */
	int64_t *layer_sizes;           /* unpacked bytes, one per diff ID */
	size_t layer_count;
	struct oci_image_config *config;
	char *config_text; /* the bytes that `id` is the digest of */
	size_t config_len;
	int64_t size_bytes;     /* unpacked: sum of the layers */
	int64_t created_ns;     /* CLOCK_NEVER if the config does not say */
	int64_t last_tagged_ns; /* CLOCK_NEVER if never */
};

void store_image_free(struct store_image *image);
DEFINE_AUTOFREE(store_image, struct store_image *, store_image_free);

/*
 * Finds by name ("debian", "debian:12", "host:5000/a/b@sha256:..."), by full ID with or without "sha256:", or by a
 * unique prefix of the ID. ERR_NOT_FOUND: "No such image: X"; ERR_INVALID for a name that can't be one and for an
 * ambiguous prefix ("Multiple IDs found with provided prefix: X").
 */
int store_image_find(struct store *store, const char *name, struct store_image **ret, struct err **reterr);
/* The same without names and layers, for those whom the configuration is enough. */
int store_image_find_config(struct store *store, const char *name, struct store_image **ret, struct err **reterr);

/* Only the ID, by the same rules. */
int store_image_id(struct store *store, const char *name, char ret_id[static STORE_DIGEST_SIZE], struct err **reterr);

/* All of them, the newest first; filters are the caller's. Each is freed with store_image_free, the array with free, or
 * both with store_images_free. */
int store_image_list(struct store *store, struct store_image ***ret, size_t *ret_count, struct err **reterr);
void store_images_free(struct store_image **images, size_t count);

/* Entries the newest first, as `docker history` prints them. Borrows from the image; the array is the caller's to free. */
int store_image_history(const struct store_image *image, struct store_history **ret, size_t *ret_count,
	struct err **reterr);

/* Points `reference_text` ("repo[:tag]", tag "latest" by default) at the image found by `name`, taking it from any other. A
 * reference with a digest is refused. */
int store_image_tag(struct store *store, const char *name, const char *reference_text, struct err **reterr);

/* Tags that a repository (in full) has, sorted. */
int store_image_tags(struct store *store, const char *repository, char ***ret, struct err **reterr);
