#include "engine/records.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codec/json.h"
#include "store/db.h"

/* Rows are ours, but a create body of 4 MiB may be in one, written with other escapes. */
#define RECORD_TEXT_MAX (32 * 1024 * 1024)

struct records {
	struct db *durable;
	struct db *run;
	uint64_t generation;
};

#define CONTAINERS_SCHEMA                                                                    \
 "CREATE TABLE containers (id TEXT PRIMARY KEY, name TEXT NOT NULL, document TEXT NOT NULL," \
 " was_started INTEGER NOT NULL DEFAULT 0, stopped_by_user INTEGER NOT NULL DEFAULT 0,"      \
 " state TEXT, removing INTEGER NOT NULL DEFAULT 0);"

static const char *const durable_upgrades[] = {
	CONTAINERS_SCHEMA
	"CREATE TABLE volumes (name TEXT PRIMARY KEY, created INTEGER NOT NULL, anonymous INTEGER NOT NULL,"
	" labels TEXT, options TEXT, owner TEXT);"
	"CREATE TABLE identity (id TEXT NOT NULL);",
	"CREATE TABLE networks (id TEXT PRIMARY KEY, document TEXT NOT NULL);",
};

static const char *const run_upgrades[] = {
	CONTAINERS_SCHEMA "CREATE TABLE events (seq INTEGER PRIMARY KEY, time INTEGER NOT NULL, text TEXT NOT NULL);"
			  "CREATE TABLE acked (container TEXT PRIMARY KEY, seq INTEGER NOT NULL);",
};

static const struct json_field record_leg_fields[] = {
	JSON_FIELD(struct record_leg, network_id, "NetworkID", JSON_STRING_FIELD, .flags = JSON_REQUIRED),
	JSON_FIELD(struct record_leg, endpoint_id, "EndpointID", JSON_STRING_FIELD, .flags = JSON_REQUIRED),
	JSON_FIELD(struct record_leg, interface, "Interface", JSON_STRING_FIELD, .flags = JSON_REQUIRED),
	JSON_FIELD(struct record_leg, ipv4, "IPv4", JSON_STRING_FIELD, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct record_leg, ipv6, "IPv6", JSON_STRING_FIELD, .flags = JSON_OMITEMPTY),
};
static const struct json_table record_leg_table = JSON_TABLE(struct record_leg, record_leg_fields);

static const struct json_field container_record_fields[] = {
	JSON_FIELD(struct container_record, created_ns, "Created", JSON_INT),
	JSON_FIELD(struct container_record, image_id, "ImageID", JSON_STRING_FIELD, .flags = JSON_EMPTYNULL),
	JSON_FIELD(struct container_record, config, "Config", JSON_OBJECT_FIELD, .table = &container_config_table),
	JSON_FIELD(struct container_record, host, "HostConfig", JSON_OBJECT_FIELD, .table = &host_config_table),
	JSON_FIELD(struct container_record, networking, "Networking", JSON_OBJECT_FIELD,
		.table = &networking_config_table),
	JSON_FIELD_ARRAY(struct container_record, legs, leg_count, "Legs", JSON_OBJECTS, .table = &record_leg_table,
		.flags = JSON_OMITEMPTY),
	JSON_FIELD_ARRAY(struct container_record, mounts, mount_count, "Mounts", JSON_OBJECTS,
		.table = &mount_point_table),
};
const struct json_table container_record_table = JSON_TABLE(struct container_record, container_record_fields);

static int open_one(const char *folder, const char *name, const char *const *upgrades, int upgrade_count, bool durable,
	struct db **ret, struct err **reterr)
{
	_cleanup_free_ char *path = NULL;
	if (asprintf(&path, "%s/%s", folder, name) < 0) {
		path = NULL;
		return err_oom(reterr);
	}
	_autofree_(db) struct db *db = NULL;
	int r = db_open(path, name, upgrades, upgrade_count, &db, reterr);
	if (r == 0)
		db_set_durable(db, durable);
	/* The caller holds the lock that keeps others out; this saves SQLite from asking for its own each time. */
	if (r == 0)
		r = db_run(db, reterr, "PRAGMA locking_mode = EXCLUSIVE", "");
	if (r < 0)
		return r;
	*ret = TAKE(db);
	return 0;
}

int records_open(const char *data_root, const char *exec_root, struct records **ret, struct err **reterr)
{
	_autofree_(records) struct records *records = calloc(1, sizeof(*records));
	if (!records)
		return err_oom(reterr);
	int r = open_one(data_root, "engine.db", durable_upgrades, ARRAY_SIZE(durable_upgrades), true,
		&records->durable, reterr);
	if (r == 0)
		r = open_one(exec_root, "engine-run.db", run_upgrades, ARRAY_SIZE(run_upgrades), false, &records->run,
			reterr);
	if (r < 0)
		return r;
	records->generation = 1;
	*ret = TAKE(records);
	return 0;
}

