/* What the files of this folder share: the open store, and the states of what lies in it. */
#pragma once

#include <stdbool.h>

#include "base/err.h"
#include "codec/digest.h"
#include "store/db.h"

struct store {
	struct db *db;
	char *root;   /* absolute path of the data root, for those who mount */
	int blobs_fd; /* blobs/sha256 */
	int layers_fd;
	int tmp_fd;
	int partial_fd;
	int trash_fd;
};

/*
 * `state` of a blob or layer. The row is written before the folder or file exists and deleted after it has gone, so at
 * any moment every name on disk has a row that says what to do with it after a crash.
 */
enum store_state {
	STORE_INCOMPLETE = 0, /* being made by the job in `job`; nobody else looks at it */
	STORE_READY = 1,
	STORE_GOING = 2, /* unreachable: to be renamed into trash/ */
};

/* `kind` of a lease. */
enum store_lease_kind { STORE_LEASE_CONTAINER = 0, STORE_LEASE_JOB = 1 };

/* The file name in blobs/sha256, layers or partial. */
const char *store_digest_hex(const char *digest);
/* Names of what is in a folder, in no order. */
int store_list_names(int dirfd, char ***ret, struct err **reterr);
