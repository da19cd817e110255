#include <string.h>

#include "../unit.h"
#include "api/request.h"
#include "api/route.h"

static void one(struct request *request)
{
	(void)request;
}

static const struct route routes[] = {
	{ "GET", "/containers/json", 0, 0, one },
	{ "GET", "/containers/{}/json", 0, 0, one },
	{ "POST", "/containers/{}/update", 0, 0, one },
	{ "GET", "/images/{*}/json", 0, 0, one },
	{ "DELETE", "/images/{*}", 0, 0, one },
	{ "POST", "/images/prune", 25, 0, one },
};
static const struct route_table table = ROUTE_TABLE(routes);
static const struct route_table *const tables[] = { &table };

/* The index of the route, -1 for none; the first parameter is compared. */
static void expect(const char *method, const char *path, int minor, int index, const char *param)
{
	const struct route *route = NULL;
	char *params[REQUEST_PARAMS_MAX] = { 0 };
	_autofree_(err) struct err *err = NULL;
	int r = route_find(tables, 1, method, path, minor, &route, params, &err);
	assert_int_equal(r < 0 ? -1 : route - routes, index);
	if (param)
		assert_string_equal(params[0], param);
	else
		assert_null(params[0]);
	assert_null(params[1]);
	free(params[0]);
}

static void patterns_match_whole_paths(void **state)
{
	(void)state;
	expect("GET", "/containers/json", 50, 0, NULL);
	expect("HEAD", "/containers/json", 50, 0, NULL);
	expect("GET", "/containers/abc/json", 50, 1, "abc");
	expect("GET", "/containers//json", 50, -1, NULL);
	expect("GET", "/containers//abc/json", 50, 1, "/abc");
	expect("GET", "/containers/a/b/json", 50, -1, NULL);
	expect("GET", "/containers/abc/json/", 50, -1, NULL);
	expect("GET", "/containers/abc/update", 50, -1, NULL);
	expect("GET", "/", 50, -1, NULL);
	expect("GET", "", 50, -1, NULL);
}

static void image_names_have_slashes(void **state)
{
	(void)state;
	expect("GET", "/images/host:5000/a/b:v1/json", 50, 3, "host:5000/a/b:v1");
	expect("GET", "/images/json/json", 50, 3, "json");
	expect("GET", "/images/json", 50, -1, NULL);
	expect("DELETE", "/images/a/b", 50, 4, "a/b");
	expect("DELETE", "/images/", 50, -1, NULL);
	expect("POST", "/images/prune", 24, -1, NULL);
	expect("POST", "/images/prune", 25, 5, NULL);
}

static void versions_are_bounded(void **state)
{
	(void)state;
	static const struct {
		const char *path, *rest, *message;
		int minor;
	} cases[] = {
		{ "/v1.44/info", "/info", NULL, 44 },
		{ "/info", "/info", NULL, API_MINOR_MAX },
		{ "/version", "/version", NULL, API_MINOR_MAX },
		{ "/v1.24/x", "/x", NULL, 24 },
		{ "/v1.50/x", "/x", NULL, 50 },
		{ "/v1.23/x", NULL,
			"client version 1.23 is too old. Minimum supported API version is 1.24, please upgrade your client to a newer version",
			0 },
		{ "/v1.51/x", NULL, "client version 1.51 is too new. Maximum supported API version is 1.50", 0 },
		{ "/v2.0/x", NULL, "client version 2.0 is too new. Maximum supported API version is 1.50", 0 },
		{ "/v1/x", NULL, "invalid API version 1: expected major.minor", 0 },
		{ "/v1.x/x", NULL, "invalid API version 1.x: expected major.minor", 0 },
		{ "/v1.99999999999999999/x", NULL, "invalid API version in the path", 0 },
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const char *path = cases[i].path;
		int minor;
		_autofree_(err) struct err *err = NULL;
		int r = route_version(&path, &minor, &err);
		assert_int_equal(r < 0, cases[i].message != NULL);
		if (cases[i].message) {
			assert_string_equal(err->message, cases[i].message);
			continue;
		}
		assert_string_equal(path, cases[i].rest);
		assert_int_equal(minor, cases[i].minor);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(patterns_match_whole_paths),
		cmocka_unit_test(image_names_have_slashes),
		cmocka_unit_test(versions_are_bounded),
	};
	return cmocka_run_group_tests_name("route", tests, NULL, NULL);
}
