/*
 * SQLite with as little between it and us as errors and cleanup need. A database is one file in WAL mode that several
 * processes may open; writers wait for each other up to DB_BUSY_TIMEOUT_MS.
 */
#pragma once

#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/err.h"

#define DB_BUSY_TIMEOUT_MS 20000
#define DB_KEPT_MAX        48

struct db {
	sqlite3 *handle;
	const char *name;                /* for messages; borrowed */
	bool durable;                    /* as SQLite has been told */
	bool wants_durable;              /* as the next transaction is to be */
	sqlite3_stmt *kept[DB_KEPT_MAX]; /* prepared statements, at rest but for db_prepare_kept's */
	size_t next_kept;                /* the one to make way */
};

/*
 * Opens or creates `path` and brings its schema up to `version`: `upgrades[n]` is the SQL that leads from version n to
 * n + 1. A database of a later version is refused. `name` is borrowed as long as the database is open.
 */
int db_open(const char *path, const char *name, const char *const *upgrades, int version, struct db **ret,
	struct err **reterr);
void db_free(struct db *db);
DEFINE_AUTOFREE(db, struct db *, db_free);

/* Whether commits from now on wait until they are safe from a power cut (the default), or only from a crash of ours. */
void db_set_durable(struct db *db, bool durable);

/*
 * Prepares a statement and binds by `types`, one letter per argument: 's' const char * (NULL is SQL's NULL), 'i' int64_t,
 * 'b' const void *, size_t. Texts and blobs are borrowed until the statement is freed.
 */
int db_prepare(struct db *db, sqlite3_stmt **ret, struct err **reterr, const char *sql, const char *types, ...);
/* The same; `sql` is remembered, for texts that are used again. The statement is the database's: _autorest_, not _autostatement_. */
int db_prepare_kept(struct db *db, sqlite3_stmt **ret, struct err **reterr, const char *sql, const char *types, ...);
/* 1: there is a row; 0: done; or -errno. */
int db_step(struct db *db, sqlite3_stmt *statement, struct err **reterr);
/* Prepares and runs to the end; `sql` is remembered, for texts that are used again. */
int db_run(struct db *db, struct err **reterr, const char *sql, const char *types, ...);
/* The first column of the first row; `missing` if there is none. */
int db_get_int(struct db *db, int64_t missing, int64_t *ret, struct err **reterr, const char *sql, const char *types,
	...);

/* Column text, never NULL; borrowed until the next step. */
const char *db_text(sqlite3_stmt *statement, int column);

static inline void statement_finalize(sqlite3_stmt **statement)
{
	sqlite3_finalize(*statement);
}
#define _autostatement_ __attribute__((cleanup(statement_finalize)))

/* What was bound is the caller's, and a statement that is not over holds a lock. */
static inline void statement_rest(sqlite3_stmt **statement)
{
	if (!*statement)
		return;
	sqlite3_reset(*statement);
	sqlite3_clear_bindings(*statement);
}
#define _autorest_ __attribute__((cleanup(statement_rest)))

/*
 * A write transaction, rolled back unless committed when it leaves scope:
 *
 *	_cleanup_(db_transaction_end) struct db_transaction transaction = { 0 };
 *	r = db_begin(db, &transaction, reterr);
 *	...
 *	return db_commit(&transaction, reterr);
 */
struct db_transaction {
	struct db *db; /* NULL: not begun, or over */
};
int db_begin(struct db *db, struct db_transaction *transaction, struct err **reterr);
int db_commit(struct db_transaction *transaction, struct err **reterr);
void db_transaction_end(struct db_transaction *transaction);
