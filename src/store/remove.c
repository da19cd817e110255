/*
 * Docker's rules, in its order. By name: the name goes (and digests of the same repository with its last tag); if others
 * are left, that was all. By ID: with at most one tag, all names go first. Then the image itself, if nothing stands against
 * it: child images and running containers always do; other names and stopped containers unless forced. All of it is one
 * transaction; only moving the layers to the trash comes after.
 */
#include "store/remove.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/strv.h"
#include "codec/sha256.h"
#include "spec/oci_image.h"
#include "store/collect.h"
#include "store/handle.h"
#include "store/names.h"
#include "store/store.h"

#define SHORT_ID_LENGTH 12

struct removal {
	struct store *store;
	const struct store_remove_options *options;
	struct store_removed *lines;
	size_t count;
};

struct name_row {
	char *repository;
	char *tag;    /* "" for a digest */
	char *digest; /* "" for a tag */
};

struct name_rows {
	struct name_row *rows;
	size_t count;
};

static void name_rows_finish(struct name_rows *names)
{
	for (size_t i = 0; i < names->count; i++) {
		free(names->rows[i].repository);
		free(names->rows[i].tag);
		free(names->rows[i].digest);
	}
	free(names->rows);
	*names = (struct name_rows){ 0 };
}

static int name_rows_add(struct name_rows *names, sqlite3_stmt *statement)
{
	struct name_row *rows = reallocarray(names->rows, names->count + 1, sizeof(*rows));
	struct name_row *row;

	if (!rows)
		return -1;
	names->rows = rows;
	row = &rows[names->count++];
	row->repository = strdup(db_text(statement, 0));
	row->tag = strdup(db_text(statement, 1));
	row->digest = strdup(db_text(statement, 2));
	return row->repository && row->tag && row->digest ? 0 : -1;
}

static int name_rows_read(struct store *store, const char *id, struct name_rows *names, struct err **reterr)
{
	_autostatement_ sqlite3_stmt *statement = NULL;
	int r = db_prepare(store->db, &statement, reterr,
		"SELECT repository, tag, digest FROM names WHERE image = ?1 ORDER BY repository, tag, digest", "s", id);

	while (r >= 0) {
		r = db_step(store->db, statement, reterr);
		if (r <= 0)
			break;
		if (name_rows_add(names, statement) < 0)
			r = err_oom(reterr);
	}
	return r;
}

/* At most one tag, and digests of its repository alone. */
static bool is_single_reference(const struct name_rows *names)
{
	const char *repository = NULL;
	size_t tags = 0;

	if (names->count <= 1)
		return true;
	for (size_t i = 0; i < names->count; i++) {
		if (!*names->rows[i].digest)
			tags++;
		if (repository && strcmp(repository, names->rows[i].repository) != 0)
			return false;
		repository = names->rows[i].repository;
	}
	return tags <= 1;
}

/* ---- what is told to the client */

static int tell(struct removal *removal, bool untagged, char *what, const char *image, struct err **reterr)
{
	struct store_removed *lines = reallocarray(removal->lines, removal->count + 1, sizeof(*lines));

	if (lines)
		removal->lines = lines;
	if (!lines || !what) {
		free(what);
		return err_oom(reterr);
	}
	lines[removal->count] = (struct store_removed){ .untagged = untagged, .what = what };
	snprintf(lines[removal->count].image, sizeof(lines->image), "%s", image);
	removal->count++;
	return 0;
}

void store_removed_free(struct store_removed *removed, size_t count)
{
	for (size_t i = 0; i < count; i++)
		free(removed[i].what);
	free(removed);
}

/* ---- conflicts */

static const char *short_id(const char *id)
{
	return strncmp(id, DIGEST_PREFIX, strlen(DIGEST_PREFIX)) == 0 ? store_digest_hex(id) : id;
}

printf_like(4, 5) static int conflict(const char *id, bool hard, struct err **reterr, const char *format, ...)
{
	char reason[256];
	va_list args;

	va_start(args, format);
	vsnprintf(reason, sizeof(reason), format, args);
	va_end(args);
	return err_set(reterr, ERR_CONFLICT, 0, "conflict: unable to delete %.*s (%s) - %s", SHORT_ID_LENGTH,
		short_id(id), hard ? "cannot be forced" : "must be forced", reason);
}

static bool is_used(const struct removal *removal, const char *id, bool running, char container[static 65])
{
	return removal->options->is_used &&
	       removal->options->is_used(id, running, container, removal->options->is_used_data);
}

static int check_hard(struct removal *removal, const char *id, struct err **reterr)
{
	char container[65];
	int64_t child = 0;
	int r = db_get_int(removal->store->db, 0, &child, reterr, "SELECT 1 FROM images WHERE parent = ?1 LIMIT 1", "s",
		id);

	if (r < 0)
		return r;
	if (child)
		return conflict(id, true, reterr, "image has dependent child images");
	if (is_used(removal, id, true, container))
		return conflict(id, true, reterr, "image is being used by running container %.*s", SHORT_ID_LENGTH,
			container);
	return 0;
}

