#include "store/db.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

/* The log is copied back at 1,000 pages; this holds far more than one transaction of ours. */
#define DB_RESERVE_BYTES (1024 * 1024)

#define WAL_AGAIN_MS 10

static int db_errno(int code)
{
	switch (code & 0xff) {
	case SQLITE_BUSY:
	case SQLITE_LOCKED: return -EBUSY;
	case SQLITE_FULL: return -ENOSPC;
	case SQLITE_NOMEM: return -ENOMEM;
	case SQLITE_READONLY: return -EROFS;
	case SQLITE_CANTOPEN:
	case SQLITE_PERM:
	case SQLITE_AUTH: return -EACCES;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB: return -EUCLEAN;
	default: return -EIO;
	}
}

static int db_fail(struct db *db, int code, struct err **reterr)
{
	int r = db_errno(code);

	if (r == -ENOSPC)
		return err_set(reterr, ERR_INTERNAL, ENOSPC, "%s: no space left on device", db->name);
	return err_set(reterr, r == -EBUSY ? ERR_UNAVAILABLE : ERR_INTERNAL, -r, "%s: %s", db->name,
		db->handle ? sqlite3_errmsg(db->handle) : sqlite3_errstr(code));
}

static int db_exec(struct db *db, const char *sql, struct err **reterr)
{
	int code = sqlite3_exec(db->handle, sql, NULL, NULL, NULL);

	return code == SQLITE_OK ? 0 : db_fail(db, code, reterr);
}

/* Going over to WAL is the one change for which SQLite does not wait: several processes may open a new database at once. */
static int db_use_wal(struct db *db, struct err **reterr)
{
	int64_t deadline = clock_monotonic_ms() + DB_BUSY_TIMEOUT_MS;
	int code;

	while ((code = sqlite3_exec(db->handle, "PRAGMA journal_mode = WAL", NULL, NULL, NULL)) != SQLITE_OK) {
		if ((code & 0xff) != SQLITE_BUSY || clock_monotonic_ms() >= deadline)
			break;
		sqlite3_sleep(WAL_AGAIN_MS);
	}
	return code == SQLITE_OK ? 0 : db_fail(db, code, reterr);
}

/* Each step and the new version number are one transaction: a crash leaves a whole older schema. */
static int db_upgrade(struct db *db, const char *const *upgrades, int version, struct err **reterr)
{
	_cleanup_(db_transaction_end) struct db_transaction transaction = { 0 };
	int64_t have = 0;
	int r;

	r = db_get_int(db, 0, &have, reterr, "PRAGMA user_version", "");
	if (r < 0 || have == version)
		return r;

	/* Two processes may meet here: look again with the write lock held. */
	r = db_begin(db, &transaction, reterr);
	if (r < 0)
		return r;
	r = db_get_int(db, 0, &have, reterr, "PRAGMA user_version", "");
	if (r < 0)
		return r;
	if (have > version)
		return err_set(reterr, ERR_UNSUPPORTED, 0,
			"%s was written by a later version of tare (schema %lld, this one knows %d)", db->name,
			(long long)have, version);
	for (; have < version; have++) {
		char sql[64];

		r = db_exec(db, upgrades[have], reterr);
		if (r < 0)
			return r;
		sqlite3_snprintf(sizeof(sql), sql, "PRAGMA user_version = %lld", (long long)have + 1);
		r = db_exec(db, sql, reterr);
		if (r < 0)
			return r;
	}
	return db_commit(&transaction, reterr);
}

/*
 * Room for a few transactions, kept for the day the disk is full: removing things must work then. The log file stays
 * between opens, and what is allocated behind its end is there when it grows.
 */
static int db_reserve(struct db *db, const char *path, struct err **reterr)
{
	_cleanup_free_ char *log_path = NULL;
	_autoclose_ int fd = -1;
	int persist = 1;

	sqlite3_file_control(db->handle, "main", SQLITE_FCNTL_PERSIST_WAL, &persist);
	if (asprintf(&log_path, "%s-wal", path) < 0)
		return err_oom(reterr);
	fd = open(log_path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
	/* A filesystem that can't, or has no room now: then there is no reserve. */
	if (fd >= 0)
		(void)fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, DB_RESERVE_BYTES);
	return 0;
}

