#include "../unit.h"
#include "base/cleanup.h"
#include "worker/login.h"

static void an_address_names_a_registry(void **state)
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
		_cleanup_free_ char *server = login_server(cases[i].address);
		assert_non_null(server);
		assert_string_equal(server, cases[i].server);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_address_names_a_registry),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
