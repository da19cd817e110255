/*
 * A hash map from strings to pointers that keeps insertion order. Keys are copied; values are borrowed unless a free
 * function is given. Removing inside map_foreach is allowed for the current entry only.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/cleanup.h"

struct map;

struct map_entry {
	char *key;
	void *value;
};

/* `free_value` may be NULL. Returns NULL when out of memory. */
struct map *map_new(void (*free_value)(void *value));
void map_free(struct map *map);
DEFINE_AUTOFREE(map, struct map *, map_free);

size_t map_count(const struct map *map);
void *map_get(const struct map *map, const char *key);
bool map_has(const struct map *map, const char *key);
/* Adds or replaces (freeing the old value). Returns 0 or -ENOMEM; on failure the caller keeps `value`. */
int map_set(struct map *map, const char *key, void *value);
/* Takes the entry out and returns its value without freeing it, or NULL. */
void *map_take(struct map *map, const char *key);
/* Takes the entry out and frees its value. Returns whether there was one. */
bool map_remove(struct map *map, const char *key);

/* Iteration in insertion order: start with *cursor = 0; NULL at the end. */
struct map_entry *map_next(const struct map *map, size_t *cursor);

#define map_foreach(entry, map) for (size_t entry##_cursor = 0; ((entry) = map_next((map), &entry##_cursor)) != NULL;)
