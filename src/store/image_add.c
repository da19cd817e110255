#include "store/image_add.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/strv.h"
#include "codec/sha256.h"
#include "spec/oci_image.h"
#include "store/handle.h"
#include "store/names.h"

static int image_id(const char *config, size_t len, char out[static STORE_DIGEST_SIZE], struct err **reterr)
{
	_autofree_(sha256) struct sha256 *hash = sha256_new();

	if (!hash)
		return err_oom(reterr);
	sha256_update(hash, config, len);
	sha256_digest(hash, out);
	return 0;
}

static int insert_layers(struct db *db, const char *id, char *const *diff_ids, struct err **reterr)
{
	int64_t position = 0;

	strv_foreach (diff_id, diff_ids) {
		int64_t ready = 0;
		int r = db_get_int(db, 0, &ready, reterr, "SELECT 1 FROM layers WHERE diff_id = ?1 AND state = 1", "s",
			*diff_id);

		if (r < 0)
			return r;
		if (!ready)
			return err_set(reterr, ERR_INVALID, 0, "layer %s of image %s is missing", *diff_id, id);
		r = db_run(db, reterr, "INSERT INTO image_layers (image, position, diff_id) VALUES (?1, ?2, ?3)", "sis",
			id, position++, *diff_id);
		if (r < 0)
			return r;
	}
	return 0;
}

static int insert_image(struct db *db, const char *text, size_t len, const struct oci_image_config *config,
	struct image_added *added, struct err **reterr)
{
	int64_t known = 0, created = CLOCK_NEVER;
	int r;

	r = db_get_int(db, 0, &known, reterr, "SELECT 1 FROM images WHERE id = ?1", "s", added->id);
	if (r < 0)
		return r;
	added->existed = added->unchanged = known;
	if (known)
		return 0;
	if (config->created && clock_parse_rfc3339(config->created, &created) < 0)
		created = CLOCK_NEVER;
	r = db_run(db, reterr, "INSERT INTO images (id, config, created, tagged) VALUES (?1, ?2, ?3, ?4)", "sbii",
		added->id, text, len, created, CLOCK_NEVER);
	if (r < 0)
		return r;
	return insert_layers(db, added->id, config->rootfs.diff_ids, reterr);
}

static int add_name(struct store *store, const char *name, struct image_added *added, struct err **reterr)
{
	char old[STORE_DIGEST_SIZE];
	struct reference reference;
	bool digest = strchr(name, '@');
	int r = digest ? name_parse(name, &reference, reterr) : name_parse_tag(name, &reference, reterr);

	if (r < 0)
		return r;
	r = name_lookup(store, reference.repository, digest ? "" : reference.tag, digest ? reference.digest : "", old,
		reterr);
	if (r >= 0 && strcmp(old, added->id) != 0)
		added->unchanged = false;
	if (r >= 0 && *old && !digest && strcmp(old, added->id) != 0)
		if (strv_appendf(&added->renamed, "%s:%s %s", reference_familiar(reference.repository), reference.tag,
			    old) < 0)
			r = err_oom(reterr);
	if (r >= 0)
		r = name_point(store, &reference, added->id, reterr);
	reference_finish(&reference);
	return r;
}

static int add(struct store *store, const char *text, size_t len, const struct oci_image_config *config,
	char *const *names, struct image_added *added, struct err **reterr)
{
	_cleanup_(db_transaction_end) struct db_transaction transaction = { 0 };
	int r = db_begin(store->db, &transaction, reterr);

	if (r < 0)
		return r;
	r = insert_image(store->db, text, len, config, added, reterr);
	if (r < 0)
		return r;
	strv_foreach (name, names) {
		r = add_name(store, *name, added, reterr);
		if (r < 0)
			return r;
	}
	return db_commit(&transaction, reterr);
}

int store_image_add(struct job *job, const char *config, size_t config_len, char *const *names, struct image_added *ret,
	struct err **reterr)
{
	struct oci_image_config parsed;
	int r;

	memset(ret, 0, sizeof(*ret));
	r = oci_image_config_parse(config, config_len, &parsed, reterr);
	if (r < 0)
		return r;
	r = image_id(config, config_len, ret->id, reterr);
	if (r >= 0)
		r = add(job_store(job), config, config_len, &parsed, names, ret, reterr);
	oci_image_config_finish(&parsed);
	if (r < 0)
		image_added_finish(ret);
	return r;
}

int store_image_set_parent(struct job *job, const char *id, const char *parent, struct err **reterr)
{
	return db_run(job_store(job)->db, reterr,
		"UPDATE images SET parent = ?2 WHERE id = ?1 AND id <> ?2 AND EXISTS (SELECT 1 FROM images WHERE id = ?2)",
		"ss", id, parent);
}

void image_added_finish(struct image_added *added)
{
	strv_free(added->renamed);
	added->renamed = NULL;
}
