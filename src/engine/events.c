#include "engine/events.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/list.h"
#include "base/log.h"
#include "base/strv.h"
#include "engine/container.h"
#include "engine/records.h"
#include "spec/system_info.h"

/* A container may have many labels, all of which are in its events. */
#define EVENT_TEXT_MAX (8 * 1024 * 1024)

#define DESTROY_SEQ INT64_MAX

struct kept_event {
	struct list link;
	int64_t time_ns;
	size_t len;
	char *text;
};

struct events {
	struct engine *engine;
	struct list kept; /* of struct kept_event, the oldest first */
	size_t kept_count;
	struct list subscriptions;
	size_t subscription_count;
};

struct event_subscription {
	struct list link;
	struct events *events;
	struct event_wish wish;
	struct loop_source *timer; /* until */
};

const char *const events_filter_keys[] = { "container", "daemon", "event", "image", "label", "network", "plugin",
	"scope", "service", "node", "secret", "config", "type", "volume", NULL };

static void kept_event_free(struct kept_event *kept)
{
	list_remove(&kept->link);
	free(kept->text);
	free(kept);
}

static int keep(struct events *events, int64_t time_ns, const char *text)
{
	struct kept_event *kept = calloc(1, sizeof(*kept));
	if (!kept)
		return -ENOMEM;
	kept->time_ns = time_ns;
	kept->len = strlen(text);
	kept->text = strdup(text);
	if (!kept->text) {
		free(kept);
		return -ENOMEM;
	}
	list_append(&events->kept, &kept->link);
	if (++events->kept_count > RECORDS_EVENTS_MAX) {
		kept_event_free(container_of(events->kept.next, struct kept_event, link));
		events->kept_count--;
	}
	return 0;
}

static int load_event(int64_t time_ns, const char *text, void *user)
{
	return keep(user, time_ns, text);
}

int events_new(struct engine *engine, struct events **ret, struct err **reterr)
{
	struct events *events = calloc(1, sizeof(*events));
	if (!events)
		return err_oom(reterr);
	events->engine = engine;
	list_init(&events->kept);
	list_init(&events->subscriptions);
	int r = records_each_event(engine->records, load_event, events, reterr);
	if (r < 0) {
		events_free(events);
		return r;
	}
	*ret = events;
	return 0;
}

void events_free(struct events *events)
{
	if (!events)
		return;
	struct kept_event *kept, *next;
	list_foreach_safe (kept, next, &events->kept, link)
		kept_event_free(kept);
	free(events);
}

size_t events_listeners(const struct events *events)
{
	return events->subscription_count;
}

/* --- filters: on the text, so that the journal's events pass through the same ones --- */

static const char *member(json_t *object, const char *key)
{
	const char *value = json_string_value(json_object_get(object, key));
	return value ? value : "";
}

/* `key` names things of one type by ID, by a prefix of it, or by name. */
static bool match_thing(const struct filters *filters, const char *key, const char *type, const char *id,
	json_t *labels)
{
	if (!filters_has(filters, key))
		return true;
	if (strcmp(type, key) != 0)
		return false;
	const char *name = member(labels, "name");
	strv_foreach (wanted, filters_values(filters, key)) {
		if (strcmp(*wanted, id) == 0 || strcmp(*wanted, name) == 0 ||
			strncmp(id, *wanted, strlen(*wanted)) == 0)
			return true;
	}
	return false;
}

/* "box" stands for "box:latest" and for any other tag of it. */
static bool match_image(const struct filters *filters, const char *type, const char *id, json_t *labels)
{
	if (!filters_has(filters, "image"))
		return true;
	const char *name = member(labels, strcmp(type, "image") == 0 ? "name" : "image");
	strv_foreach (wanted, filters_values(filters, "image")) {
		size_t len = strlen(*wanted);
		if (strcmp(*wanted, id) == 0 || strcmp(*wanted, name) == 0)
			return true;
		if (strncmp(name, *wanted, len) == 0 && name[len] == ':')
			return true;
	}
	return false;
}

