/*
 * The store: blobs, layers and images on disk, and store.db that names them.
 *
 * store.db (SQLite, WAL, synchronous=FULL: what a call acknowledged survives a power cut) says what there is; the bytes
 * lie in blobs/sha256/HEX (verified content) and layers/HEX (one unpacked layer, HEX being its diff ID) below the data
 * root. The engine looks up, tags, removes and leases; blobs, layers and images are added by workers (store/job.h).
 * Several processes may have the store open; each call is a transaction of its own.
 *
 * Nothing here walks a tree. What is no longer reachable is renamed into trash/, and a worker empties that.
 */
#pragma once

#include <stdbool.h>

#include "base/cleanup.h"
#include "base/err.h"

/* What the engine uses of the store, in one place. */
#include "store/image.h"
#include "store/lease.h"
#include "store/remove.h"

struct store;

enum store_mode {
	STORE_WORKER, /* opens, creates what is missing */
	STORE_ENGINE, /* also clears what dead workers left (store_sweep); fails with EUCLEAN if store.db is not this store's */
};

/* Borrows `data_root_fd` for the call only. */
int store_open(int data_root_fd, enum store_mode mode, struct store **ret, struct err **reterr);
void store_free(struct store *store);
DEFINE_AUTOFREE(store, struct store *, store_free);

/*
 * Removes the traces of jobs whose worker is gone (job folders, unfinished blobs and layers, their leases), downloads that
 * nobody went on with, and whatever no image and no lease reaches. Everything removed ends up in trash/; *ret_trash says whether that holds anything, in which
 * case the engine starts a worker with a `remove` job. Cheap: flat listings and renames. store_open does it for the
 * engine, and the engine does it after a worker has died.
 */
int store_sweep(struct store *store, bool *ret_trash, struct err **reterr);
/* Whether trash/ holds anything. */
bool store_has_trash(const struct store *store);

/* Bytes of all unpacked layers (GET /system/df). */
int store_layers_size(struct store *store, int64_t *ret_bytes, struct err **reterr);
/* The same with what they came in: all that images take. */
int store_images_size(struct store *store, int64_t *ret_bytes, struct err **reterr);
