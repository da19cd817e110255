/* Names and prefixes, filters, and points in time. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../unit.h"
#include "base/clock.h"
#include "engine/container.h"
#include "engine/filters.h"
#include "engine/times.h"

#define ID_A "aaaa000000000000000000000000000000000000000000000000000000000000"
#define ID_B "aaaa111111111111111111111111111111111111111111111111111111111111"
#define ID_C "cccc000000000000000000000000000000000000000000000000000000000000"

static void add(struct engine *engine, const char *id, const char *name)
{
	struct container_record record = { 0 };
	struct container *container = container_new(engine, id, name, &record);
	assert_non_null(container);
	assert_int_equal(containers_add(engine->containers, container, NULL), 0);
	container_unref(container);
}

static void expect(struct engine *engine, const char *reference, const char *id, const char *message)
{
	_autofree_(err) struct err *err = NULL;
	struct container *found = NULL;
	int r = container_find(engine, reference, &found, &err);
	if (id) {
		assert_int_equal(r, 0);
		assert_string_equal(found->id, id);
	} else {
		assert_true(r < 0);
		assert_string_equal(err_message(err), message);
	}
}

static void test_find(void **state)
{
	(void)state;
	struct engine engine = { .containers = containers_new() };
	add(&engine, ID_A, "first");
	add(&engine, ID_B, "second");
	add(&engine, ID_C, "aaaa0"); /* a name that is another's prefix: the name wins */

	expect(&engine, "first", ID_A, NULL);
	expect(&engine, "/first", ID_A, NULL);
	expect(&engine, ID_B, ID_B, NULL);
	expect(&engine, "aaaa1", ID_B, NULL);
	expect(&engine, "aaaa0", ID_C, NULL);
	expect(&engine, "aaaa", NULL, "multiple IDs found with provided prefix: aaaa");
	expect(&engine, "nobody", NULL, "No such container: nobody");
	expect(&engine, "", NULL, "No container name or ID supplied");
	expect(&engine, "/", NULL, "No container name or ID supplied");
	containers_free(engine.containers);
}

static void test_names(void **state)
{
	(void)state;
	struct engine engine = { .containers = containers_new() };
	_autofree_(err) struct err *err = NULL;
	add(&engine, ID_A, "taken");
	assert_true(containers_check_name(engine.containers, "taken", &err) < 0);
	assert_int_equal(err->kind, ERR_CONFLICT);
	assert_string_equal(err_message(err),
		"Conflict. The container name \"/taken\" is already in use by container \"" ID_A
		"\". You have to remove (or rename) that container to be able to reuse that name.");

	static const char *const bad[] = { "a", "_a", "a b", "a/b", "-x", "", "\xc3\xa9x" };
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_true(container_name_check(bad[i], NULL) < 0);
	assert_int_equal(container_name_check("a.b_c-1", NULL), 0);

	_cleanup_free_ char *invented = NULL;
	assert_int_equal(container_name_invent(engine.containers, &invented, NULL), 0);
	assert_int_equal(container_name_check(invented, NULL), 0);

	struct container *container = containers_by_id(engine.containers, ID_A);
	assert_int_equal(containers_rename(engine.containers, container, "other", NULL), 0);
	assert_int_equal(containers_check_name(engine.containers, "taken", NULL), 0);
	expect(&engine, "other", ID_A, NULL);
	containers_free(engine.containers);
}

static void test_removal(void **state)
{
	(void)state;
	struct engine engine = { .containers = containers_new() };
	add(&engine, ID_A, "first");
	struct container *container = container_ref(containers_by_id(engine.containers, ID_A));
	containers_remove(engine.containers, container);
	containers_remove(engine.containers, container);
	assert_true(container->gone);
	expect(&engine, "first", NULL, "No such container: first");
	add(&engine, ID_B, "first");
	container_unref(container);
	expect(&engine, "first", ID_B, NULL);
	containers_free(engine.containers);
}

static const char *const known[] = { "status", "name", "label", "dangling", NULL };

static void refuse_filters(const char *text, const char *message)
{
	_autofree_(err) struct err *err = NULL;
	struct filters *filters = NULL;
	assert_true(filters_parse(text, known, &filters, &err) < 0);
	assert_int_equal(err->kind, ERR_INVALID);
	assert_non_null(strstr(err_message(err), message));
}