void db_set_durable(struct db *db, bool durable)
{
	db->wants_durable = durable;
}

/* Only before a transaction begins, which is soon enough: who changes his mind and back for each of many pays for none of it. */
static int apply_durable(struct db *db, struct err **reterr)
{
	int r;

	if (db->durable == db->wants_durable || !sqlite3_get_autocommit(db->handle))
		return 0;
	r = db_exec(db, db->wants_durable ? "PRAGMA synchronous = FULL" : "PRAGMA synchronous = NORMAL", reterr);
	if (r < 0)
		return r;
	db->durable = db->wants_durable;
	return 0;
}

int db_open(const char *path, const char *name, const char *const *upgrades, int version, struct db **ret,
	struct err **reterr)
{
	_autofree_(db) struct db *db = calloc(1, sizeof(*db));
	int code, r;

	if (!db)
		return err_oom(reterr);
	db->name = name;

	code = sqlite3_open_v2(path, &db->handle, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX,
		NULL);
	if (code != SQLITE_OK)
		return db_fail(db, code, reterr);
	/* SQLite's own fallback, whatever kept it from writing: better said here than by the first change. */
	if (sqlite3_db_readonly(db->handle, "main"))
		return err_set(reterr, ERR_INTERNAL, EROFS, "%s can't be opened for writing", name);
	sqlite3_extended_result_codes(db->handle, 1);
	sqlite3_busy_timeout(db->handle, DB_BUSY_TIMEOUT_MS);
	r = db_use_wal(db, reterr);
	if (r >= 0)
		r = db_exec(db, "PRAGMA foreign_keys = OFF", reterr);
	if (r < 0)
		return r;
	db_set_durable(db, true);
	r = apply_durable(db, reterr);
	if (r < 0)
		return r;
	r = db_upgrade(db, upgrades, version, reterr);
	if (r < 0)
		return r;
	r = db_reserve(db, path, reterr);
	if (r < 0)
		return r;

	*ret = TAKE(db);
	return 0;
}

void db_free(struct db *db)
{
	if (!db)
		return;
	for (size_t i = 0; i < DB_KEPT_MAX; i++)
		sqlite3_finalize(db->kept[i]);
	sqlite3_close_v2(db->handle);
	free(db);
}

static int bind_all(sqlite3_stmt *statement, const char *types, va_list args)
{
	int code = SQLITE_OK;

	for (int i = 0; types[i] && code == SQLITE_OK; i++) {
		const void *data;

		switch (types[i]) {
		case 's':
			code = sqlite3_bind_text(statement, i + 1, va_arg(args, const char *), -1, SQLITE_STATIC);
			break;
		case 'i': code = sqlite3_bind_int64(statement, i + 1, va_arg(args, int64_t)); break;
		case 'b':
			data = va_arg(args, const void *);
			code = sqlite3_bind_blob64(statement, i + 1, data, va_arg(args, size_t), SQLITE_STATIC);
			break;
		default: assert(!"unknown type letter");
		}
	}
	return code;
}

static int db_vprepare(struct db *db, sqlite3_stmt **ret, struct err **reterr, const char *sql, const char *types,
	va_list args)
{
	_autostatement_ sqlite3_stmt *statement = NULL;
	int code = sqlite3_prepare_v2(db->handle, sql, -1, &statement, NULL);

	if (code == SQLITE_OK)
		code = bind_all(statement, types, args);
	if (code != SQLITE_OK)
		return db_fail(db, code, reterr);
	*ret = TAKE(statement);
	return 0;
}

/* A place for one more: that of the oldest, unless somebody reads from it. */
static sqlite3_stmt **kept_place(struct db *db)
{
	for (size_t i = 0; i < DB_KEPT_MAX && sqlite3_stmt_busy(db->kept[db->next_kept]); i++)
		db->next_kept = (db->next_kept + 1) % DB_KEPT_MAX;
	sqlite3_stmt **place = &db->kept[db->next_kept];
	db->next_kept = (db->next_kept + 1) % DB_KEPT_MAX;
	return place;
}

