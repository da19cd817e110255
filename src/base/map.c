/*
 * Two arrays: `entries` in insertion order, a removed one leaving a hole (key NULL), and `slots`, an open-addressed
 * table of indices into it. Both are rebuilt when holes and entries fill three quarters of the slots. The hash is
 * SipHash-free on purpose: keys from outside (names, ids) are bounded in number by what the engine keeps, and FNV-1a is
 * salted per map with the pointer's entropy.
 */
#include "base/map.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

#define SLOT_EMPTY UINT32_MAX

struct map {
	struct map_entry *entries;
	uint32_t *slots;
	size_t slot_count; /* a power of two, or 0 */
	size_t used;       /* entries in use and holes */
	size_t count;
	uint32_t salt;
	void (*free_value)(void *value);
};

static uint32_t map_hash(const struct map *map, const char *key)
{
	uint32_t hash = 2166136261u ^ map->salt;
	for (; *key; key++)
		hash = (hash ^ (uint8_t)*key) * 16777619u;
	return hash ^ (hash >> 15);
}

struct map *map_new(void (*free_value)(void *value))
{
	struct map *map = calloc(1, sizeof *map);
	if (!map)
		return NULL;
	map->free_value = free_value;
	map->salt = (uint32_t)((uintptr_t)map >> 4);
	return map;
}

void map_free(struct map *map)
{
	if (!map)
		return;
	for (size_t i = 0; i < map->used; i++) {
		if (map->entries[i].key && map->free_value)
			map->free_value(map->entries[i].value);
		free(map->entries[i].key);
	}
	free(map->entries);
	free(map->slots);
	free(map);
}

size_t map_count(const struct map *map)
{
	return map->count;
}

static struct map_entry *map_find(const struct map *map, const char *key)
{
	if (!map->slot_count)
		return NULL;
	size_t mask = map->slot_count - 1;
	for (size_t i = map_hash(map, key) & mask; map->slots[i] != SLOT_EMPTY; i = (i + 1) & mask) {
		struct map_entry *entry = &map->entries[map->slots[i]];
		if (entry->key && strcmp(entry->key, key) == 0)
			return entry;
	}
	return NULL;
}

void *map_get(const struct map *map, const char *key)
{
	struct map_entry *entry = map_find(map, key);
	return entry ? entry->value : NULL;
}

bool map_has(const struct map *map, const char *key)
{
	return map_find(map, key) != NULL;
}

static void map_slot_insert(struct map *map, uint32_t index)
{
	size_t mask = map->slot_count - 1;
	size_t i = map_hash(map, map->entries[index].key) & mask;
	while (map->slots[i] != SLOT_EMPTY)
		i = (i + 1) & mask;
	map->slots[i] = index;
}

static int map_rebuild(struct map *map)
{
	size_t slot_count = 16;
	while (slot_count * 3 / 4 <= map->count * 2)
		slot_count *= 2;

	struct map_entry *entries = calloc(slot_count * 3 / 4, sizeof *entries);
	uint32_t *slots = malloc(slot_count * sizeof *slots);
	if (!entries || !slots) {
		free(entries);
		free(slots);
		return -ENOMEM;
	}
	memset(slots, 0xff, slot_count * sizeof *slots);

	size_t used = 0;
	for (size_t i = 0; i < map->used; i++)
		if (map->entries[i].key)
			entries[used++] = map->entries[i];
	free(map->entries);
	free(map->slots);
	map->entries = entries;
	map->slots = slots;
	map->slot_count = slot_count;
	map->used = used;
	for (uint32_t i = 0; i < used; i++)
		map_slot_insert(map, i);
	return 0;
}

int map_set(struct map *map, const char *key, void *value)
{
	struct map_entry *entry = map_find(map, key);
	if (entry) {
		if (map->free_value && entry->value != value)
			map->free_value(entry->value);
		entry->value = value;
		return 0;
	}

	if (map->used >= map->slot_count * 3 / 4) {
		int ret = map_rebuild(map);
		if (ret < 0)
			return ret;
	}
	char *copy = strdup(key);
	if (!copy)
		return -ENOMEM;
	map->entries[map->used] = (struct map_entry){ copy, value };
	map_slot_insert(map, (uint32_t)map->used);
	map->used++;
	map->count++;
	return 0;
}

void *map_take(struct map *map, const char *key)
{
	struct map_entry *entry = map_find(map, key);
	if (!entry)
		return NULL;
	void *value = entry->value;
	free(entry->key);
	*entry = (struct map_entry){ NULL, NULL };
	map->count--;
	return value;
}

bool map_remove(struct map *map, const char *key)
{
	if (!map_has(map, key))
		return false;
	void *value = map_take(map, key);
	if (map->free_value)
		map->free_value(value);
	return true;
}

struct map_entry *map_next(const struct map *map, size_t *cursor)
{
	while (*cursor < map->used) {
		struct map_entry *entry = &map->entries[(*cursor)++];
		if (entry->key)
			return entry;
	}
	return NULL;
}
