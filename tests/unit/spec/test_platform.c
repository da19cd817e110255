#include <string.h>

#include "../unit.h"
#include "base/cleanup.h"
#include "spec/platform.h"

static void words_are_filled_in(void **state)
{
	static const struct {
		const char *text, *os, *architecture, *variant;
	} cases[] = {
		{ "linux/amd64", "linux", "amd64", "" },
		{ "linux/arm64/v8", "linux", "arm64", "v8" },
		{ "linux/x86_64", "linux", "amd64", "" },
		{ "linux/armv7l", "linux", "arm", "v7" },
		{ "arm64", "linux", "arm64", "" },
		{ "{\"architecture\":\"arm\",\"os\":\"linux\",\"variant\":\"v7\"}", "linux", "arm", "v7" },
		{ "{\"architecture\":\"amd64\",\"os\":\"linux\"}", "linux", "amd64", "" },
		{ "windows/amd64", "windows", "amd64", "" },
	};
	struct platform platform;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_int_equal(platform_parse(cases[i].text, &platform, NULL), 0);
		assert_string_equal(platform.os, cases[i].os);
		assert_string_equal(platform.architecture, cases[i].architecture);
		assert_string_equal(platform.variant, cases[i].variant);
	}
}

static void bad_ones_are_refused(void **state)
{
	static const char *const cases[] = { "/", "linux/", "linux//x", "linux/amd64/", "linux/amd64/v8/x", "a b",
		"linux/\n", "linux/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "{", "{}", "{\"os\":1}",
		"{\"architecture\":\"amd64\"}",
		"{\"os\":\"linux\",\"architecture\":\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"}" };
	struct platform platform;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_true(platform_parse(cases[i], &platform, NULL) < 0);
}

static void none_is_this_machine(void **state)
{
	struct platform host, parsed;

	(void)state;
	platform_of_host(&host);
	assert_string_equal(host.os, "linux");
	assert_true(*host.architecture);
	assert_int_equal(platform_parse(NULL, &parsed, NULL), 0);
	assert_string_equal(parsed.architecture, host.architecture);
	assert_int_equal(platform_parse("linux", &parsed, NULL), 0);
	assert_string_equal(parsed.architecture, host.architecture);
}

static void image_is_for_the_platform_that_its_config_says(void **state)
{
	struct oci_image_config config = { .os = (char *)"linux", .architecture = (char *)"arm" };
	struct platform platform;

	(void)state;
	assert_int_equal(platform_parse("linux/arm/v7", &platform, NULL), 0);
	assert_true(platform_matches(&platform, &config));
	config.variant = (char *)"v6";
	assert_false(platform_matches(&platform, &config));
	config.variant = (char *)"v7";
	assert_true(platform_matches(&platform, &config));
	config.architecture = (char *)"arm64";
	assert_false(platform_matches(&platform, &config));
	assert_false(platform_matches(&platform, &(struct oci_image_config){ 0 }));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(image_is_for_the_platform_that_its_config_says),
		cmocka_unit_test(words_are_filled_in),
		cmocka_unit_test(bad_ones_are_refused),
		cmocka_unit_test(none_is_this_machine),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