/* Parsing a statement costs several times what running it does, so the latest are kept. */
static int db_vprepare_kept(struct db *db, sqlite3_stmt **ret, struct err **reterr, const char *sql, const char *types,
	va_list args)
{
	sqlite3_stmt *statement = NULL;

	for (size_t i = 0; i < DB_KEPT_MAX && !statement; i++)
		if (db->kept[i] && strcmp(sqlite3_sql(db->kept[i]), sql) == 0)
			statement = db->kept[i];
	if (!statement) {
		int code = sqlite3_prepare_v3(db->handle, sql, -1, SQLITE_PREPARE_PERSISTENT, &statement, NULL);
		if (code != SQLITE_OK)
			return db_fail(db, code, reterr);
		sqlite3_stmt **place = kept_place(db);
		sqlite3_finalize(*place);
		*place = statement;
	}
	*ret = statement;
	int code = bind_all(statement, types, args);
	return code == SQLITE_OK ? 0 : db_fail(db, code, reterr);
}

int db_prepare(struct db *db, sqlite3_stmt **ret, struct err **reterr, const char *sql, const char *types, ...)
{
	va_list args;
	int r;

	va_start(args, types);
	r = db_vprepare(db, ret, reterr, sql, types, args);
	va_end(args);
	return r;
}

int db_prepare_kept(struct db *db, sqlite3_stmt **ret, struct err **reterr, const char *sql, const char *types, ...)
{
	va_list args;
	int r;

	va_start(args, types);
	r = db_vprepare_kept(db, ret, reterr, sql, types, args);
	va_end(args);
	return r;
}

int db_step(struct db *db, sqlite3_stmt *statement, struct err **reterr)
{
	int code = sqlite3_step(statement);

	if (code == SQLITE_ROW)
		return 1;
	return code == SQLITE_DONE ? 0 : db_fail(db, code, reterr);
}

int db_run(struct db *db, struct err **reterr, const char *sql, const char *types, ...)
{
	_autorest_ sqlite3_stmt *statement = NULL;
	va_list args;
	int r = apply_durable(db, reterr);

	if (r < 0)
		return r;
	va_start(args, types);
	r = db_vprepare_kept(db, &statement, reterr, sql, types, args);
	va_end(args);
	while (r >= 0) {
		r = db_step(db, statement, reterr);
		if (r == 0)
			break;
	}
	return r;
}

int db_get_int(struct db *db, int64_t missing, int64_t *ret, struct err **reterr, const char *sql, const char *types,
	...)
{
	_autorest_ sqlite3_stmt *statement = NULL;
	va_list args;
	int r;

	va_start(args, types);
	r = db_vprepare_kept(db, &statement, reterr, sql, types, args);
	va_end(args);
	if (r < 0)
		return r;
	r = db_step(db, statement, reterr);
	if (r < 0)
		return r;
	*ret = r ? sqlite3_column_int64(statement, 0) : missing;
	return 0;
}

const char *db_text(sqlite3_stmt *statement, int column)
{
	const unsigned char *text = sqlite3_column_text(statement, column);

	return text ? (const char *)text : "";
}

int db_begin(struct db *db, struct db_transaction *transaction, struct err **reterr)
{
	int r = db_run(db, reterr, "BEGIN IMMEDIATE", "");

	if (r < 0)
		return r;
	transaction->db = db;
	return 0;
}

int db_commit(struct db_transaction *transaction, struct err **reterr)
{
	int r = db_run(transaction->db, reterr, "COMMIT", "");

	if (r < 0)
		return r;
	transaction->db = NULL;
	return 0;
}

void db_transaction_end(struct db_transaction *transaction)
{
	/* Some errors (a full disk) have rolled it back already; a second time fails and does no harm. */
	if (transaction->db && !sqlite3_get_autocommit(transaction->db->handle))
		(void)db_exec(transaction->db, "ROLLBACK", NULL);
	transaction->db = NULL;
}
