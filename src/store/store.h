/*
 * The store as the engine sees it: what images there are, what they are called, who holds them, and what may go.
 *
 * store.db (SQLite, WAL, synchronous=FULL: what a call here acknowledged survives a power cut) names everything; the
 * bytes lie in blobs/sha256/HEX (verified content), layers/HEX (one unpacked layer, HEX being its diff ID) below the data
 * root. The engine looks up, tags, removes and leases; blobs, layers and images are added by workers, through store/job.h.
 * Several processes may have the store open; each call is one transaction.
 *
 * Nothing here walks a tree. What is no longer reachable is renamed into trash/, and a worker empties that.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/err.h"

/* "sha256:" and 64 hex digits and the NUL. */
#define STORE_DIGEST_SIZE 72

/* Layers that one image may have: the kernel's limit on an overlay's lower folders. */
#define STORE_LAYERS_MAX 500

struct store;
struct oci_image_config; /* spec/oci_image.h */

enum store_mode {
	STORE_WORKER, /* opens, creates what is missing */
	STORE_ENGINE, /* also clears what dead workers left: see store_sweep */
};

/* Borrows `data_root_fd` for the call only. */
int store_open(int data_root_fd, enum store_mode mode, struct store **ret, struct err **reterr);
void store_free(struct store *store);
DEFINE_AUTOFREE(store, struct store *, store_free);

/*
 * Removes the traces of jobs whose worker is gone (job folders, unfinished blobs and layers, their leases) and whatever no
 * image and no lease reaches. Everything removed ends up in trash/; *ret_trash says whether that holds anything, in which
 * case the engine starts a worker with a `remove` job. Cheap: flat listings and renames. store_open does it for the
 * engine, and the engine does it after a worker has died.
 */
int store_sweep(struct store *store, bool *ret_trash, struct err **reterr);
/* Whether trash/ holds anything. */
bool store_has_trash(const struct store *store);

/* ---- images */

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

/* All of them, the newest first; filters are the caller's. Each is freed with store_image_free, the array with free, or
 * both with store_images_free. */
int store_image_list(struct store *store, struct store_image ***ret, size_t *ret_count, struct err **reterr);
void store_images_free(struct store_image **images, size_t count);

/* Entries the newest first, as `docker history` prints them. Borrows from the image; the array is the caller's to free. */
int store_image_history(const struct store_image *image, struct store_history **ret, size_t *ret_count,
	struct err **reterr);

/* Points `reference` ("repo[:tag]", tag "latest" by default) at the image found by `name`, taking it from any other. A
 * reference with a digest is refused. */
int store_image_tag(struct store *store, const char *name, const char *reference, struct err **reterr);

/* One line of the answer to DELETE /images/X. */
struct store_removed {
	bool untagged; /* else deleted */
	char *what;    /* "debian:12", "debian@sha256:...", or "sha256:..." of an image or layer chain */
	char image[STORE_DIGEST_SIZE];
};

/* Who uses an image: true, with the container's ID (64 hex digits and NUL), if any does; asks for running ones only, or
 * for those that are not. */
typedef bool store_user_fn(const char *image_id, bool running, char ret_container[static 65], void *data);

/*
 * Docker's rules for DELETE /images/NAME: a name untags, and deletes the image with its last name; an ID deletes if all
 * names are of one repository, or with `force`. Conflicts (ERR_CONFLICT) have Docker's sentences: in use by a container,
 * several repositories, child images. With `prune_parents`, nameless parents without other children go too. Layers and
 * blobs that nothing reaches any more are moved to trash/.
 */
struct store_remove_options {
	bool force;
	bool prune_parents;
	store_user_fn *is_used;
	void *is_used_data;
};
int store_image_remove(struct store *store, const char *name, const struct store_remove_options *options,
	struct store_removed **ret, size_t *ret_count, struct err **reterr);
void store_removed_free(struct store_removed *removed, size_t count);

/* ---- leases */

/*
 * A lease keeps an image's layers for a container, even after the image itself was removed. `id` is the container's; taking
 * one that exists replaces it. Create takes it before the container's row is written; a start-up compares both.
 */
int store_lease_create(struct store *store, const char *id, const char *image_id, struct err **reterr);
/* Releasing one that is not there succeeds. Layers that only it held go to trash/. */
int store_lease_release(struct store *store, const char *id, struct err **reterr);
/* IDs of all containers' leases. */
int store_lease_list(struct store *store, char ***ret, struct err **reterr);

/* Absolute paths of the layers' folders, the topmost first: the overlay's lower folders. */
int store_lease_paths(struct store *store, const char *id, char ***ret, struct err **reterr);
int store_layers_paths(struct store *store, const struct store_image *image, char ***ret, struct err **reterr);

/* ---- disk usage (GET /system/df) */

int store_layers_size(struct store *store, int64_t *ret_bytes, struct err **reterr);
