#include "store/lease.h"

#include <errno.h>

#include "base/strv.h"
#include "store/collect.h"
#include "store/handle.h"
#include "store/store.h"

static int lease_write(struct store *store, const char *id, const char *image_id, struct err **reterr)
{
	int64_t known = 0;
	int r;

	r = db_get_int(store->db, 0, &known, reterr, "SELECT 1 FROM images WHERE id = ?1", "s", image_id);
	if (r < 0)
		return r;
	if (!known)
		return err_set(reterr, ERR_NOT_FOUND, 0, "No such image: %s", image_id);
	r = db_run(store->db, reterr, "INSERT OR REPLACE INTO leases (id, kind) VALUES (?1, ?2)", "si", id,
		(int64_t)STORE_LEASE_CONTAINER);
	if (r < 0)
		return r;
	r = db_run(store->db, reterr, "DELETE FROM lease_layers WHERE lease = ?1", "s", id);
	if (r < 0)
		return r;
	return db_run(store->db, reterr,
		"INSERT INTO lease_layers (lease, position, diff_id)"
		" SELECT ?1, position, diff_id FROM image_layers WHERE image = ?2",
		"ss", id, image_id);
}

int store_lease_create(struct store *store, const char *id, const char *image_id, bool durable, struct err **reterr)
{
	_cleanup_(db_transaction_end) struct db_transaction transaction = { 0 };
	db_set_durable(store->db, durable);
	int r = db_begin(store->db, &transaction, reterr);

	if (r >= 0)
		r = lease_write(store, id, image_id, reterr);
	if (r >= 0)
		r = db_commit(&transaction, reterr);
	db_set_durable(store->db, true);
	return r;
}

static int lease_delete(struct store *store, const char *id, struct err **reterr)
{
	_cleanup_(db_transaction_end) struct db_transaction transaction = { 0 };
	int r = db_begin(store->db, &transaction, reterr);

	if (r >= 0)
		r = store_mark(store, id, reterr);
	if (r >= 0)
		r = db_run(store->db, reterr, "DELETE FROM lease_layers WHERE lease = ?1", "s", id);
	if (r >= 0)
		r = db_run(store->db, reterr, "DELETE FROM leases WHERE id = ?1", "s", id);
	if (r >= 0)
		r = db_commit(&transaction, reterr);
	return r;
}

/* Not durable: a release that a power cut undoes is found again when the engine compares leases and containers. */
int store_lease_release(struct store *store, const char *id, struct err **reterr)
{
	db_set_durable(store->db, false);
	int r = lease_delete(store, id, reterr);

	db_set_durable(store->db, true);
	if (r >= 0)
		store_collect_later(store);
	return r;
}

int store_lease_list(struct store *store, char ***ret, struct err **reterr)
{
	_autostatement_ sqlite3_stmt *statement = NULL;
	_autofree_(strv) char **ids = NULL;
	int r = db_prepare(store->db, &statement, reterr, "SELECT id FROM leases WHERE kind = ?1", "i",
		(int64_t)STORE_LEASE_CONTAINER);

	while (r >= 0) {
		r = db_step(store->db, statement, reterr);
		if (r <= 0)
			break;
		if (strv_append(&ids, db_text(statement, 0)) < 0)
			r = err_oom(reterr);
	}
	if (r < 0)
		return r;
	*ret = TAKE(ids);
	return 0;
}

int store_lease_size(struct store *store, const char *id, int64_t *ret_bytes, struct err **reterr)
{
	return db_get_int(store->db, 0, ret_bytes, reterr,
		"SELECT COALESCE(SUM(size), 0) FROM lease_layers JOIN layers USING (diff_id) WHERE lease = ?1", "s",
		id);
}

/*
 * From the topmost down; nothing below a layer whose root is opaque is seen, and overlay itself does not look for that
 * mark on the root of a lower folder.
 */
static int layers_paths(struct store *store, const char *select, const char *id, char ***ret, struct err **reterr)
{
	_autorest_ sqlite3_stmt *statement = NULL;
	_autofree_(strv) char **paths = NULL;
	int r = db_prepare_kept(store->db, &statement, reterr, select, "s", id);

	while (r >= 0) {
		r = db_step(store->db, statement, reterr);
		if (r <= 0)
			break;
		if (strv_appendf(&paths, "%s/layers/%s", store->root, store_digest_hex(db_text(statement, 0))) < 0)
			return err_oom(reterr);
		if (sqlite3_column_int(statement, 1))
			break;
	}
	if (r < 0)
		return r;
	*ret = TAKE(paths);
	return 0;
}

int store_lease_paths(struct store *store, const char *id, char ***ret, struct err **reterr)
{
	int64_t known = 0;
	int r = db_get_int(store->db, 0, &known, reterr, "SELECT 1 FROM leases WHERE id = ?1", "s", id);

	if (r < 0)
		return r;
	if (!known)
		return err_set(reterr, ERR_NOT_FOUND, 0, "the layers of container %s are not held any more", id);
	return layers_paths(store,
		"SELECT diff_id, opaque FROM lease_layers JOIN layers USING (diff_id) WHERE lease = ?1 ORDER BY position DESC",
		id, ret, reterr);
}

int store_layers_paths(struct store *store, const struct store_image *image, char ***ret, struct err **reterr)
{
	return layers_paths(store,
		"SELECT diff_id, opaque FROM image_layers JOIN layers USING (diff_id) WHERE image = ?1 ORDER BY position DESC",
		image->id, ret, reterr);
}