uint64_t records_generation(const struct records *records)
{
	return records->generation;
}

void records_free(struct records *records)
{
	if (!records)
		return;
	db_free(records->durable);
	db_free(records->run);
	free(records);
}

int records_identity(struct records *records, const char *fresh, char **ret, struct err **reterr)
{
	int r = db_run(records->durable, reterr,
		"INSERT INTO identity SELECT ?1 WHERE NOT EXISTS (SELECT 1 FROM identity)", "s", fresh);
	if (r < 0)
		return r;
	_autostatement_ sqlite3_stmt *statement = NULL;
	r = db_prepare(records->durable, &statement, reterr, "SELECT id FROM identity", "");
	if (r < 0)
		return r;
	r = db_step(records->durable, statement, reterr);
	if (r < 0)
		return r;
	*ret = strdup(r > 0 ? db_text(statement, 0) : fresh);
	return *ret ? 0 : err_oom(reterr);
}

static struct db *db_of(const struct records *records, bool auto_remove)
{
	return auto_remove ? records->run : records->durable;
}

static struct db *db_to_change(struct records *records, bool auto_remove)
{
	records->generation++;
	return db_of(records, auto_remove);
}

/* --- containers --- */

static int acked_seq(struct records *records, const char *id, int64_t *ret, struct err **reterr)
{
	return db_get_int(records->run, 0, ret, reterr, "SELECT seq FROM acked WHERE container = ?1", "s", id);
}

static int each_container(struct records *records, bool auto_remove, record_row_fn *fn, void *user, struct err **reterr)
{
	struct db *db = db_of(records, auto_remove);
	_autostatement_ sqlite3_stmt *statement = NULL;
	int r = db_prepare(db, &statement, reterr,
		"SELECT id, name, document, was_started, stopped_by_user, state, removing FROM containers ORDER BY rowid",
		"");
	if (r < 0)
		return r;
	while ((r = db_step(db, statement, reterr)) > 0) {
		struct record_row row = {
			.id = db_text(statement, 0),
			.name = db_text(statement, 1),
			.auto_remove = auto_remove,
			.removing = sqlite3_column_int(statement, 6) != 0,
			.document = db_text(statement, 2),
			.marks = { .was_started = sqlite3_column_int(statement, 3) != 0,
				.stopped_by_user = sqlite3_column_int(statement, 4) != 0,
				.state = sqlite3_column_type(statement, 5) == SQLITE_NULL ? NULL
											  : db_text(statement, 5) },
		};
		r = acked_seq(records, row.id, &row.acked_seq, reterr);
		if (r == 0)
			r = fn(&row, user, reterr);
		if (r != 0)
			return r;
	}
	return r;
}

int records_each_container(struct records *records, record_row_fn *fn, void *user, struct err **reterr)
{
	int r = each_container(records, false, fn, user, reterr);
	return r ? r : each_container(records, true, fn, user, reterr);
}

static int record_text(const struct container_record *record, struct buf *text, struct err **reterr)
{
	int r = json_print(&container_record_table, record, text);
	return r < 0 ? err_errno(reterr, r, "cannot write the container's record") : 0;
}

int records_add_container(struct records *records, const char *id, const char *name,
	const struct container_record *record, struct err **reterr)
{
	_cleanup_(buf_finish) struct buf text = BUF_INIT(RECORD_TEXT_MAX);
	int r = record_text(record, &text, reterr);
	if (r < 0)
		return r;
	return db_run(db_to_change(records, record->host.auto_remove), reterr,
		"INSERT INTO containers (id, name, document) VALUES (?1, ?2, ?3)", "sss", id, name, text.data);
}

int records_rename_container(struct records *records, const char *id, const char *name, bool auto_remove,
	struct err **reterr)
{
	return db_run(db_to_change(records, auto_remove), reterr, "UPDATE containers SET name = ?2 WHERE id = ?1", "ss",
		id, name);
}

int records_update_container(struct records *records, const char *id, const struct container_record *record,
	struct err **reterr)
{
	_cleanup_(buf_finish) struct buf text = BUF_INIT(RECORD_TEXT_MAX);
	int r = record_text(record, &text, reterr);
	if (r < 0)
		return r;
	return db_run(db_to_change(records, record->host.auto_remove), reterr,
		"UPDATE containers SET document = ?2 WHERE id = ?1", "ss", id, text.data);
}

int records_mark_container(struct records *records, const char *id, bool auto_remove,
	const struct container_marks *marks, struct err **reterr)
{
	struct db *db = db_to_change(records, auto_remove);
	db_set_durable(db, false);
	int r = db_run(db, reterr,
		"UPDATE containers SET was_started = ?2, stopped_by_user = ?3, state = ?4 WHERE id = ?1", "siis", id,
		(int64_t)marks->was_started, (int64_t)marks->stopped_by_user, marks->state);
	db_set_durable(db, !auto_remove);
	return r;
}