static int check_soft(struct removal *removal, const char *id, size_t names, struct err **reterr)
{
	char container[65];

	if (names > 0)
		return conflict(id, false, reterr, "image is referenced in multiple repositories");
	if (is_used(removal, id, false, container))
		return conflict(id, false, reterr, "image is being used by stopped container %.*s", SHORT_ID_LENGTH,
			container);
	return 0;
}

static int check(struct removal *removal, const char *id, size_t names, bool force, struct err **reterr)
{
	int r = check_hard(removal, id, reterr);

	return r < 0 || force ? r : check_soft(removal, id, names, reterr);
}

/* ---- steps */

static int untag(struct removal *removal, const char *id, const struct name_row *name, struct err **reterr)
{
	int r = db_run(removal->store->db, reterr,
		"DELETE FROM names WHERE repository = ?1 AND tag = ?2 AND digest = ?3", "sss", name->repository,
		name->tag, name->digest);

	if (r < 0)
		return r;
	return tell(removal, true, name_format(name->repository, name->tag, name->digest), id, reterr);
}

static int untag_all(struct removal *removal, const char *id, struct err **reterr)
{
	_cleanup_(name_rows_finish) struct name_rows names = { 0 };
	int r = name_rows_read(removal->store, id, &names, reterr);

	for (size_t i = 0; r >= 0 && i < names.count; i++)
		r = untag(removal, id, &names.rows[i], reterr);
	return r;
}

/* A chain ID stands for a layer and all below it: the digest of the chain below, a blank, and the diff ID. */
static int chain_extend(char chain[static STORE_DIGEST_SIZE], const char *diff_id, struct err **reterr)
{
	_autofree_(sha256) struct sha256 *hash = sha256_new();

	if (!hash)
		return err_oom(reterr);
	if (!*chain) {
		snprintf(chain, STORE_DIGEST_SIZE, "%s", diff_id);
		return 0;
	}
	sha256_update(hash, chain, strlen(chain));
	sha256_update(hash, " ", 1);
	sha256_update(hash, diff_id, strlen(diff_id));
	sha256_digest(hash, chain);
	return 0;
}

/* Chains of those of the image's layers that are marked to go, in `chains`, the lowest first. */
static int chains_going(struct store *store, const char *id, char ***chains, struct err **reterr)
{
	_autostatement_ sqlite3_stmt *statement = NULL;
	char chain[STORE_DIGEST_SIZE] = "";
	int r = db_prepare(store->db, &statement, reterr,
		"SELECT diff_id, state FROM image_layers JOIN layers USING (diff_id) WHERE image = ?1 ORDER BY position",
		"s", id);

	while (r >= 0) {
		r = db_step(store->db, statement, reterr);
		if (r <= 0)
			break;
		r = chain_extend(chain, db_text(statement, 0), reterr);
		if (r >= 0 && sqlite3_column_int(statement, 1) == STORE_GOING && strv_append(chains, chain) < 0)
			r = err_oom(reterr);
	}
	return r;
}

static int delete_rows(struct store *store, const char *id, struct err **reterr)
{
	int r = db_run(store->db, reterr, "DELETE FROM image_layers WHERE image = ?1", "s", id);

	return r < 0 ? r : db_run(store->db, reterr, "DELETE FROM images WHERE id = ?1", "s", id);
}

static int delete_image(struct removal *removal, const char *id, struct err **reterr)
{
	_autofree_(strv) char **chains = NULL;
	int r = untag_all(removal, id, reterr);

	if (r >= 0)
		r = store_mark_image(removal->store, id, reterr);
	if (r >= 0)
		r = chains_going(removal->store, id, &chains, reterr);
	if (r >= 0)
		r = delete_rows(removal->store, id, reterr);
	if (r >= 0)
		r = tell(removal, false, strdup(id), id, reterr);
	for (size_t i = strv_count(chains); r >= 0 && i > 0; i--)
		r = tell(removal, false, strdup(chains[i - 1]), id, reterr);
	return r;
}

static int parent_of(struct store *store, const char *id, char ret[static STORE_DIGEST_SIZE], struct err **reterr)
{
	_autostatement_ sqlite3_stmt *statement = NULL;
	int r = db_prepare(store->db, &statement, reterr, "SELECT COALESCE(parent, '') FROM images WHERE id = ?1", "s",
		id);

	if (r >= 0)
		r = db_step(store->db, statement, reterr);
	if (r < 0)
		return r;
	snprintf(ret, STORE_DIGEST_SIZE, "%s", r ? db_text(statement, 0) : "");
	return 0;
}

/* Deletes an image that nothing stands against, then its parents as long as they are nameless and unused. */
static int delete_with_parents(struct removal *removal, const char *first, struct err **reterr)
{
	char id[STORE_DIGEST_SIZE], parent[STORE_DIGEST_SIZE];
	int r;

	snprintf(id, sizeof(id), "%s", first);
	for (;;) {
		_cleanup_(name_rows_finish) struct name_rows names = { 0 };
		_autofree_(err) struct err *standing = NULL;

		r = parent_of(removal->store, id, parent, reterr);
		if (r >= 0)
			r = delete_image(removal, id, reterr);
		if (r < 0 || !*parent || !removal->options->prune_parents)
			return r;
		r = name_rows_read(removal->store, parent, &names, reterr);
		if (r < 0)
			return r;
		if (check(removal, parent, names.count, false, &standing) < 0)
			return 0;
		snprintf(id, sizeof(id), "%s", parent);
	}
}

