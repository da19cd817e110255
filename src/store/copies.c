#include "store/copies.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "store/handle.h"

int store_copy_add(struct store *store, const char *diff_id, const char *repository, const struct layer_copy *copy,
	struct err **reterr)
{
	_cleanup_(db_transaction_end) struct db_transaction transaction = { 0 };
	int r = db_begin(store->db, &transaction, reterr);

	if (r >= 0)
		r = db_run(store->db, reterr,
			"INSERT OR REPLACE INTO layer_copies (diff_id, repository, digest, size, used)"
			" SELECT ?1, ?2, ?3, ?4, ?5 WHERE EXISTS (SELECT 1 FROM layers WHERE diff_id = ?1)",
			"sssii", diff_id, repository, copy->digest, copy->size_bytes, clock_realtime_ns());
	if (r >= 0)
		r = db_run(store->db, reterr,
			"DELETE FROM layer_copies WHERE diff_id = ?1 AND repository NOT IN"
			" (SELECT repository FROM layer_copies WHERE diff_id = ?1 ORDER BY used DESC LIMIT ?2)",
			"si", diff_id, (int64_t)COPIES_MAX);
	return r < 0 ? r : db_commit(&transaction, reterr);
}

int store_copy_find(struct store *store, const char *diff_id, const char *digest, const char *repository,
	struct layer_copy *ret, char **ret_from, struct err **reterr)
{
	_autostatement_ sqlite3_stmt *statement = NULL;
	size_t host_len = strcspn(repository, "/") + 1;
	_cleanup_free_ char *host = strndup(repository, host_len);

	*ret_from = NULL;
	if (!host)
		return err_oom(reterr);
	/* First what is in this registry and may be mounted, then what is in this very repository, then the rest. */
	int r = db_prepare(store->db, &statement, reterr,
		"SELECT digest, size, repository, substr(repository, 1, length(?2)) = ?2 AND repository <> ?3 AS mountable"
		" FROM layer_copies WHERE diff_id = ?1 AND digest = COALESCE(?4, digest)"
		" ORDER BY mountable DESC, substr(repository, 1, length(?2)) = ?2 DESC, used DESC LIMIT 1",
		"ssss", diff_id, host, repository, digest);
	if (r >= 0)
		r = db_step(store->db, statement, reterr);
	if (r <= 0)
		return r;
	snprintf(ret->digest, sizeof(ret->digest), "%s", db_text(statement, 0));
	ret->size_bytes = sqlite3_column_int64(statement, 1);
	if (sqlite3_column_int(statement, 3) && !(*ret_from = strdup(db_text(statement, 2) + host_len)))
		return err_oom(reterr);
	return 1;
}
