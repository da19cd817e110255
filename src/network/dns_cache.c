#include "network/dns_cache.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <sys/random.h>

#include "base/list.h"

#define BUCKETS 4096 /* a power of two */

struct entry {
	struct list recent; /* the last used first */
	struct entry *next; /* of its bucket */
	size_t bucket;
	unsigned variant;
	int64_t since_ms;
	size_t bytes;
	struct dns_question question; /* folded */
	struct dns_answer answer;
};

struct dns_cache {
	uint64_t seed; /* containers choose the names: chains must not be theirs to make */
	struct list recent;
	size_t count;
	size_t bytes;
	struct entry *buckets[BUCKETS];
};

int dns_cache_new(struct dns_cache **ret)
{
	struct dns_cache *cache = calloc(1, sizeof(*cache));

	if (!cache)
		return -ENOMEM;
	if (getrandom(&cache->seed, sizeof(cache->seed), 0) != sizeof(cache->seed)) {
		free(cache);
		return -EIO;
	}
	list_init(&cache->recent);
	*ret = cache;
	return 0;
}

static void drop(struct dns_cache *cache, struct entry *entry)
{
	struct entry **at = &cache->buckets[entry->bucket];

	while (*at != entry)
		at = &(*at)->next;
	*at = entry->next;
	list_remove(&entry->recent);
	cache->count--;
	cache->bytes -= entry->bytes;
	free(entry); /* with the answer in it */
}

static struct entry *oldest(struct dns_cache *cache)
{
	return container_of(cache->recent.prev, struct entry, recent);
}

void dns_cache_free(struct dns_cache *cache)
{
	if (!cache)
		return;
	while (!list_is_empty(&cache->recent))
		drop(cache, oldest(cache));
	free(cache);
}

static size_t bucket_of(const struct dns_cache *cache, const struct dns_question *folded, unsigned variant)
{
	uint64_t hash = cache->seed ^ ((uint64_t)folded->type << 32 | folded->class << 8 | variant);

	for (size_t i = 0; i < folded->name.len; i++) {
		hash = (hash ^ folded->name.wire[i]) * 0x9e3779b97f4a7c15ULL;
		hash ^= hash >> 32;
	}
	return hash & (BUCKETS - 1);
}

static struct entry *find(const struct dns_cache *cache, size_t bucket, const struct dns_question *folded,
	unsigned variant)
{
	struct entry *entry = cache->buckets[bucket];

	for (; entry; entry = entry->next)
		if (entry->variant == variant && entry->question.type == folded->type &&
			entry->question.class == folded->class && entry->question.name.len == folded->name.len &&
			memcmp(entry->question.name.wire, folded->name.wire, folded->name.len) == 0)
			break;
	return entry;
}

const struct dns_answer *dns_cache_get(struct dns_cache *cache, const struct dns_question *question, unsigned variant,
	int64_t now_ms, uint32_t *ret_age_s)
{
	struct dns_question folded = *question;

	dns_name_fold(&folded.name);
	struct entry *entry = find(cache, bucket_of(cache, &folded, variant), &folded, variant);
	if (!entry)
		return NULL;
	int64_t age_s = (now_ms - entry->since_ms) / 1000;
	if (age_s >= entry->answer.ttl_s) {
		drop(cache, entry);
		return NULL;
	}
	list_remove(&entry->recent);
	list_prepend(&cache->recent, &entry->recent);
	*ret_age_s = (uint32_t)age_s;
	return &entry->answer;
}

/* One piece of memory: the entry, the marks, the bytes. */
static struct entry *entry_new(const struct dns_answer *answer)
{
	size_t marks_bytes = answer->mark_count * sizeof(*answer->marks);
	size_t bytes = sizeof(struct entry) + marks_bytes + answer->len;
	struct entry *entry = malloc(bytes);

	if (!entry)
		return NULL;
	entry->bytes = bytes;
	entry->answer = *answer;
	entry->answer.marks = (struct dns_mark *)(entry + 1);
	entry->answer.wire = (uint8_t *)(entry + 1) + marks_bytes;
	if (marks_bytes)
		memcpy(entry->answer.marks, answer->marks, marks_bytes);
	/* The header's place is written when it is rendered, and never read. */
	memset(entry->answer.wire, 0, DNS_HEADER_BYTES);
	memcpy(entry->answer.wire + DNS_HEADER_BYTES, answer->wire + DNS_HEADER_BYTES, answer->len - DNS_HEADER_BYTES);
	return entry;
}

void dns_cache_put(struct dns_cache *cache, const struct dns_question *question, unsigned variant, int64_t now_ms,
	const struct dns_answer *answer)
{
	struct dns_question folded = *question;

	dns_name_fold(&folded.name);
	size_t bucket = bucket_of(cache, &folded, variant);
	struct entry *entry = find(cache, bucket, &folded, variant);
	if (entry)
		drop(cache, entry);
	if (answer->ttl_s == 0 || answer->len > DNS_CACHE_ANSWER_MAX)
		return;
	entry = entry_new(answer);
	if (!entry)
		return;
	while (cache->count && (cache->count == DNS_CACHE_ENTRIES || cache->bytes + entry->bytes > DNS_CACHE_BYTES))
		drop(cache, oldest(cache));
	entry->question = folded;
	entry->variant = variant;
	entry->since_ms = now_ms;
	entry->bucket = bucket;
	entry->next = cache->buckets[bucket];
	cache->buckets[bucket] = entry;
	list_prepend(&cache->recent, &entry->recent);
	cache->count++;
	cache->bytes += entry->bytes;
}

size_t dns_cache_bytes(const struct dns_cache *cache)
{
	return cache->bytes;
}
