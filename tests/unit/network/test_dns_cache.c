#include <stdio.h>
#include <string.h>

#include "../unit.h"
#include "network/dns_cache.h"

static struct dns_question question(const char *name)
{
	struct dns_question q = { .type = DNS_A, .class = DNS_IN };
	assert_int_equal(dns_name_from_text(name, &q.name), 0);
	return q;
}

static int setup(void **state)
{
	return dns_cache_new((struct dns_cache **)state);
}

static int teardown(void **state)
{
	dns_cache_free(*state);
	return 0;
}

static void put(struct dns_cache *cache, const char *name, uint32_t ttl_s, size_t records, int64_t now_ms)
{
	struct dns_question q = question(name);
	struct dns_answer answer;

	assert_int_equal(dns_answer_init(&answer), 0);
	dns_answer_begin(&answer, &q, DNS_NOERROR);
	for (size_t i = 0; i < records; i++)
		assert_int_equal(dns_answer_add(&answer, DNS_A, ttl_s, "\1\2\3\4", 4), 0);
	answer.ttl_s = ttl_s;
	dns_cache_put(cache, &q, 0, now_ms, &answer);
	dns_answer_finish(&answer);
}

static const struct dns_answer *get(struct dns_cache *cache, const char *name, int64_t now_ms)
{
	struct dns_question q = question(name);
	uint32_t age_s;
	return dns_cache_get(cache, &q, 0, now_ms, &age_s);
}

static void kept_as_long_as_it_is_good(void **state)
{
	struct dns_question q = question("WEB.example");
	uint32_t age_s = 0;

	put(*state, "web.EXAMPLE", 10, 2, 1000);
	const struct dns_answer *answer = dns_cache_get(*state, &q, 0, 10999, &age_s);
	assert_non_null(answer);
	assert_int_equal(age_s, 9);
	assert_int_equal(answer->counts[0], 2);
	assert_null(dns_cache_get(*state, &q, 1, 1000, &age_s)); /* another variant */
	assert_null(get(*state, "web.example", 11000));
	assert_int_equal(dns_cache_bytes(*state), 0);
	put(*state, "web.example", 0, 1, 1000);
	assert_null(get(*state, "web.example", 1000));
}

static void the_newest_replaces(void **state)
{
	put(*state, "a", 10, 1, 0);
	put(*state, "a", 10, 3, 0);
	assert_int_equal(get(*state, "a", 0)->counts[0], 3);
}

static void entries_have_a_limit_and_the_oldest_goes(void **state)
{
	char name[32];

	put(*state, "first", 10, 1, 0);
	put(*state, "second", 10, 1, 0);
	for (int i = 2; i < DNS_CACHE_ENTRIES; i++) {
		snprintf(name, sizeof(name), "n%d", i);
		put(*state, name, 10, 1, 0);
	}
	assert_non_null(get(*state, "first", 0)); /* used: the second is the oldest now */
	put(*state, "one-more", 10, 1, 0);
	assert_non_null(get(*state, "first", 0));
	assert_null(get(*state, "second", 0));
	assert_non_null(get(*state, "one-more", 0));
}

static void bytes_have_a_limit(void **state)
{
	char name[32];

	for (int i = 0; i < 200; i++) {
		snprintf(name, sizeof(name), "n%d", i);
		put(*state, name, 10, 900, 0);
		assert_true(dns_cache_bytes(*state) <= DNS_CACHE_BYTES);
	}
	assert_true(dns_cache_bytes(*state) > DNS_CACHE_BYTES / 2);
	assert_non_null(get(*state, "n199", 0));
	/* 19 bytes of header and question of "x", 16 a record */
	put(*state, "x", 10, (DNS_CACHE_ANSWER_MAX - 19) / 16, 0);
	assert_non_null(get(*state, "x", 0));
	put(*state, "x", 10, (DNS_CACHE_ANSWER_MAX - 19) / 16 + 1, 0);
	assert_null(get(*state, "x", 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(kept_as_long_as_it_is_good, setup, teardown),
		cmocka_unit_test_setup_teardown(the_newest_replaces, setup, teardown),
		cmocka_unit_test_setup_teardown(entries_have_a_limit_and_the_oldest_goes, setup, teardown),
		cmocka_unit_test_setup_teardown(bytes_have_a_limit, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
