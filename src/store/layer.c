#include "store/layer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include <sys/stat.h>

#include "store/collect.h"
#include "store/handle.h"
#include "store/trash.h"

/* The job's lease keeps it from now on. */
static int hold(struct job *job, const char *diff_id, struct err **reterr)
{
	return db_run(job_store(job)->db, reterr,
		"INSERT INTO lease_layers (lease, position, diff_id)"
		" SELECT ?1, (SELECT COALESCE(MAX(position), 0) + 1 FROM lease_layers WHERE lease = ?1), ?2"
		" WHERE NOT EXISTS (SELECT 1 FROM lease_layers WHERE lease = ?1 AND diff_id = ?2)",
		"ss", job_id(job), diff_id);
}

static int claim_new(struct job *job, const char *diff_id, struct err **reterr)
{
	return db_run(job_store(job)->db, reterr, "INSERT INTO layers (diff_id, state, job) VALUES (?1, ?2, ?3)", "sis",
		diff_id, (int64_t)STORE_INCOMPLETE, job_id(job));
}

/* One look, within the transaction; *ret_owner becomes the job that is making it. */
static int claim_once(struct job *job, const char *diff_id, enum layer_claim *ret, char owner[static JOB_ID_SIZE],
	struct err **reterr)
{
	struct store *store = job_store(job);
	_autostatement_ sqlite3_stmt *statement = NULL;
	int r;

	r = db_prepare(store->db, &statement, reterr, "SELECT state, job FROM layers WHERE diff_id = ?1", "s", diff_id);
	if (r < 0)
		return r;
	r = db_step(store->db, statement, reterr);
	if (r < 0)
		return r;
	*ret = LAYER_MINE;
	if (r == 0)
		return claim_new(job, diff_id, reterr);
	switch ((enum store_state)sqlite3_column_int(statement, 0)) {
	case STORE_READY: *ret = LAYER_READY; return hold(job, diff_id, reterr);
	case STORE_GOING:
		r = store_collect_layer(store, diff_id, reterr);
		return r < 0 ? r : claim_new(job, diff_id, reterr);
	case STORE_INCOMPLETE:
	default:
		snprintf(owner, JOB_ID_SIZE, "%s", db_text(statement, 1));
		*ret = LAYER_BUSY;
		return 0;
	}
}

static int claim_transaction(struct job *job, const char *diff_id, enum layer_claim *ret,
	char owner[static JOB_ID_SIZE], struct err **reterr)
{
	_cleanup_(db_transaction_end) struct db_transaction transaction = { 0 };
	int r = db_begin(job_store(job)->db, &transaction, reterr);

	if (r < 0)
		return r;
	r = claim_once(job, diff_id, ret, owner, reterr);
	if (r < 0)
		return r;
	return db_commit(&transaction, reterr);
}

int layer_claim(struct job *job, const char *diff_id, enum layer_claim *ret, struct err **reterr)
{
	char owner[JOB_ID_SIZE] = "";
	int r = claim_transaction(job, diff_id, ret, owner, reterr);

	if (r < 0 || *ret != LAYER_BUSY)
		return r;
	if (job_is_alive(job_store(job), owner))
		return 0;
	r = job_discard(job_store(job), owner, reterr);
	if (r < 0)
		return r;
	return claim_transaction(job, diff_id, ret, owner, reterr);
}

static int hold_image(struct job *job, const char *image_id, struct err **reterr)
{
	struct db *db = job_store(job)->db;
	int64_t known = 0;
	int r = db_get_int(db, 0, &known, reterr, "SELECT 1 FROM images WHERE id = ?1", "s", image_id);

	if (r < 0)
		return r;
	if (!known)
		return err_set(reterr, ERR_NOT_FOUND, 0, "No such image: %s", image_id);
	return db_run(db, reterr,
		"INSERT INTO lease_layers (lease, position, diff_id)"
		" SELECT ?1, (SELECT COALESCE(MAX(position), 0) + 1 FROM lease_layers WHERE lease = ?1) + position, diff_id"
		" FROM image_layers WHERE image = ?2",
		"ss", job_id(job), image_id);
}

