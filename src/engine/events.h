/*
 * Events: what happened, told in order to whoever listens, and kept for a while for those who ask later or come back after
 * the engine was killed. Each is journalled (records.h) before anybody hears of it.
 *
 * A listener is called for each event that its filters let through; it copies what it needs and never waits. What a slow
 * client does not fetch is the listener's business (api/ drops the client).
 */
#pragma once

#include <stdint.h>

#include "base/map.h"
#include "engine/core.h"
#include "engine/filters.h"

/* Kept in memory for `since`; RECORDS_EVENTS_MAX of them in the journal. */

struct events;
struct container;

int events_new(struct engine *engine, struct events **ret, struct err **reterr);
void events_free(struct events *events);

struct event {
	const char *type;       /* container, image, volume, network */
	const char *action;     /* create, die, exec_start: sleep 1, ... */
	const char *actor;      /* ID or name */
	const char *from;       /* containers: their image */
	struct map *attributes; /* borrowed; may be NULL */
	int64_t time_ns;
	/* An event that a monitor numbered: told once. NULL: ours. */
	const char *container;
	int64_t seq;
};

/* Journals and tells. A failure of the journal is logged: what happened has happened. Returns 0 or -errno. */
int events_publish(struct events *events, const struct event *event);

/* Shortcuts: an event of now. `attributes` is taken and may be NULL. */
void events_tell(struct engine *engine, const char *type, const char *action, const char *actor,
	struct map *attributes);
void events_tell_prune(struct engine *engine, const char *type, uint64_t reclaimed);
void events_tell_container(struct container *container, const char *action);
/* Once, however often the removal is begun anew: it is numbered past all that a monitor can say. */
void events_tell_destroy(struct container *container);
/* With more attributes; those without a value are left out. */
void events_tell_container_about(struct container *container, const char *action, const char *const *keys,
	const char *const *values, size_t count);
/* With one more. */
void events_tell_container_with(struct container *container, const char *action, const char *key, const char *value);

/* Filter keys that GET /events knows; for filters_parse. */
extern const char *const events_filter_keys[];

/* `text` is one JSON line with its newline. */
typedef void event_listener_fn(const char *text, size_t len, void *user);
/* The time `until` has come: nothing more is told, and the listener frees its subscription. */
typedef void event_end_fn(void *user);

struct event_subscription;

struct event_wish {
	struct filters *filters; /* taken */
	int64_t since_ns;        /* INT64_MAX: nothing of the past */
	int64_t until_ns;        /* INT64_MAX: for ever */
	event_listener_fn *listen;
	event_end_fn *end; /* from the loop */
	void *user;
};

/* The past is told before this returns. */
int events_subscribe(struct events *events, const struct event_wish *wish, struct event_subscription **ret,
	struct err **reterr);
void event_subscription_free(struct event_subscription *subscription);
size_t events_listeners(const struct events *events);
