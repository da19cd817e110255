#include "engine/container.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codec/names.h"
#include "engine/monitor_link.h"

#define NAME_TRIES 64

struct containers {
	struct map *by_id;   /* struct container *, the reference is ours */
	struct map *by_name; /* borrowed from by_id */
};

struct container *container_new(struct engine *engine, const char *id, const char *name,
	struct container_record *record)
{
	struct container *container = calloc(1, sizeof(*container));
	if (!container)
		return NULL;
	container->engine = engine;
	container->references = 1;
	list_init(&container->operations);
	list_init(&container->requests);
	snprintf(container->id, sizeof(container->id), "%s", id);
	container->name = strdup(name);
	if (!container->name || runstate_init(&container->state) < 0) {
		container_unref(container);
		return NULL;
	}
	container->record = *record;
	*record = (struct container_record){ 0 };
	return container;
}

struct container *container_ref(struct container *container)
{
	container->references++;
	return container;
}

void container_unref(struct container *container)
{
	if (!container || --container->references > 0)
		return;
	monitor_link_forget(container);
	free(container->name);
	json_finish(&container_record_table, &container->record);
	runstate_finish(&container->state);
	free(container);
}

/* --- the registry --- */

struct containers *containers_new(void)
{
	struct containers *containers = calloc(1, sizeof(*containers));
	if (!containers)
		return NULL;
	containers->by_id = map_new(NULL);
	containers->by_name = map_new(NULL);
	if (!containers->by_id || !containers->by_name) {
		containers_free(containers);
		return NULL;
	}
	return containers;
}

void containers_free(struct containers *containers)
{
	if (!containers)
		return;
	struct map_entry *entry;
	map_foreach (entry, containers->by_id)
		container_unref(entry->value);
	map_free(containers->by_id);
	map_free(containers->by_name);
	free(containers);
}

size_t containers_count(const struct containers *containers)
{
	return map_count(containers->by_id);
}

struct container *containers_next(const struct containers *containers, size_t *cursor)
{
	struct map_entry *entry = map_next(containers->by_id, cursor);
	return entry ? entry->value : NULL;
}

struct container *containers_by_id(const struct containers *containers, const char *id)
{
	return map_get(containers->by_id, id);
}

int containers_check_name(const struct containers *containers, const char *name, struct err **reterr)
{
	const struct container *holder = map_get(containers->by_name, name);
	if (!holder)
		return 0;
	return err_set(reterr, ERR_CONFLICT, 0,
		"Conflict. The container name \"/%s\" is already in use by container \"%s\". You have to remove (or rename) "
		"that container to be able to reuse that name.",
		name, holder->id);
}

int containers_add(struct containers *containers, struct container *container, struct err **reterr)
{
	int r = containers_check_name(containers, container->name, reterr);
	if (r < 0)
		return r;
	if (map_set(containers->by_name, container->name, container) < 0)
		return err_oom(reterr);
	if (map_set(containers->by_id, container->id, container) < 0) {
		map_take(containers->by_name, container->name);
		return err_oom(reterr);
	}
	container_ref(container);
	return 0;
}

void containers_remove(struct containers *containers, struct container *container)
{
	if (container->gone)
		return;
	container->gone = true;
	map_take(containers->by_name, container->name);
	map_take(containers->by_id, container->id);
	container_unref(container);
}

int containers_rename(struct containers *containers, struct container *container, const char *name, struct err **reterr)
{
	int r = containers_check_name(containers, name, reterr);
	if (r < 0)
		return r;
	char *copy = strdup(name);
	if (!copy || map_set(containers->by_name, name, container) < 0) {
		free(copy);
		return err_oom(reterr);
	}
	map_take(containers->by_name, container->name);
	free(container->name);
	container->name = copy;
	return 0;
}

static int by_prefix(const struct containers *containers, const char *prefix, struct container **ret,
	struct err **reterr)
{
	struct container *found = NULL;
	struct map_entry *entry;
	size_t len = strlen(prefix);
	map_foreach (entry, containers->by_id) {
		if (strncmp(entry->key, prefix, len) != 0)
			continue;
		if (found)
			return err_set(reterr, ERR_INVALID, 0, "multiple IDs found with provided prefix: %s", prefix);
		found = entry->value;
	}
	if (!found)
		return err_set(reterr, ERR_NOT_FOUND, 0, "No such container: %s", prefix);
	*ret = found;
	return 0;
}