int layer_hold_image(struct job *job, const char *image_id, struct err **reterr)
{
	_cleanup_(db_transaction_end) struct db_transaction transaction = { 0 };
	int r = db_begin(job_store(job)->db, &transaction, reterr);

	if (r >= 0)
		r = hold_image(job, image_id, reterr);
	return r < 0 ? r : db_commit(&transaction, reterr);
}

/* Intent, link, and the folder's sync; a name that is there already has no row and is a crash's leftover. */
static int place_blob(struct job *job, const struct layer_content *content, struct err **reterr)
{
	struct store *store = job_store(job);
	const char *hex = store_digest_hex(content->blob_digest);
	int64_t known = 0;
	int r;

	r = db_get_int(store->db, 0, &known, reterr, "SELECT 1 FROM blobs WHERE digest = ?1 AND state = 1", "s",
		content->blob_digest);
	if (r < 0 || known)
		return r;
	r = db_run(store->db, reterr, "INSERT OR REPLACE INTO blobs (digest, size, state, job) VALUES (?1, ?2, ?3, ?4)",
		"siis", content->blob_digest, content->blob_size_bytes, (int64_t)STORE_INCOMPLETE, job_id(job));
	if (r < 0)
		return r;
	if (fchown(content->blob_fd, 0, 0) < 0 || fchmod(content->blob_fd, 0600) < 0 || fsync(content->blob_fd) < 0)
		return err_errno(reterr, -errno, "cannot write blob %s", content->blob_digest);
	r = store_trash(store, store->blobs_fd, hex, reterr);
	if (r < 0)
		return r;
	if (linkat(content->blob_fd, "", store->blobs_fd, hex, AT_EMPTY_PATH) < 0 || fsync(store->blobs_fd) < 0)
		return err_errno(reterr, -errno, "cannot store blob %s", content->blob_digest);
	return 0;
}

static int place_tree(struct job *job, const char *diff_id, const struct layer_content *content, struct err **reterr)
{
	struct store *store = job_store(job);
	const char *hex = store_digest_hex(diff_id);
	int r;

	if (!content->synced && syncfs(store->layers_fd) < 0)
		return err_errno(reterr, -errno, "cannot write layer %s", diff_id);
	r = store_trash(store, store->layers_fd, hex, reterr);
	if (r < 0)
		return r;
	if (renameat2(job_folder(job), content->folder, store->layers_fd, hex, RENAME_NOREPLACE) < 0 ||
		fsync(store->layers_fd) < 0)
		return err_errno(reterr, -errno, "cannot store layer %s", diff_id);
	return 0;
}

int layer_commit(struct job *job, const char *diff_id, const struct layer_content *content, struct err **reterr)
{
	struct db *db = job_store(job)->db;
	_cleanup_(db_transaction_end) struct db_transaction transaction = { 0 };
	int r;

	r = place_blob(job, content, reterr);
	if (r < 0)
		return r;
	r = place_tree(job, diff_id, content, reterr);
	if (r < 0)
		return r;

	r = db_begin(db, &transaction, reterr);
	if (r < 0)
		return r;
	r = db_run(db, reterr,
		"UPDATE layers SET state = 1, job = NULL, size = ?2, opaque = ?3, blob = ?4 WHERE diff_id = ?1", "siis",
		diff_id, content->size_bytes, (int64_t)content->opaque_root, content->blob_digest);
	if (r < 0)
		return r;
	r = db_run(db, reterr, "UPDATE blobs SET state = 1, job = NULL WHERE digest = ?1", "s", content->blob_digest);
	if (r < 0)
		return r;
	r = hold(job, diff_id, reterr);
	if (r < 0)
		return r;
	return db_commit(&transaction, reterr);
}
