/*
 * Volumes: folders data-root/volumes/NAME/_data that outlive containers. The driver is "local" alone. A row is written
 * before a container may use the folder and goes after the folder has been moved away.
 */
#pragma once

#include "engine/container.h"
#include "engine/filters.h"

#define VOLUME_NAME_MAX 255

struct sizes;
struct volumes;

struct volume {
	char *name;
	int64_t created_ns;
	bool anonymous;
	struct map *labels;  /* NULL: none */
	struct map *options; /* likewise: type, device, o */
	char *owner;         /* the AutoRemove container that it goes with */
};

int volumes_new(struct engine *engine, struct volumes **ret, struct err **reterr);
void volumes_free(struct volumes *volumes);

/* An existing one is given back as it is. `name` NULL or "": an anonymous one. Borrows labels and options. */
int volumes_create(struct volumes *volumes, const char *name, const char *driver, const struct map *labels,
	const struct map *options, struct volume **ret, struct err **reterr);
/* For create: an anonymous one of a container, or a named one made on demand. *ret_created tells what to undo. */
int volumes_need(struct volumes *volumes, const char *name, const struct mount_driver *driver, const struct map *labels,
	const char *owner, struct volume **ret, bool *ret_created, struct err **reterr);
/* What the volume's options say it is: its own folder, something else of the host's, or a filesystem of its own. */
enum volume_kind { VOLUME_FOLDER, VOLUME_BIND, VOLUME_FILESYSTEM };
enum volume_kind volume_kind(const struct volume *volume);
/* An option's text; "" if it has none. */
const char *volume_option(const struct volume *volume, const char *key);
/* At a start: ERR_CONFLICT if a volume that lives in memory is another running container's already. Each start makes a
 * filesystem of its own, so they would not share what is in it. */
int volumes_check_start(struct container *container, struct err **reterr);
struct volume *volumes_get(const struct volumes *volumes, const char *name);
/* Names, borrowed: start with *cursor = 0; NULL at the end. */
const char *volumes_next(const struct volumes *volumes, size_t *cursor);

/* ERR_NOT_FOUND, or ERR_CONFLICT "volume is in use" unless nobody uses it. */
int volumes_remove(struct volumes *volumes, const char *name, bool force, struct err **reterr);
/* A container is going away: its anonymous volumes that no other uses, if `remove`. */
int volumes_release(struct volumes *volumes, const struct container *container, bool remove, struct err **reterr);

/* Before a container's event: of a start that its volumes are mounted, of an end that they no longer are. */
void volumes_tell_container(struct container *container, const char *event, int64_t time_ns);

/* Heap path of the folder; NULL when out of memory. */
char *volumes_path(const struct volumes *volumes, const char *name);

/* The grammar of names, in Docker's words. */
int volume_name_check(const char *name, struct err **reterr);

/* --- documents, new references --- */

int volumes_inspect(struct volumes *volumes, const char *name, json_t **ret, struct err **reterr);
extern const char *const volumes_list_filters[];
int volumes_list(struct volumes *volumes, const struct filters *filters, json_t **ret, struct err **reterr);
/* All of them for GET /system/df: an array, each with how many containers use it and how much it holds. */
int volumes_usage(struct volumes *volumes, const struct sizes *sizes, json_t **ret, struct err **reterr);
extern const char *const volumes_prune_filters[];
/* API before 1.42 takes named ones too; later only with the filter all=1. */
int volumes_prune(struct volumes *volumes, const struct filters *filters, bool named_too, const struct sizes *sizes,
	json_t **ret, struct err **reterr);

/* At start-up, when the containers are loaded: those whose AutoRemove container is gone. */
int volumes_sweep(struct volumes *volumes, struct err **reterr);