static void test_filters(void **state)
{
	(void)state;
	_autofree_(filters) struct filters *filters = NULL;
	assert_int_equal(
		filters_parse(
			"{\"status\":{\"exited\":true,\"dead\":false},\"name\":[\"we\"],\"label\":[\"a\",\"b=c\"]}",
			known, &filters, NULL),
		0);
	assert_true(filters_match(filters, "status", "exited"));
	assert_false(filters_match(filters, "status", "dead"));
	assert_true(filters_match(filters, "dangling", "anything"));
	assert_true(filters_match_part(filters, "name", "the web"));
	assert_false(filters_match_prefix(filters, "name", "the web"));

	_autofree_(map) struct map *labels = map_new(NULL);
	map_set(labels, "a", (char *)"1");
	assert_false(filters_match_labels(filters, "label", labels));
	map_set(labels, "b", (char *)"c");
	assert_true(filters_match_labels(filters, "label", labels));
	assert_false(filters_match_labels(filters, "label", NULL));
	assert_false(filters_refuse_labels(filters, "label", labels));

	refuse_filters("{\"colour\":[\"red\"]}", "invalid filter 'colour'");
	refuse_filters("{", "invalid filter");
	refuse_filters("[]", "invalid filter");
	refuse_filters("{\"status\":\"exited\"}", "invalid filter 'status'");
	refuse_filters("{\"status\":[1]}", "invalid filter 'status'");

	_autofree_(filters) struct filters *none = NULL;
	assert_int_equal(filters_parse(NULL, known, &none, NULL), 0);
	assert_true(filters_match(none, "status", "x"));
}

static void test_filter_truths(void **state)
{
	(void)state;
	_autofree_(filters) struct filters *filters = NULL, *wrong = NULL;
	bool value;
	assert_int_equal(filters_parse("{\"dangling\":[\"true\"]}", known, &filters, NULL), 0);
	assert_int_equal(filters_bool(filters, "dangling", false, &value, NULL), 0);
	assert_true(value);
	assert_int_equal(filters_parse("{\"dangling\":[\"maybe\"]}", known, &wrong, NULL), 0);
	assert_true(filters_bool(wrong, "dangling", false, &value, NULL) < 0);
}

static void test_times(void **state)
{
	(void)state;
	int64_t ns;
	assert_int_equal(times_parse("1700000000", "since", &ns, NULL), 0);
	assert_int_equal(ns, 1700000000LL * NS_PER_SEC);
	assert_int_equal(times_parse("1700000000.000000042", "since", &ns, NULL), 0);
	assert_int_equal(ns, 1700000000LL * NS_PER_SEC + 42);
	assert_int_equal(times_parse("1700000000.5", "since", &ns, NULL), 0);
	assert_int_equal(ns, 1700000000LL * NS_PER_SEC + 500000000);
	assert_int_equal(times_parse("1970-01-02", "since", &ns, NULL), 0);
	assert_int_equal(ns, 86400LL * NS_PER_SEC);
	assert_int_equal(times_parse("1970-01-01T00:01", "since", &ns, NULL), 0);
	assert_int_equal(ns, 60LL * NS_PER_SEC);
	assert_int_equal(times_parse("10m", "since", &ns, NULL), 0);
	assert_true(clock_realtime_ns() - ns >= 600LL * NS_PER_SEC);
	static const char *const wrong[] = { "", "now", "1.", "1.x", "-5", "99999999999999999999", "1e3" };
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
		assert_true(times_parse(wrong[i], "since", &ns, NULL) < 0);
}

static void test_human_times(void **state)
{
	(void)state;
	static const struct {
		int64_t seconds;
		const char *text;
	} times[] = { { 0, "Less than a second" }, { 1, "1 second" }, { 59, "59 seconds" }, { 60, "About a minute" },
		{ 119, "About a minute" }, { 120, "2 minutes" }, { 3599, "59 minutes" }, { 3600, "About an hour" },
		{ 2 * 3600, "2 hours" }, { 47 * 3600, "47 hours" }, { 48 * 3600, "2 days" }, { 14 * 86400, "2 weeks" },
		{ 90 * 86400, "3 months" }, { 800 * 86400, "2 years" } };
	for (size_t i = 0; i < ARRAY_SIZE(times); i++) {
		char text[TIMES_HUMAN_MAX];
		times_human(times[i].seconds * NS_PER_SEC, text);
		assert_string_equal(text, times[i].text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_find),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_removal),
		cmocka_unit_test(test_filters),
		cmocka_unit_test(test_filter_truths),
		cmocka_unit_test(test_times),
		cmocka_unit_test(test_human_times),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
