#include "store/collect.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/parse.h"
#include "base/strv.h"
#include "store/handle.h"
#include "store/trash.h"

#define NO_IMAGE "NOT EXISTS (SELECT 1 FROM image_layers i WHERE i.diff_id = layers.diff_id)"
#define NO_LEASE "NOT EXISTS (SELECT 1 FROM lease_layers l WHERE l.diff_id = layers.diff_id)"

/* Blobs follow their layers. Called only when a layer was marked: it looks at every blob. */
static int mark_blobs(struct store *store, struct err **reterr)
{
	return db_run(store->db, reterr,
		"UPDATE blobs SET state = 2 WHERE state = 1"
		" AND NOT EXISTS (SELECT 1 FROM layers WHERE layers.blob = blobs.digest AND layers.state <> 2)",
		"");
}

int store_mark(struct store *store, const char *lease, struct err **reterr)
{
	int r;

	if (lease)
		r = db_run(store->db, reterr,
			"UPDATE layers SET state = 2 WHERE state = 1"
			" AND diff_id IN (SELECT diff_id FROM lease_layers WHERE lease = ?1)"
			" AND NOT EXISTS (SELECT 1 FROM lease_layers l WHERE l.diff_id = layers.diff_id AND l.lease <> ?1)"
			" AND " NO_IMAGE,
			"s", lease);
	else
		r = db_run(store->db, reterr,
			"UPDATE layers SET state = 2 WHERE state = 1 AND " NO_IMAGE " AND " NO_LEASE, "");
	if (r < 0 || (lease && sqlite3_changes(store->db->handle) == 0))
		return r;
	return mark_blobs(store, reterr);
}

int store_mark_image(struct store *store, const char *image_id, struct err **reterr)
{
	int r = db_run(store->db, reterr,
		"UPDATE layers SET state = 2 WHERE state = 1"
		" AND diff_id IN (SELECT diff_id FROM image_layers WHERE image = ?1)"
		" AND NOT EXISTS (SELECT 1 FROM image_layers i WHERE i.diff_id = layers.diff_id AND i.image <> ?1)"
		" AND " NO_LEASE,
		"s", image_id);

	if (r < 0 || sqlite3_changes(store->db->handle) == 0)
		return r;
	return mark_blobs(store, reterr);
}

/* Renames what `select` lists; the rows end with the caller's DELETE in the same transaction. */
static int trash_all(struct store *store, int dirfd, const char *select, struct err **reterr)
{
	_autostatement_ sqlite3_stmt *statement = NULL;
	int r = db_prepare(store->db, &statement, reterr, select, "");

	while (r >= 0) {
		r = db_step(store->db, statement, reterr);
		if (r <= 0)
			break;
		r = store_trash(store, dirfd, store_digest_hex(db_text(statement, 0)), reterr);
	}
	return r;
}

int store_collect_marked(struct store *store, struct err **reterr)
{
	_cleanup_(db_transaction_end) struct db_transaction transaction = { 0 };
	int64_t any = 0;
	int r;

	r = db_get_int(store->db, 0, &any, reterr,
		"SELECT 1 FROM layers WHERE state = 2 UNION ALL SELECT 1 FROM blobs WHERE state = 2 LIMIT 1", "");
	if (r < 0 || !any)
		return r;
	r = db_begin(store->db, &transaction, reterr);
	if (r < 0)
		return r;
	r = trash_all(store, store->layers_fd, "SELECT diff_id FROM layers WHERE state = 2", reterr);
	if (r < 0)
		return r;
	r = trash_all(store, store->blobs_fd, "SELECT digest FROM blobs WHERE state = 2", reterr);
	if (r < 0)
		return r;
	r = db_run(store->db, reterr, "DELETE FROM layers WHERE state = 2", "");
	if (r < 0)
		return r;
	r = db_run(store->db, reterr, "DELETE FROM blobs WHERE state = 2", "");
	if (r < 0)
		return r;
	return db_commit(&transaction, reterr);
}

void store_collect_later(struct store *store)
{
	_autofree_(err) struct err *err = NULL;

	if (store_collect_marked(store, &err) < 0)
		log_warn("unreachable layers stay until the next sweep: %s", err_message(err));
}

int store_collect_layer(struct store *store, const char *diff_id, struct err **reterr)
{
	int r = store_trash(store, store->layers_fd, store_digest_hex(diff_id), reterr);

	if (r < 0)
		return r;
	return db_run(store->db, reterr, "DELETE FROM layers WHERE diff_id = ?1 AND state = 2", "s", diff_id);
}

/* The names are listed first and looked up afterwards: a worker writes its row before it makes the name. */
static int collect_orphans_in(struct store *store, int dirfd, const char *select, struct err **reterr)
{
	_cleanup_(db_transaction_end) struct db_transaction transaction = { 0 };
	_autofree_(strv) char **names = NULL;
	int r = store_list_names(dirfd, &names, reterr);

	if (r < 0)
		return r;
	r = db_begin(store->db, &transaction, reterr);
	if (r < 0)
		return r;
	strv_foreach (name, names) {
		char digest[DIGEST_SIZE];
		int64_t known = 0;

		if (is_hex(*name, 64)) {
			snprintf(digest, sizeof(digest), DIGEST_PREFIX "%s", *name);
			r = db_get_int(store->db, 0, &known, reterr, select, "s", digest);
			if (r < 0)
				return r;
		}
		if (known)
			continue;
		r = store_trash(store, dirfd, *name, reterr);
		if (r < 0)
			return r;
	}
	return db_commit(&transaction, reterr);
}

int store_collect_orphans(struct store *store, struct err **reterr)
{
	int r = collect_orphans_in(store, store->layers_fd, "SELECT 1 FROM layers WHERE diff_id = ?1", reterr);

	if (r < 0)
		return r;
	return collect_orphans_in(store, store->blobs_fd, "SELECT 1 FROM blobs WHERE digest = ?1", reterr);
}
