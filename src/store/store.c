#include "store/store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include "base/strv.h"
#include "store/collect.h"
#include "store/handle.h"
#include "store/identity.h"
#include "store/job.h"
#include "store/partial.h"

/* No foreign keys: rows end in an order of our own, and a leftover is what the sweep is for. */
static const char *const upgrades[] = {
	"CREATE TABLE blobs (digest TEXT PRIMARY KEY, size INTEGER NOT NULL, state INTEGER NOT NULL, job TEXT) WITHOUT ROWID;"
	"CREATE TABLE layers (diff_id TEXT PRIMARY KEY, state INTEGER NOT NULL, job TEXT, size INTEGER NOT NULL DEFAULT 0,"
	" opaque INTEGER NOT NULL DEFAULT 0, blob TEXT) WITHOUT ROWID;"
	"CREATE INDEX layers_by_blob ON layers (blob);"
	"CREATE INDEX layers_by_state ON layers (state);"
	"CREATE INDEX blobs_by_state ON blobs (state);"
	"CREATE TABLE images (id TEXT PRIMARY KEY, config BLOB NOT NULL, created INTEGER NOT NULL, tagged INTEGER NOT NULL,"
	" parent TEXT);"
	"CREATE INDEX images_by_parent ON images (parent);"
	"CREATE TABLE image_layers (image TEXT, position INTEGER, diff_id TEXT NOT NULL, PRIMARY KEY (image, position))"
	" WITHOUT ROWID;"
	"CREATE INDEX image_layers_by_layer ON image_layers (diff_id);"
	"CREATE TABLE names (repository TEXT, tag TEXT, digest TEXT, image TEXT NOT NULL,"
	" PRIMARY KEY (repository, tag, digest)) WITHOUT ROWID;"
	"CREATE INDEX names_by_image ON names (image);"
	"CREATE TABLE leases (id TEXT PRIMARY KEY, kind INTEGER NOT NULL) WITHOUT ROWID;"
	"CREATE TABLE lease_layers (lease TEXT, position INTEGER, diff_id TEXT NOT NULL, PRIMARY KEY (lease, position))"
	" WITHOUT ROWID;"
	"CREATE INDEX lease_layers_by_layer ON lease_layers (diff_id);",
	"CREATE TABLE identity (id TEXT NOT NULL); INSERT INTO identity VALUES (lower(hex(randomblob(16))))",
	"CREATE TABLE layer_copies (diff_id TEXT, repository TEXT, digest TEXT NOT NULL, size INTEGER NOT NULL,"
	" used INTEGER NOT NULL, PRIMARY KEY (diff_id, repository)) WITHOUT ROWID;"
	"CREATE TRIGGER layers_gone AFTER DELETE ON layers BEGIN DELETE FROM layer_copies WHERE diff_id = OLD.diff_id; END",
};

const char *store_digest_hex(const char *digest)
{
	return digest + strlen(DIGEST_PREFIX);
}

int store_list_names(int dirfd, char ***ret, struct err **reterr)
{
	_autofree_(strv) char **names = NULL;
	int fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct dirent *entry;
	int r = 0;
	DIR *dir;

	if (fd < 0)
		return err_errno(reterr, -errno, "cannot list a folder of the store");
	dir = fdopendir(fd);
	if (!dir) {
		fd_close(&fd);
		return err_oom(reterr);
	}
	while (r == 0 && (entry = readdir(dir)))
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			r = strv_append(&names, entry->d_name);
	closedir(dir);
	if (r < 0)
		return err_oom(reterr);
	*ret = TAKE(names);
	return 0;
}

/* The path is for SQLite and for those who mount; all else goes through descriptors. */
static int root_path(int root_fd, char **ret)
{
	char link[64], path[PATH_MAX];
	ssize_t length;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", root_fd);
	length = readlink(link, path, sizeof(path) - 1);
	if (length < 0)
		return -errno;
	path[length] = '\0';
	*ret = strdup(path);
	return *ret ? 0 : -ENOMEM;
}

