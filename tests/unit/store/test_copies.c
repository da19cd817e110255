/* Hints of where layers are to be had. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../unit.h"
#include "base/cleanup.h"
#include "store/copies.h"

#include "fixture.h"

static void add(struct fixture *fixture, char layer, const char *repository, char blob)
{
	struct layer_copy copy = { .size_bytes = blob };
	snprintf(copy.digest, sizeof(copy.digest), "%s", fixture_diff_id(blob));
	assert_int_equal(store_copy_add(fixture->store, fixture_diff_id(layer), repository, &copy, NULL), 0);
}

/* "BLOB from", "BLOB -" or "". */
static const char *find(struct fixture *fixture, char layer, char blob, const char *repository)
{
	static char text[300];
	_cleanup_free_ char *from = NULL;
	struct layer_copy copy;
	int r = store_copy_find(fixture->store, fixture_diff_id(layer), blob ? fixture_diff_id(blob) : NULL, repository,
		&copy, &from, NULL);
	assert_true(r == 0 || r == 1);
	snprintf(text, sizeof(text), "%c %s", r ? (int)copy.size_bytes : '-', from ?: "-");
	return r ? text : "";
}

static void test_which_one(void **state)
{
	struct fixture *fixture = *state;
	char id[STORE_DIGEST_SIZE];
	fixture_make_image(fixture, "ab", "x", "image:1", id);
	assert_string_equal(find(fixture, 'a', 0, "host:1/mine"), "");
	add(fixture, 'a', "other/far", '1');
	assert_string_equal(find(fixture, 'a', 0, "host:1/mine"), "1 -");
	add(fixture, 'a', "host:1/mine", '2');
	assert_string_equal(find(fixture, 'a', 0, "host:1/mine"), "2 -");
	assert_string_equal(find(fixture, 'a', 0, "host:1/next"), "2 mine");
	assert_string_equal(find(fixture, 'a', 0, "host:12/next"),
		"2 -"); /* another registry, whatever its name begins with */
	add(fixture, 'a', "host:1/deep/er", '3');
	assert_string_equal(find(fixture, 'a', 0, "host:1/mine"), "3 deep/er");
	assert_string_equal(find(fixture, 'a', '1', "host:1/mine"), "1 -"); /* if it has to be that blob */
	assert_string_equal(find(fixture, 'a', '9', "host:1/mine"), "");
	assert_string_equal(find(fixture, 'b', 0, "host:1/mine"), "");
}

static void test_bounds_and_end(void **state)
{
	struct fixture *fixture = *state;
	char id[STORE_DIGEST_SIZE], name[64];
	struct layer_copy copy = { .digest = "" };
	fixture_make_image(fixture, "a", "x", "image:1", id);
	for (int i = 0; i <= COPIES_MAX; i++) {
		snprintf(name, sizeof(name), "host/r%d", i);
		add(fixture, 'a', name, i == 0 ? '1' : '2');
	}
	assert_string_equal(find(fixture, 'a', '1', "host/mine"), ""); /* the oldest */
	assert_string_equal(find(fixture, 'a', '2', "host/mine"), "2 r16");
	/* Nothing is kept of a layer that is not there. */
	assert_int_equal(store_copy_add(fixture->store, fixture_diff_id('f'), "host/x", &copy, NULL), 0);
	assert_string_equal(find(fixture, 'f', 0, "host/mine"), "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_which_one, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_bounds_and_end, fixture_setup, fixture_teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