/* "exec_start" stands for "exec_start: sleep 1" too. */
static bool match_action(const struct filters *filters, const char *action)
{
	if (!filters_has(filters, "event"))
		return true;
	strv_foreach (wanted, filters_values(filters, "event")) {
		size_t len = strlen(*wanted);
		if (strncmp(action, *wanted, len) == 0 && (action[len] == '\0' || action[len] == ':'))
			return true;
	}
	return false;
}

static bool match_labels(const struct filters *filters, json_t *labels)
{
	strv_foreach (wanted, filters_values(filters, "label")) {
		const char *equals = strchr(*wanted, '=');
		_cleanup_free_ char *name = equals ? strndup(*wanted, (size_t)(equals - *wanted)) : strdup(*wanted);
		const char *value = name ? json_string_value(json_object_get(labels, name)) : NULL;
		if (!value || (equals && strcmp(value, equals + 1) != 0))
			return false;
	}
	return true;
}

static bool event_matches(const struct filters *filters, const char *text, size_t len)
{
	_autojson_ json_t *event = json_loadb(text, len, 0, NULL);
	json_t *actor = json_object_get(event, "Actor");
	json_t *labels = json_object_get(actor, "Attributes");
	const char *type = member(event, "Type");
	const char *id = member(actor, "ID");
	return filters_match(filters, "type", type) && match_action(filters, member(event, "Action")) &&
	       match_thing(filters, "container", type, id, labels) &&
	       match_thing(filters, "volume", type, id, labels) && match_thing(filters, "network", type, id, labels) &&
	       match_thing(filters, "daemon", type, id, labels) && match_thing(filters, "plugin", type, id, labels) &&
	       match_thing(filters, "service", type, id, labels) && match_thing(filters, "node", type, id, labels) &&
	       match_thing(filters, "secret", type, id, labels) && match_thing(filters, "config", type, id, labels) &&
	       match_image(filters, type, id, labels) && filters_match(filters, "scope", member(event, "scope")) &&
	       match_labels(filters, labels);
}

static void offer(struct event_subscription *subscription, const struct kept_event *kept)
{
	if (event_matches(subscription->wish.filters, kept->text, kept->len))
		subscription->wish.listen(kept->text, kept->len, subscription->wish.user);
}

/* --- telling --- */

static int event_text(const struct event *event, struct buf *out)
{
	/* The fields are written only. */
	struct event_message message = {
		.type = (char *)event->type,
		.action = (char *)event->action,
		.actor = { .id = (char *)event->actor, .attributes = event->attributes },
		.scope = (char *)"local",
		.time_s = event->time_ns / NS_PER_SEC,
		.time_ns = event->time_ns,
	};
	if (strcmp(event->type, "container") == 0 || strcmp(event->type, "image") == 0) {
		message.status = (char *)event->action;
		message.id = (char *)event->actor;
		message.from = (char *)event->from;
	}
	int r = json_print(&event_message_table, &message, out);
	return r < 0 ? r : buf_putc(out, '\n');
}

int events_publish(struct events *events, const struct event *event)
{
	_cleanup_(buf_finish) struct buf text = BUF_INIT(EVENT_TEXT_MAX);
	_autofree_(err) struct err *err = NULL;
	int r = event_text(event, &text);
	if (r < 0) {
		log_error("cannot write event %s of %s: %s", event->action, event->actor, strerror(-r));
		return r;
	}
	int journalled = records_add_event(events->engine->records, event->time_ns, text.data, event->container,
		event->seq, &err);
	if (journalled < 0)
		log_error("cannot journal event %s of %s: %s", event->action, event->actor, err_message(err));
	r = keep(events, event->time_ns, text.data);
	if (r < 0)
		return r;
	const struct kept_event *kept = container_of(events->kept.prev, struct kept_event, link);
	struct event_subscription *subscription, *next;
	list_foreach_safe (subscription, next, &events->subscriptions, link)
		offer(subscription, kept);
	return journalled;
}

void events_tell(struct engine *engine, const char *type, const char *action, const char *actor, struct map *attributes)
{
	const struct event event = {
		.type = type,
		.action = action,
		.actor = actor,
		.attributes = attributes,
		.time_ns = clock_realtime_ns(),
	};
	events_publish(engine->events, &event);
	map_free(attributes);
}

