#include "store/names.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/strv.h"
#include "store/handle.h"

int name_parse(const char *text, struct reference *out, struct err **reterr)
{
	const char *problem = NULL;
	int r = reference_parse(text, out, &problem);

	if (r == -ENOMEM)
		return err_oom(reterr);
	return r < 0 ? err_set(reterr, ERR_INVALID, 0, "%s", problem) : 0;
}

int name_parse_tag(const char *text, struct reference *out, struct err **reterr)
{
	int r = name_parse(text, out, reterr);

	if (r < 0)
		return r;
	if (out->digest)
		r = err_set(reterr, ERR_INVALID, 0, "refusing to create a tag with a digest reference");
	else if (strcmp(reference_familiar(out->repository), "sha256") == 0)
		r = err_set(reterr, ERR_INVALID, 0,
			"refusing to create an ambiguous tag using digest algorithm as name");
	else if (!out->tag && !(out->tag = strdup(REFERENCE_DEFAULT_TAG)))
		r = err_oom(reterr);
	if (r < 0)
		reference_finish(out);
	return r;
}

char *name_format(const char *repository, const char *tag, const char *digest)
{
	char *text;
	int r = asprintf(&text, "%s%s%s", reference_familiar(repository), *digest ? "@" : ":", *digest ? digest : tag);

	return r < 0 ? NULL : text;
}

int name_lookup(struct store *store, const char *repository, const char *tag, const char *digest,
	char ret_id[static STORE_DIGEST_SIZE], struct err **reterr)
{
	_autorest_ sqlite3_stmt *statement = NULL;
	int r = db_prepare_kept(store->db, &statement, reterr,
		"SELECT image FROM names WHERE repository = ?1 AND tag = ?2 AND digest = ?3", "sss", repository, tag,
		digest);

	if (r < 0)
		return r;
	r = db_step(store->db, statement, reterr);
	if (r < 0)
		return r;
	snprintf(ret_id, STORE_DIGEST_SIZE, "%s", r ? db_text(statement, 0) : "");
	return 0;
}

int names_of_repository(struct store *store, const char *repository, char ***ret, struct err **reterr)
{
	_autostatement_ sqlite3_stmt *statement = NULL;
	int r = db_prepare(store->db, &statement, reterr,
		"SELECT tag FROM names WHERE repository = ?1 AND digest = '' ORDER BY tag", "s", repository);

	while (r >= 0) {
		r = db_step(store->db, statement, reterr);
		if (r <= 0)
			break;
		if (strv_append_take(ret, name_format(repository, db_text(statement, 0), "")) < 0)
			r = err_oom(reterr);
	}
	return r;
}

int name_point(struct store *store, const struct reference *reference, const char *image_id, struct err **reterr)
{
	int r = db_run(store->db, reterr,
		"INSERT OR REPLACE INTO names (repository, tag, digest, image) VALUES (?1, ?2, ?3, ?4)", "ssss",
		reference->repository, reference->digest ? "" : reference->tag, reference->digest ?: "", image_id);

	if (r < 0)
		return r;
	return db_run(store->db, reterr, "UPDATE images SET tagged = ?2 WHERE id = ?1", "si", image_id,
		clock_realtime_ns());
}
