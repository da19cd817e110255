#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../unit.h"
#include "base/cleanup.h"
#include "registry/challenge.h"

static struct challenge read_all(const char *text)
{
	struct challenge challenge = { 0 };
	assert_int_equal(challenge_parse(text, &challenge), 0);
	return challenge;
}

static void test_bearer(void **state)
{
	struct challenge c = read_all("Bearer realm=\"https://auth.docker.io/token\",service=\"registry.docker.io\","
				      "scope=\"repository:a/b:pull,push\",error=\"invalid_token\"");
	(void)state;
	assert_true(c.bearer && !c.basic);
	assert_string_equal(c.realm, "https://auth.docker.io/token");
	assert_string_equal(c.service, "registry.docker.io");
	assert_string_equal(c.scope, "repository:a/b:pull,push");
	assert_string_equal(c.error, "invalid_token");
	challenge_finish(&c);
}

static void test_two_in_one(void **state)
{
	struct challenge c = read_all(
		"basic realm=\"x, y\", BEARER  Realm = https://h/t , service=\"a\\\"b\", Negotiate YWJj==, Digest qop=auth");
	(void)state;
	assert_true(c.bearer && c.basic);
	assert_string_equal(c.realm, "https://h/t");
	assert_string_equal(c.service, "a\"b");
	challenge_finish(&c);
}

static void test_a_later_scheme_does_not_change_the_realm(void **state)
{
	struct challenge c =
		read_all("Bearer realm=\"https://a/\", Basic realm=\"https://b/\", Bearer realm=\"https://c/\"");
	(void)state;
	assert_string_equal(c.realm, "https://a/");
	challenge_finish(&c);
}

static void test_bearer_without_a_realm_is_none(void **state)
{
	struct challenge c = read_all("Bearer service=\"x\"");
	(void)state;
	assert_false(c.bearer);
	challenge_finish(&c);
	c = read_all("");
	assert_false(c.bearer || c.basic);
	challenge_finish(&c);
}

static void test_what_is_no_challenge(void **state)
{
	static const char *const wrong[] = { "Bearer realm=\"open", "Bearer realm=\"a\nb\"", "=\"x\"", "\"Bearer\"",
		"Bearer realm=\"a\\" };
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		struct challenge c = { 0 };
		assert_int_equal(challenge_parse(wrong[i], &c), -EINVAL);
		challenge_finish(&c);
	}
}

static void test_length(void **state)
{
	char *text = malloc(CHALLENGE_TEXT_MAX + 1);
	struct challenge c = { 0 };
	(void)state;
	memset(text, 'a', CHALLENGE_TEXT_MAX);
	text[CHALLENGE_TEXT_MAX] = '\0';
	assert_int_equal(challenge_parse(text, &c), -EINVAL);
	text[CHALLENGE_TEXT_MAX - 1] = '\0';
	assert_int_equal(challenge_parse(text, &c), 0);
	challenge_finish(&c);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bearer),
		cmocka_unit_test(test_two_in_one),
		cmocka_unit_test(test_a_later_scheme_does_not_change_the_realm),
		cmocka_unit_test(test_bearer_without_a_realm_is_none),
		cmocka_unit_test(test_what_is_no_challenge),
		cmocka_unit_test(test_length),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
