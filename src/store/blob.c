#include "store/blob.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

#include <sys/stat.h>

#include "store/handle.h"

int store_layer_blob(struct store *store, const char *diff_id, struct layer_blob *ret, struct err **reterr)
{
	_autostatement_ sqlite3_stmt *statement = NULL;
	int r = db_prepare(store->db, &statement, reterr,
		"SELECT digest, blobs.size FROM layers JOIN blobs ON blobs.digest = layers.blob"
		" WHERE diff_id = ?1 AND layers.state = 1 AND blobs.state = 1",
		"s", diff_id);

	if (r >= 0)
		r = db_step(store->db, statement, reterr);
	if (r < 0)
		return r;
	if (r == 0)
		return err_set(reterr, ERR_INTERNAL, ENOENT, "the content that layer %s came in is missing", diff_id);
	snprintf(ret->digest, sizeof(ret->digest), "%s", db_text(statement, 0));
	ret->size_bytes = sqlite3_column_int64(statement, 1);
	return 0;
}

int store_blob_open(struct store *store, const struct layer_blob *blob, int *ret_fd, struct err **reterr)
{
	_autoclose_ int fd = openat(store->blobs_fd, store_digest_hex(blob->digest), O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return err_errno(reterr, -errno, "cannot open blob %s", blob->digest);
	if (st.st_size != blob->size_bytes)
		return err_set(reterr, ERR_INTERNAL, EUCLEAN, "blob %s is of %lld bytes and not of %lld", blob->digest,
			(long long)st.st_size, (long long)blob->size_bytes);
	*ret_fd = TAKE_FD(fd);
	return 0;
}