void events_tell_container_about(struct container *container, const char *action, const char *const *keys,
	const char *const *values, size_t count)
{
	_autofree_(map) struct map *attributes = container_event_attributes(container);
	for (size_t i = 0; attributes && i < count; i++) {
		char *copy = values[i] ? strdup(values[i]) : NULL;
		if (!copy || map_set(attributes, keys[i], copy) < 0)
			free(copy);
	}
	const struct event event = {
		.type = "container",
		.action = action,
		.actor = container->id,
		.from = container->record.config.image,
		.attributes = attributes,
		.time_ns = clock_realtime_ns(),
	};
	events_publish(container->engine->events, &event);
}

void events_tell_prune(struct engine *engine, const char *type, uint64_t reclaimed)
{
	struct map *attributes = map_new(free);
	char *text = NULL;
	if (asprintf(&text, "%llu", (unsigned long long)reclaimed) < 0)
		text = NULL;
	if (!attributes || !text || map_set(attributes, "reclaimed", text) < 0)
		free(text);
	events_tell(engine, type, "prune", "", attributes);
}

void events_tell_container_with(struct container *container, const char *action, const char *key, const char *value)
{
	events_tell_container_about(container, action, &key, &value, 1);
}

void events_tell_container(struct container *container, const char *action)
{
	events_tell_container_about(container, action, NULL, NULL, 0);
}

void events_tell_destroy(struct container *container)
{
	_autofree_(map) struct map *attributes = container_event_attributes(container);
	const struct event event = {
		.type = "container",
		.action = "destroy",
		.actor = container->id,
		.from = container->record.config.image,
		.attributes = attributes,
		.time_ns = clock_realtime_ns(),
		.container = container->id,
		.seq = DESTROY_SEQ,
	};
	if (container->acked_seq == DESTROY_SEQ)
		return;
	if (events_publish(container->engine->events, &event) == 0)
		container->acked_seq = DESTROY_SEQ;
}

/* --- listening --- */

static void on_until(struct loop_source *source, void *data)
{
	struct event_subscription *subscription = data;
	(void)source;
	subscription->wish.end(subscription->wish.user);
}

/* Wall clock to the loop's: a clock that is set meanwhile moves it. */
static int64_t until_deadline(int64_t until_ns)
{
	if (until_ns == INT64_MAX)
		return LOOP_NEVER;
	int64_t left_ms = until_ns / NS_PER_MS - clock_realtime_ns() / NS_PER_MS + 1;
	int64_t now_ms = clock_monotonic_ms();
	return left_ms <= 0 ? now_ms : left_ms > LOOP_NEVER - 1 - now_ms ? LOOP_NEVER : now_ms + left_ms;
}

int events_subscribe(struct events *events, const struct event_wish *wish, struct event_subscription **ret,
	struct err **reterr)
{
	struct event_subscription *subscription = calloc(1, sizeof(*subscription));
	if (!subscription) {
		filters_free(wish->filters);
		return err_oom(reterr);
	}
	subscription->events = events;
	subscription->wish = *wish;
	list_append(&events->subscriptions, &subscription->link);
	events->subscription_count++;
	int r = loop_add_timer(events->engine->loop, until_deadline(wish->until_ns), on_until, subscription,
		&subscription->timer);
	if (r < 0) {
		event_subscription_free(subscription);
		return err_errno(reterr, r, "cannot watch for events");
	}
	struct kept_event *kept;
	list_foreach (kept, &events->kept, link) {
		if (kept->time_ns >= wish->since_ns && kept->time_ns <= wish->until_ns)
			offer(subscription, kept);
	}
	*ret = subscription;
	return 0;
}

void event_subscription_free(struct event_subscription *subscription)
{
	if (!subscription)
		return;
	list_remove(&subscription->link);
	subscription->events->subscription_count--;
	loop_source_free(subscription->timer);
	filters_free(subscription->wish.filters);
	free(subscription);
}