int records_mark_removing(struct records *records, const char *id, bool auto_remove, struct err **reterr)
{
	return db_run(db_to_change(records, auto_remove), reterr, "UPDATE containers SET removing = 1 WHERE id = ?1",
		"s", id);
}

int records_remove_container(struct records *records, const char *id, bool auto_remove, struct err **reterr)
{
	int r = db_run(db_to_change(records, auto_remove), reterr, "DELETE FROM containers WHERE id = ?1", "s", id);
	return r < 0 ? r : db_run(records->run, reterr, "DELETE FROM acked WHERE container = ?1", "s", id);
}

/* --- volumes --- */

static const char *text_or_null(sqlite3_stmt *statement, int column)
{
	return sqlite3_column_type(statement, column) == SQLITE_NULL ? NULL : db_text(statement, column);
}

int records_each_volume(struct records *records, volume_row_fn *fn, void *user, struct err **reterr)
{
	_autostatement_ sqlite3_stmt *statement = NULL;
	int r = db_prepare(records->durable, &statement, reterr,
		"SELECT name, created, anonymous, labels, options, owner FROM volumes ORDER BY rowid", "");
	if (r < 0)
		return r;
	while ((r = db_step(records->durable, statement, reterr)) > 0) {
		const struct volume_row row = {
			.name = db_text(statement, 0),
			.created_ns = sqlite3_column_int64(statement, 1),
			.anonymous = sqlite3_column_int(statement, 2) != 0,
			.labels = text_or_null(statement, 3),
			.options = text_or_null(statement, 4),
			.owner = text_or_null(statement, 5),
		};
		r = fn(&row, user, reterr);
		if (r != 0)
			return r;
	}
	return r;
}

int records_add_volume(struct records *records, const struct volume_row *row, struct err **reterr)
{
	return db_run(db_to_change(records, false), reterr, "INSERT INTO volumes VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
		"siisss", row->name, row->created_ns, (int64_t)row->anonymous, row->labels, row->options, row->owner);
}

int records_remove_volume(struct records *records, const char *name, struct err **reterr)
{
	return db_run(db_to_change(records, false), reterr, "DELETE FROM volumes WHERE name = ?1", "s", name);
}

/* --- networks --- */

int records_each_network(struct records *records, network_row_fn *fn, void *user, struct err **reterr)
{
	_autostatement_ sqlite3_stmt *statement = NULL;
	int r = db_prepare(records->durable, &statement, reterr, "SELECT id, document FROM networks ORDER BY rowid",
		"");
	if (r < 0)
		return r;
	while ((r = db_step(records->durable, statement, reterr)) > 0) {
		r = fn(db_text(statement, 0), db_text(statement, 1), user, reterr);
		if (r != 0)
			return r;
	}
	return r;
}

int records_put_network(struct records *records, const char *id, const struct network_info *info, struct err **reterr)
{
	_cleanup_(buf_finish) struct buf text = BUF_INIT(RECORD_TEXT_MAX);
	int r = json_print(&network_info_table, info, &text);
	if (r < 0)
		return err_errno(reterr, r, "cannot write the network's record");
	return db_run(db_to_change(records, false), reterr,
		"INSERT INTO networks VALUES (?1, ?2) ON CONFLICT (id) DO UPDATE SET document = ?2", "ss", id,
		text.data);
}

int records_remove_network(struct records *records, const char *id, struct err **reterr)
{
	return db_run(db_to_change(records, false), reterr, "DELETE FROM networks WHERE id = ?1", "s", id);
}

/* --- the journal of events --- */

int records_add_event(struct records *records, int64_t time_ns, const char *text, const char *container, int64_t seq,
	struct err **reterr)
{
	_cleanup_(db_transaction_end) struct db_transaction transaction = { 0 };
	int r = db_begin(records->run, &transaction, reterr);
	if (r < 0)
		return r;
	r = db_run(records->run, reterr, "INSERT INTO events (time, text) VALUES (?1, ?2)", "is", time_ns, text);
	if (r == 0)
		r = db_run(records->run, reterr, "DELETE FROM events WHERE seq <= (SELECT MAX(seq) FROM events) - ?1",
			"i", (int64_t)RECORDS_EVENTS_MAX);
	if (r == 0 && container)
		r = db_run(records->run, reterr, "INSERT OR REPLACE INTO acked VALUES (?1, ?2)", "si", container, seq);
	return r < 0 ? r : db_commit(&transaction, reterr);
}

int records_each_event(struct records *records, record_event_fn *fn, void *user, struct err **reterr)
{
	_autostatement_ sqlite3_stmt *statement = NULL;
	int r = db_prepare(records->run, &statement, reterr, "SELECT time, text FROM events ORDER BY seq", "");
	if (r < 0)
		return r;
	while ((r = db_step(records->run, statement, reterr)) > 0) {
		r = fn(sqlite3_column_int64(statement, 0), db_text(statement, 1), user);
		if (r != 0)
			return r;
	}
	return r;
}
