#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "../unit.h"
#include "base/cleanup.h"
#include "codec/reference.h"

#define HEX "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static void test_names_in_full_and_in_short(void **state)
{
	(void)state;
	static const struct {
		const char *text, *repository, *tag, *digest, *familiar;
	} cases[] = {
		{ "debian", "docker.io/library/debian", NULL, NULL, "debian" },
		{ "debian:12", "docker.io/library/debian", "12", NULL, "debian" },
		{ "docker.io/debian", "docker.io/library/debian", NULL, NULL, "debian" },
		{ "index.docker.io/library/debian", "docker.io/library/debian", NULL, NULL, "debian" },
		{ "a/b", "docker.io/a/b", NULL, NULL, "a/b" },
		{ "library/a/b", "docker.io/library/a/b", NULL, NULL, "library/a/b" },
		{ "localhost/a:x", "localhost/a", "x", NULL, "localhost/a" },
		{ "localhost:5000", "docker.io/library/localhost", "5000", NULL, "localhost" },
		{ "host:5000/a/b__c.d--e:V_1.0-x", "host:5000/a/b__c.d--e", "V_1.0-x", NULL, "host:5000/a/b__c.d--e" },
		{ "[::1]:5000/a", "[::1]:5000/a", NULL, NULL, "[::1]:5000/a" },
		{ "UPPER/a", "UPPER/a", NULL, NULL, "UPPER/a" },
		{ "a.b/c:t@sha256:" HEX, "a.b/c", "t", "sha256:" HEX, "a.b/c" },
		{ "c@sha256:" HEX, "docker.io/library/c", NULL, "sha256:" HEX, "c" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct reference reference;

		assert_int_equal(reference_parse(cases[i].text, &reference, NULL), 0);
		assert_string_equal(reference.repository, cases[i].repository);
		assert_string_equal(reference.tag ? reference.tag : "", cases[i].tag ? cases[i].tag : "");
		assert_string_equal(reference.digest ? reference.digest : "", cases[i].digest ? cases[i].digest : "");
		assert_string_equal(reference_familiar(reference.repository), cases[i].familiar);
		reference_finish(&reference);
	}
}

static void test_refused(void **state)
{
	(void)state;
	static const char *const cases[] = { "", ":", "a:", ":a", "/a", "a/", "a//b", "-a", "a-", ".a", "a..b", "a___b",
		"a b", "a\nb", "Debian", "a:b:c", "a:-x", "a@", "a@sha256:", "a@sha256:" HEX "0", "a@sha512:" HEX,
		"a@SHA256:" HEX, "a@sha256:ABCDEF6789abcdef0123456789abcdef0123456789abcdef0123456789abcdef", HEX,
		"ho_st.x/a", "h.:1/a", "h..x/a", "h.x:/a", "h.x:123456/a", "[::1/a", "[g]/a", "../a", "a/../b",
		"a/%2e%2e", "\xff" };

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct reference reference;
		const char *problem = NULL;

		assert_int_equal(reference_parse(cases[i], &reference, &problem), -EINVAL);
		assert_memory_equal(problem, "invalid reference format", strlen("invalid reference format"));
		assert_null(reference.repository);
		assert_null(reference.tag);
		assert_null(reference.digest);
	}
}

static void test_problems_are_told_apart(void **state)
{
	(void)state;
	struct reference reference;
	const char *problem = NULL;

	assert_int_equal(reference_parse("a/Debian", &reference, &problem), -EINVAL);
	assert_non_null(strstr(problem, "must be lowercase"));
	assert_int_equal(reference_parse(HEX, &reference, &problem), -EINVAL);
	assert_non_null(strstr(problem, "64-byte hexadecimal"));
}

static void test_lengths(void **state)
{
	(void)state;
	char text[600];
	struct reference reference;

	for (int extra = -1; extra <= 1; extra++) {
		int tag = REFERENCE_TAG_MAX + extra;
		/* "docker.io/library/" is part of the name. */
		int name = REFERENCE_NAME_MAX + extra - (int)strlen("docker.io/library/");

		snprintf(text, sizeof(text), "a:%0*d", tag, 0);
		assert_int_equal(reference_parse(text, &reference, NULL), extra > 0 ? -EINVAL : 0);
		reference_finish(&reference);
		snprintf(text, sizeof(text), "%0*d", name, 0);
		assert_int_equal(reference_parse(text, &reference, NULL), extra > 0 ? -EINVAL : 0);
		reference_finish(&reference);
	}
}

static void test_an_address_names_a_registry(void **state)
{
	static const struct {
		const char *address, *server;
	} cases[] = {
		{ NULL, "docker.io" },
		{ "", "docker.io" },
		{ "docker.io", "docker.io" },
		{ "https://index.docker.io/v1/", "docker.io" },
		{ "registry-1.docker.io", "docker.io" },
		{ "index.docker.io.example.com", "index.docker.io.example.com" },
		{ "host:5000", "host:5000" },
		{ "http://host:5000/v2/", "host:5000" },
		{ "host/team", "host" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_free_ char *server = reference_registry(cases[i].address);
		assert_non_null(server);
		assert_string_equal(server, cases[i].server);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names_in_full_and_in_short),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_problems_are_told_apart),
		cmocka_unit_test(test_lengths),
		cmocka_unit_test(test_an_address_names_a_registry),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