static int look_up(const struct containers *containers, const char *reference, struct container **ret,
	struct err **reterr)
{
	const char *name = reference[0] == '/' ? reference + 1 : reference;
	if (!name[0])
		return err_set(reterr, ERR_INVALID, 0, "No container name or ID supplied");
	struct container *found = map_get(containers->by_id, reference);
	if (!found)
		found = map_get(containers->by_name, name);
	if (!found)
		return by_prefix(containers, reference, ret, reterr);
	*ret = found;
	return 0;
}

int container_find(struct engine *engine, const char *reference, struct container **ret, struct err **reterr)
{
	struct container *found;
	int r = look_up(engine->containers, reference, &found, reterr);
	if (r < 0)
		return r;
	if (!found->link) {
		*ret = found;
		return 0;
	}
	/* What the monitor said may have ended the container altogether, or freed its name for another one. */
	monitor_link_drain(found->link);
	return look_up(engine->containers, reference, ret, reterr);
}

void containers_sync(struct engine *engine)
{
	struct container *container;
	size_t cursor = 0;
	while ((container = containers_next(engine->containers, &cursor))) {
		if (container->link)
			monitor_link_drain(container->link);
	}
}

/* --- names --- */

int container_name_check(const char *name, struct err **reterr)
{
	if (name_is_valid(name))
		return 0;
	if (strlen(name) > NAME_LEN_MAX)
		return err_set(reterr, ERR_INVALID, 0, "Invalid container name: longer than %d characters",
			NAME_LEN_MAX);
	return err_set(reterr, ERR_INVALID, 0, "Invalid container name (%s), only " NAME_GRAMMAR " are allowed",
		name[0] ? name : "/");
}

int container_name_invent(const struct containers *containers, char **ret, struct err **reterr)
{
	for (unsigned attempt = 0; attempt < NAME_TRIES; attempt++) {
		char name[NAME_GENERATED_SIZE];
		name_generate(name, attempt);
		if (map_has(containers->by_name, name))
			continue;
		*ret = strdup(name);
		return *ret ? 0 : err_oom(reterr);
	}
	return err_set(reterr, ERR_CONFLICT, 0, "could not find a free name: give one");
}

/* --- state --- */

bool container_is_running(const struct container *container)
{
	return runstate_is_running(&container->state);
}

bool container_is_paused(const struct container *container)
{
	return strcmp(container->state.status, "paused") == 0;
}

bool container_is_restarting(const struct container *container)
{
	return strcmp(container->state.status, "restarting") == 0;
}

const char *container_status(const struct container *container)
{
	return container->removing ? "removing" : container->state.status;
}

void container_set_state(struct container *container, struct runstate *state)
{
	runstate_finish(&container->state);
	container->state = *state;
	*state = (struct runstate){ 0 };
}

struct map *container_event_attributes(const struct container *container)
{
	struct map *attributes = map_new(free);
	if (!attributes)
		return NULL;
	struct map_entry *entry;
	bool complete = true;
	const struct map *labels = container->record.config.labels;
	for (size_t cursor = 0; complete && labels && (entry = map_next(labels, &cursor));) {
		char *value = strdup(entry->value);
		complete = value && map_set(attributes, entry->key, value) == 0;
		if (!complete)
			free(value);
	}
	const char *const own[][2] = { { "image", container->record.config.image }, { "name", container->name } };
	for (size_t i = 0; complete && i < ARRAY_SIZE(own); i++) {
		char *value = strdup(own[i][1] ? own[i][1] : "");
		complete = value && map_set(attributes, own[i][0], value) == 0;
		if (!complete)
			free(value);
	}
	if (!complete) {
		map_free(attributes);
		return NULL;
	}
	return attributes;
}

int container_save_marks(struct container *container, struct err **reterr)
{
	_cleanup_(buf_finish) struct buf text = BUF_INIT(RUNSTATE_MAX);
	bool has_state = container->was_started && runstate_print(&container->state, &text) == 0;
	const struct container_marks marks = {
		.was_started = container->was_started,
		.stopped_by_user = container->stopped_by_user,
		.state = has_state ? text.data : NULL,
	};
	return records_mark_container(container->engine->records, container->id, container->record.host.auto_remove,
		&marks, reterr);
}