/* 0700: what images hold (setuid programs among it) is nobody's business but ours. */
static int folder_open(int root_fd, const char *name, int *ret_fd)
{
	if (mkdirat(root_fd, name, 0700) < 0 && errno != EEXIST)
		return -errno;
	*ret_fd = openat(root_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return *ret_fd < 0 ? -errno : 0;
}

/*
 * Jobs' folders go to places far from each other on ext4, as the manual of chattr has it for top directories. In one place
 * each new file would step over all inodes that were freed there in the last minute, which ext4 does not use again at once:
 * a load after a removal takes three times as long. Elsewhere there is no such flag, and no such need.
 */
static void spread(int folder_fd)
{
	int flags;

	if (ioctl(folder_fd, FS_IOC_GETFLAGS, &flags) < 0 || (flags & FS_TOPDIR_FL))
		return;
	flags |= FS_TOPDIR_FL;
	(void)ioctl(folder_fd, FS_IOC_SETFLAGS, &flags);
}

static int folders_open(struct store *store, int root_fd)
{
	_autoclose_ int blobs_fd = -1;
	int r = folder_open(root_fd, "blobs", &blobs_fd);

	if (r >= 0)
		r = folder_open(blobs_fd, "sha256", &store->blobs_fd);
	if (r >= 0)
		r = folder_open(root_fd, "layers", &store->layers_fd);
	if (r >= 0)
		r = folder_open(root_fd, "tmp", &store->tmp_fd);
	if (r >= 0)
		spread(store->tmp_fd);
	if (r >= 0)
		r = folder_open(root_fd, "partial", &store->partial_fd);
	if (r >= 0)
		r = folder_open(root_fd, "trash", &store->trash_fd);
	return r;
}

static int database_open(struct store *store, struct err **reterr)
{
	char path[PATH_MAX + 16];

	snprintf(path, sizeof(path), "%s/store.db", store->root);
	return db_open(path, "store.db", upgrades, ARRAY_SIZE(upgrades), &store->db, reterr);
}

static int database_check(struct store *store, int data_root_fd, struct err **reterr)
{
	_autostatement_ sqlite3_stmt *statement = NULL;
	int r = db_prepare(store->db, &statement, reterr, "SELECT id FROM identity", "");

	if (r >= 0)
		r = db_step(store->db, statement, reterr);
	return r < 0 ? r : identity_check(data_root_fd, "store", r ? db_text(statement, 0) : "", reterr);
}

int store_open(int data_root_fd, enum store_mode mode, struct store **ret, struct err **reterr)
{
	_autofree_(store) struct store *store = calloc(1, sizeof(*store));
	bool trash;
	int r;

	if (!store)
		return err_oom(reterr);
	store->blobs_fd = store->layers_fd = store->tmp_fd = store->partial_fd = store->trash_fd = -1;
	r = root_path(data_root_fd, &store->root);
	if (r < 0)
		return err_errno(reterr, r, "cannot find the data root");
	r = folders_open(store, data_root_fd);
	if (r < 0)
		return err_errno(reterr, r, "cannot open the store in %s", store->root);
	if (mode == STORE_ENGINE)
		r = identity_expect(data_root_fd, "store", reterr);
	if (r >= 0)
		r = database_open(store, reterr);
	if (r < 0)
		return r;
	if (mode == STORE_ENGINE) {
		r = database_check(store, data_root_fd, reterr);
		if (r >= 0)
			r = store_sweep(store, &trash, reterr);
		if (r >= 0)
			r = store_collect_orphans(store, reterr);
		if (r < 0)
			return r;
	}
	*ret = TAKE(store);
	return 0;
}

void store_free(struct store *store)
{
	if (!store)
		return;
	db_free(store->db);
	fd_close(&store->blobs_fd);
	fd_close(&store->layers_fd);
	fd_close(&store->tmp_fd);
	fd_close(&store->partial_fd);
	fd_close(&store->trash_fd);
	free(store->root);
	free(store);
}

static int mark_all(struct store *store, struct err **reterr)
{
	_cleanup_(db_transaction_end) struct db_transaction transaction = { 0 };
	int r = db_begin(store->db, &transaction, reterr);

	if (r < 0)
		return r;
	r = store_mark(store, NULL, reterr);
	if (r < 0)
		return r;
	return db_commit(&transaction, reterr);
}

int store_sweep(struct store *store, bool *ret_trash, struct err **reterr)
{
	int64_t bytes;
	int r = job_discard_dead(store, reterr);

	if (r >= 0)
		r = partials_expire(store, false, &bytes, reterr);
	if (r >= 0)
		r = mark_all(store, reterr);
	if (r >= 0)
		r = store_collect_marked(store, reterr);
	if (r < 0)
		return r;
	*ret_trash = store_has_trash(store);
	return 0;
}

int store_images_size(struct store *store, int64_t *ret_bytes, struct err **reterr)
{
	return db_get_int(store->db, 0, ret_bytes, reterr,
		"SELECT (SELECT COALESCE(SUM(size), 0) FROM layers WHERE state = 1)"
		" + (SELECT COALESCE(SUM(size), 0) FROM blobs WHERE state = 1)",
		"");
}

int store_layers_size(struct store *store, int64_t *ret_bytes, struct err **reterr)
{
	return db_get_int(store->db, 0, ret_bytes, reterr, "SELECT COALESCE(SUM(size), 0) FROM layers WHERE state = 1",
		"");
}
