/*
 * Garbage collection: mark, then move away. A layer lives while an image or a lease names it, a blob while a layer is
 * made from it. Marking is a state in the row (the intent), committed before anything is renamed; the rename and the
 * row's end are one more transaction, so nobody can ask for the layer in between and find half of it. A crash leaves
 * marked rows, which the next call of store_collect_marked takes up.
 */
#pragma once

#include "base/err.h"
#include "store/store.h"

/* Within the caller's transaction: marks what only `lease` reaches (NULL: what nothing reaches), and its blobs. */
int store_mark(struct store *store, const char *lease, struct err **reterr);
/* Marks the layers of an image that is about to go, within the caller's transaction. */
int store_mark_image(struct store *store, const char *image_id, struct err **reterr);
/* Outside of any transaction: moves all that is marked into trash/. */
int store_collect_marked(struct store *store, struct err **reterr);
/* The same, for those whose own work is done already: what fails is logged, and the next sweep does it. */
void store_collect_later(struct store *store);
/* The same for one layer, within the caller's transaction. */
int store_collect_layer(struct store *store, const char *diff_id, struct err **reterr);
/* Moves files and folders away that no row names: a power cut may have kept a row's end and lost the rename. */
int store_collect_orphans(struct store *store, struct err **reterr);