/* ---- by name, by ID */

static bool is_id_prefix(const char *id, const char *text)
{
	return strncmp(id, text, strlen(text)) == 0 || strncmp(store_digest_hex(id), text, strlen(text)) == 0;
}

/* The row that the text names; digests go with their repository. */
static int named_row(const struct name_rows *names, const char *text, const struct name_row **ret, struct err **reterr)
{
	struct reference reference;
	int r = name_parse(text, &reference, reterr);

	if (r < 0)
		return r;
	*ret = NULL;
	for (size_t i = 0; i < names->count; i++) {
		const struct name_row *row = &names->rows[i];
		const char *tag = reference.tag ? reference.tag : REFERENCE_DEFAULT_TAG;

		if (strcmp(row->repository, reference.repository) == 0 &&
			(reference.digest ? strcmp(row->digest, reference.digest) == 0
					  : !*row->digest && strcmp(row->tag, tag) == 0))
			*ret = row;
	}
	reference_finish(&reference);
	return *ret ? 0 : err_set(reterr, ERR_NOT_FOUND, 0, "No such image: %s", text);
}

/* With the last tag of a repository its digests go too. *ret_left counts the names that stay. */
static int untag_named(struct removal *removal, const char *id, const struct name_rows *names,
	const struct name_row *named, size_t *ret_left, struct err **reterr)
{
	bool other_tag = *named->digest;
	int r = untag(removal, id, named, reterr);

	*ret_left = names->count - 1;
	for (size_t i = 0; i < names->count; i++)
		if (&names->rows[i] != named && !*names->rows[i].digest &&
			strcmp(names->rows[i].repository, named->repository) == 0)
			other_tag = true;
	for (size_t i = 0; !other_tag && r >= 0 && i < names->count; i++) {
		if (&names->rows[i] == named || strcmp(names->rows[i].repository, named->repository) != 0)
			continue;
		r = untag(removal, id, &names->rows[i], reterr);
		(*ret_left)--;
	}
	return r;
}

static int remove_by_name(struct removal *removal, const char *id, const char *text, const struct name_rows *names,
	struct err **reterr)
{
	_autofree_(err) struct err *standing = NULL;
	const struct name_row *named = NULL;
	char container[65];
	size_t left;
	int r;

	r = named_row(names, text, &named, reterr);
	if (r < 0)
		return r;
	if (!removal->options->force && is_single_reference(names) &&
		(is_used(removal, id, true, container) || is_used(removal, id, false, container)))
		return err_set(reterr, ERR_CONFLICT, 0,
			"conflict: unable to remove repository reference \"%s\" (must force) - container %.*s is using its referenced image %.*s",
			text, SHORT_ID_LENGTH, container, SHORT_ID_LENGTH, short_id(id));
	r = untag_named(removal, id, names, named, &left, reterr);
	if (r < 0 || left > 0)
		return r;
	/* The name is gone as asked; what stands against the image itself leaves it there without a name. */
	if (check(removal, id, 0, removal->options->force, &standing) < 0)
		return 0;
	return delete_with_parents(removal, id, reterr);
}

static int remove_by_id(struct removal *removal, const char *id, const struct name_rows *names, struct err **reterr)
{
	size_t in_the_way = is_single_reference(names) ? 0 : names->count;
	int r = check(removal, id, in_the_way, removal->options->force, reterr);

	return r < 0 ? r : delete_with_parents(removal, id, reterr);
}

static int remove_image(struct removal *removal, const char *name, struct err **reterr)
{
	_cleanup_(db_transaction_end) struct db_transaction transaction = { 0 };
	_cleanup_(name_rows_finish) struct name_rows names = { 0 };
	char id[STORE_DIGEST_SIZE];
	int r = db_begin(removal->store->db, &transaction, reterr);

	if (r >= 0)
		r = store_image_id(removal->store, name, id, reterr);
	if (r >= 0)
		r = name_rows_read(removal->store, id, &names, reterr);
	if (r < 0)
		return r;
	r = is_id_prefix(id, name) ? remove_by_id(removal, id, &names, reterr)
				   : remove_by_name(removal, id, name, &names, reterr);
	return r < 0 ? r : db_commit(&transaction, reterr);
}

int store_image_remove(struct store *store, const char *name, const struct store_remove_options *options,
	struct store_removed **ret, size_t *ret_count, struct err **reterr)
{
	struct removal removal = { .store = store, .options = options };
	int r = remove_image(&removal, name, reterr);

	if (r < 0) {
		store_removed_free(removal.lines, removal.count);
		return r;
	}
	store_collect_later(store);
	*ret = removal.lines;
	*ret_count = removal.count;
	return 0;
}
