#include "store/job.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/file.h>
#include <sys/stat.h>

#include "base/io.h"
#include "base/log.h"
#include "base/strv.h"
#include "store/collect.h"
#include "store/handle.h"
#include "store/trash.h"

#define JOB_RANDOM_BYTES 8
#define JOB_NAME_TRIES   16

struct job {
	struct store *store;
	char id[JOB_ID_SIZE];
	int folder_fd; /* holds the lock */
};

/* Opens tmp/ID and locks it; -EWOULDBLOCK if somebody else has the lock. */
static int folder_lock(struct store *store, const char *id, int *ret_fd)
{
	_autoclose_ int fd = openat(store->tmp_fd, id, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	if (flock(fd, LOCK_EX | LOCK_NB) < 0)
		return -errno;
	*ret_fd = TAKE_FD(fd);
	return 0;
}

/* By what folder_lock said: nobody works on it. Where it could not look (no descriptor is left), somebody may. */
static bool is_abandoned(int locked)
{
	return locked == 0 || locked == -ENOENT || locked == -ENOTDIR || locked == -ELOOP;
}

/* A sweeper may have locked and moved the folder between mkdir and lock: then it is not under its name any more. */
static bool folder_is_named(struct store *store, int fd, const char *id)
{
	struct stat held, named;

	return fstat(fd, &held) == 0 && fstatat(store->tmp_fd, id, &named, AT_SYMLINK_NOFOLLOW) == 0 &&
	       held.st_dev == named.st_dev && held.st_ino == named.st_ino;
}

static int folder_make(struct job *job)
{
	int r = -EEXIST;

	for (int i = 0; i < JOB_NAME_TRIES; i++) {
		_autoclose_ int fd = -1;
		char random[2 * JOB_RANDOM_BYTES + 1];

		io_random_hex(random, JOB_RANDOM_BYTES);
		snprintf(job->id, sizeof(job->id), "job-%s", random);
		if (mkdirat(job->store->tmp_fd, job->id, 0700) < 0) {
			r = -errno;
			if (r == -EEXIST)
				continue;
			return r;
		}
		r = folder_lock(job->store, job->id, &fd);
		if (r == 0 && folder_is_named(job->store, fd, job->id)) {
			job->folder_fd = TAKE_FD(fd);
			return 0;
		}
		/* Else it is a sweeper's, who removes it, or has. */
		if (r < 0 && r != -EWOULDBLOCK && r != -ENOENT) {
			unlinkat(job->store->tmp_fd, job->id, AT_REMOVEDIR);
			return r;
		}
		r = -EAGAIN;
	}
	return r;
}

int job_begin(struct store *store, struct job **ret, struct err **reterr)
{
	struct job *job = calloc(1, sizeof(*job));
	int r;

	if (!job)
		return err_oom(reterr);
	job->store = store;
	job->folder_fd = -1;
	r = folder_make(job);
	if (r < 0) {
		free(job);
		return err_errno(reterr, r, "cannot make a folder for the job");
	}
	r = db_run(store->db, reterr, "INSERT INTO leases (id, kind) VALUES (?1, ?2)", "si", job->id,
		(int64_t)STORE_LEASE_JOB);
	if (r < 0) {
		job_end(job);
		return r;
	}
	*ret = job;
	return 0;
}

static int trash_unfinished(struct store *store, int dirfd, const char *select, const char *id, struct err **reterr)
{
	_autostatement_ sqlite3_stmt *statement = NULL;
	int r = db_prepare(store->db, &statement, reterr, select, "s", id);

	while (r >= 0) {
		r = db_step(store->db, statement, reterr);
		if (r <= 0)
			break;
		r = store_trash(store, dirfd, store_digest_hex(db_text(statement, 0)), reterr);
	}
	return r;
}

/* Names go before rows, in one transaction: a crash in between finds the rows again and nothing behind them. */
static int discard_rows(struct store *store, const char *id, struct err **reterr)
{
	static const char *const statements[] = {
		"DELETE FROM layers WHERE state = 0 AND job = ?1",
		"DELETE FROM blobs WHERE state = 0 AND job = ?1",
		"DELETE FROM lease_layers WHERE lease = ?1",
		"DELETE FROM leases WHERE id = ?1",
	};
	_cleanup_(db_transaction_end) struct db_transaction transaction = { 0 };
	int r = db_begin(store->db, &transaction, reterr);

	if (r < 0)
		return r;
	r = trash_unfinished(store, store->layers_fd, "SELECT diff_id FROM layers WHERE state = 0 AND job = ?1", id,
		reterr);
	if (r < 0)
		return r;
	r = trash_unfinished(store, store->blobs_fd, "SELECT digest FROM blobs WHERE state = 0 AND job = ?1", id,
		reterr);
	if (r < 0)
		return r;
	r = store_mark(store, id, reterr);
	for (size_t i = 0; r >= 0 && i < ARRAY_SIZE(statements); i++)
		r = db_run(store->db, reterr, statements[i], "s", id);
	if (r < 0)
		return r;
	r = db_commit(&transaction, reterr);
	if (r < 0)
		return r;
	return store_collect_marked(store, reterr);
}

int job_discard(struct store *store, const char *id, struct err **reterr)
{
	int r = discard_rows(store, id, reterr);

	/* The folder is last: while it is there, the next sweep comes back to this job. */
	if (r < 0)
		return r;
	return store_trash(store, store->tmp_fd, id, reterr);
}

int job_end(struct job *job)
{
	_autofree_(err) struct err *err = NULL;

	if (!job)
		return 0;
	int r = job_discard(job->store, job->id, &err);
	if (r < 0)
		log_warn("what job %s left is kept until the next sweep: %s", job->id, err_message(err));
	fd_close(&job->folder_fd);
	free(job);
	return r < 0 ? r : 0;
}

struct store *job_store(const struct job *job)
{
	return job->store;
}

const char *job_id(const struct job *job)
{
	return job->id;
}

int job_folder(const struct job *job)
{
	return job->folder_fd;
}

bool job_is_alive(struct store *store, const char *id)
{
	_autoclose_ int fd = -1;

	return !is_abandoned(folder_lock(store, id, &fd));
}

/* Discards with the lock held, so that two sweepers do not meet in one folder. */
static int discard_if_dead(struct store *store, const char *id, struct err **reterr)
{
	_autoclose_ int fd = -1;
	int r = folder_lock(store, id, &fd);

	if (r == -EWOULDBLOCK)
		return 0;
	if (!is_abandoned(r))
		return err_errno(reterr, r, "cannot look at job %s", id);
	return job_discard(store, id, reterr);
}

/* Jobs that have rows but no folder any more: a power cut may keep one and lose the other. */
static int jobs_by_rows(struct store *store, char ***ids, struct err **reterr)
{
	_autostatement_ sqlite3_stmt *statement = NULL;
	int r = db_prepare(store->db, &statement, reterr,
		"SELECT job FROM layers WHERE state = 0 UNION SELECT job FROM blobs WHERE state = 0"
		" UNION SELECT id FROM leases WHERE kind = 1",
		"");

	while (r >= 0) {
		r = db_step(store->db, statement, reterr);
		if (r <= 0)
			break;
		if (strv_append(ids, db_text(statement, 0)) < 0)
			r = err_oom(reterr);
	}
	return r;
}

static int jobs_by_folders(struct store *store, char ***ids, struct err **reterr)
{
	_autofree_(strv) char **names = NULL;
	int r = store_list_names(store->tmp_fd, &names, reterr);

	strv_foreach (name, names)
		if (r >= 0 && !strv_has(*ids, *name) && strv_append(ids, *name) < 0)
			r = err_oom(reterr);
	return r;
}

int job_discard_dead(struct store *store, struct err **reterr)
{
	_autofree_(strv) char **ids = NULL;
	int r = jobs_by_rows(store, &ids, reterr);

	if (r >= 0)
		r = jobs_by_folders(store, &ids, reterr);
	strv_foreach (id, ids) {
		if (r < 0)
			break;
		r = discard_if_dead(store, *id, reterr);
	}
	return r;
}
