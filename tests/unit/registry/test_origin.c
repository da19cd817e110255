#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../unit.h"
#include "registry/origin.h"

static void test_origins(void **state)
{
	struct origin a, b;
	(void)state;
	assert_int_equal(origin_of("https://Host.example/v2/", &a), 0);
	assert_int_equal(origin_of("HTTPS://host.example:443", &b), 0);
	assert_true(origin_equal(&a, &b));
	origin_finish(&b);
	assert_int_equal(origin_of("https://host.example:444", &b), 0);
	assert_false(origin_equal(&a, &b));
	origin_finish(&b);
	assert_int_equal(origin_of("http://[::1]:5000/x", &b), 0);
	assert_string_equal(b.host, "::1");
	assert_string_equal(b.port, "5000");
	origin_finish(&b);
	origin_finish(&a);
	static const char *const wrong[] = { "file:///etc/passwd", "https://user@host/", "https://user:x@host/",
		"ftp://host/", "", "host/x", "https://", "https://a b/", "https://../", "https://.hidden/" };
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
		assert_int_equal(origin_of(wrong[i], &a), -EINVAL);
}

static void test_resolving(void **state)
{
	char *url = NULL;
	(void)state;
	assert_int_equal(origin_resolve("https://h/v2/a?x=1", "../b", &url), 0);
	assert_string_equal(url, "https://h/b");
	free(url);
	assert_int_equal(origin_resolve("https://h/v2/a", "//other/c", &url), 0);
	assert_string_equal(url, "https://other/c");
	free(url);
}

static void test_hosts(void **state)
{
	char *list[] = { (char *)"reg.example:5000", (char *)"10.0.0.0/8", (char *)"fd00::/9", NULL };
	(void)state;
	assert_true(host_is_loopback("127.9.9.9") && host_is_loopback("::1") && host_is_loopback("LocalHost"));
	assert_false(host_is_loopback("128.0.0.1") || host_is_loopback("localhost.example") ||
		     host_is_loopback("127.example"));
	assert_true(host_is_listed("reg.example", "reg.example:5000", list));
	assert_false(host_is_listed("reg.example", "reg.example:5001", list));
	assert_true(host_is_listed("10.255.0.1", "10.255.0.1:1", list));
	assert_false(host_is_listed("11.0.0.1", "11.0.0.1:1", list) ||
		     host_is_listed("10.example", "10.example:1", list));
	assert_true(host_is_listed("fd7f::1", "[fd7f::1]:1", list));
	assert_false(host_is_listed("fd80::1", "[fd80::1]:1", list));
	assert_true(host_is_related("registry-1.docker.io", "auth.docker.io"));
	assert_true(host_is_related("r.example.co.uk", "auth.example.co.uk"));
	assert_false(host_is_related("r.example.co.uk", "evil.co.uk") || host_is_related("10.0.0.1", "10.0.0.2"));
	assert_false(host_is_related("a.github.io", "b.github.io"));
}

static void test_endpoints(void **state)
{
	struct endpoint *all;
	size_t count;
	char *mirrors[] = { (char *)"http://mirror.example/", NULL };
	struct handover_registry settings = { .mirrors = mirrors };
	(void)state;
	assert_int_equal(endpoints_of("docker.io", &settings, &all, &count, NULL), 0);
	assert_int_equal(count, 2);
	assert_true(all[0].is_mirror && all[0].verify);
	assert_string_equal(all[0].base, "http://mirror.example");
	assert_string_equal(all[1].base, "https://registry-1.docker.io");
	endpoints_free(all, count);
	assert_int_equal(endpoints_of("127.0.0.1:5000", NULL, &all, &count, NULL), 0);
	assert_int_equal(count, 2);
	assert_string_equal(all[0].base, "https://127.0.0.1:5000");
	assert_string_equal(all[1].base, "http://127.0.0.1:5000");
	endpoints_free(all, count);
	assert_int_equal(endpoints_of("reg.example", NULL, &all, &count, NULL), 0);
	assert_int_equal(count, 1); /* never without TLS */
	assert_true(all[0].verify);
	endpoints_free(all, count);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_origins),
		cmocka_unit_test(test_resolving),
		cmocka_unit_test(test_hosts),
		cmocka_unit_test(test_endpoints),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
