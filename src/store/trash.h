/* trash/: where everything goes that is to be deleted, in one rename; a worker deletes it at leisure. */
#pragma once

#include "base/err.h"
#include "store/store.h"

/* Moves `name` below `dirfd` away. What is not there is gone already. */
int store_trash(struct store *store, int dirfd, const char *name, struct err **reterr);

/* The folder itself, for who empties it; borrowed. */
int store_trash_folder(const struct store *store);
