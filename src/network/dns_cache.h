/*
 * Answers of servers, as long as they are good: at most DNS_CACHE_ENTRIES of them and DNS_CACHE_BYTES in all; what was used
 * longest ago goes first.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "network/dns_message.h"

#define DNS_CACHE_ENTRIES    2048
#define DNS_CACHE_BYTES      (1024 * 1024)
#define DNS_CACHE_ANSWER_MAX (16 * 1024) /* bytes of one that is kept */

struct dns_cache;

int dns_cache_new(struct dns_cache **ret);
void dns_cache_free(struct dns_cache *cache);
DEFINE_AUTOFREE(dns_cache, struct dns_cache *, dns_cache_free);

/* Keys are the question without regard to case, and `variant`: what else in a query makes for another answer. */

/* Borrowed until the next call; `ret_age_s` is for rendering. NULL: none that is still good. */
const struct dns_answer *dns_cache_get(struct dns_cache *cache, const struct dns_question *question, unsigned variant,
	int64_t now_ms, uint32_t *ret_age_s);
/* Copies. One that can't be kept is not: no error. */
void dns_cache_put(struct dns_cache *cache, const struct dns_question *question, unsigned variant, int64_t now_ms,
	const struct dns_answer *answer);

/* Bytes that are kept now. */
size_t dns_cache_bytes(const struct dns_cache *cache);
