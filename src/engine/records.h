/*
 * What the engine remembers, in two databases of its own.
 *
 *	data-root/engine.db      containers, volumes: safe from a power cut once a call here returned
 *	exec-root/engine-run.db  containers with AutoRemove, the journal of events, and how far each monitor's events have
 *	                         been told: on tmpfs, no fsync, gone with a power cut, as are the monitors' state files
 *
 * A row of a container is its document (struct container_record) as create made it, and beside it what changes later. An
 * event and the mark that it was told are one transaction: after a crash it is neither lost nor told twice.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "spec/container_inspect.h"

#define RECORDS_EVENTS_MAX 1024

struct records;

/* A number that another call of this returns again only if no container and no volume was written meanwhile. Never 0. */
uint64_t records_generation(const struct records *records);

int records_open(const char *data_root, const char *exec_root, struct records **ret, struct err **reterr);
void records_free(struct records *records);
DEFINE_AUTOFREE(records, struct records *, records_free);

/* A value that is made once and kept: the installation's ID. `fresh` is stored if there is none. Returns heap. */
int records_identity(struct records *records, const char *fresh, char **ret, struct err **reterr);

/* --- containers --- */

/* What was decided for the container on one network; what was asked for is in `networking`. */
struct record_leg {
	char *network_id;
	char *endpoint_id;
	char *interface;
	char *ipv4; /* NULL: none */
	char *ipv6;
};

/* The document of a row. */
struct container_record {
	int64_t created_ns;
	char *image_id; /* "sha256:HEX" */
	struct container_config config;
	struct host_config host;
	struct networking_config networking;
	struct record_leg *legs;
	size_t leg_count;
	struct mount_point *mounts; /* binds and volumes, resolved by create */
	size_t mount_count;
};

extern const struct json_table container_record_table;

/* What a row holds beside the document; changes are not urgent (a power cut may lose the last ones). */
struct container_marks {
	bool was_started;
	bool stopped_by_user;
	const char *state; /* runstate text of the last exit, NULL: none; borrowed */
};

struct record_row {
	const char *id;
	const char *name;
	bool auto_remove;
	bool removing;
	const char *document;
	struct container_marks marks;
	int64_t acked_seq;
};
/* Strings are borrowed for the call; non-zero ends the walk. */
typedef int record_row_fn(const struct record_row *row, void *user, struct err **reterr);
int records_each_container(struct records *records, record_row_fn *fn, void *user, struct err **reterr);

int records_add_container(struct records *records, const char *id, const char *name,
	const struct container_record *record, struct err **reterr);
int records_rename_container(struct records *records, const char *id, const char *name, bool auto_remove,
	struct err **reterr);
int records_update_container(struct records *records, const char *id, const struct container_record *record,
	struct err **reterr);
int records_mark_container(struct records *records, const char *id, bool auto_remove,
	const struct container_marks *marks, struct err **reterr);
/* The intent of a removal: from here on it only goes forward. */
int records_mark_removing(struct records *records, const char *id, bool auto_remove, struct err **reterr);
int records_remove_container(struct records *records, const char *id, bool auto_remove, struct err **reterr);

/* --- volumes --- */

struct volume_row {
	const char *name;
	int64_t created_ns;
	bool anonymous;
	const char *labels; /* JSON objects; NULL: none */
	const char *options;
	const char *owner; /* an AutoRemove container that it goes with, or NULL */
};
typedef int volume_row_fn(const struct volume_row *row, void *user, struct err **reterr);
int records_each_volume(struct records *records, volume_row_fn *fn, void *user, struct err **reterr);
int records_add_volume(struct records *records, const struct volume_row *row, struct err **reterr);
int records_remove_volume(struct records *records, const char *name, struct err **reterr);

/* --- networks --- */

/* Strings are borrowed for the call; `document` is a struct network_info. */
typedef int network_row_fn(const char *id, const char *document, void *user, struct err **reterr);
int records_each_network(struct records *records, network_row_fn *fn, void *user, struct err **reterr);
/* A new one, or in the place of the one with this ID. */
int records_put_network(struct records *records, const char *id, const struct network_info *info, struct err **reterr);
int records_remove_network(struct records *records, const char *id, struct err **reterr);

/* --- the journal of events --- */

/* `container` with `seq`: the container's own event of that number, which is told by this. NULL: an event of ours. */
int records_add_event(struct records *records, int64_t time_ns, const char *text, const char *container, int64_t seq,
	struct err **reterr);
typedef int record_event_fn(int64_t time_ns, const char *text, void *user);
/* In order. */
int records_each_event(struct records *records, record_event_fn *fn, void *user, struct err **reterr);
