#include <stdio.h>
#include <string.h>

#include "../unit.h"

#include "fixture.h"

#define CONTAINER "c0ffeec0ffeec0ffeec0ffeec0ffeec0ffeec0ffeec0ffeec0ffeec0ffeec0ff"

struct usage {
	bool running;
	bool stopped;
};

static bool is_used(const char *image_id, bool running, char ret_container[static 65], void *data)
{
	const struct usage *usage = data;

	(void)image_id;
	if (!(running ? usage->running : usage->stopped))
		return false;
	strcpy(ret_container, CONTAINER);
	return true;
}

/* "U:what D:what ..." with IDs cut to 12 digits, or "error". */
static const char *remove_and_tell(struct fixture *fixture, const char *name, bool force, const struct usage *usage,
	char *message, size_t size)
{
	struct store_remove_options options = {
		.force = force,
		.prune_parents = true,
		.is_used = usage ? is_used : NULL,
		.is_used_data = (void *)usage,
	};
	_autofree_(err) struct err *err = NULL;
	struct store_removed *removed;
	size_t count, len = 0;

	message[0] = '\0';
	if (store_image_remove(fixture->store, name, &options, &removed, &count, &err) < 0) {
		snprintf(message, size, "%s", err_message(err));
		return message;
	}
	for (size_t i = 0; i < count; i++)
		len += (size_t)snprintf(message + len, size - len, "%s%s", i ? " " : "",
			removed[i].untagged                                   ? removed[i].what
			: strncmp(removed[i].what, removed[i].image, 71) == 0 ? "IMAGE"
									      : "LAYER");
	store_removed_free(removed, count);
	return message;
}

#define ASSERT_REMOVE(name, force, usage, expected) \
 assert_string_equal(remove_and_tell(fixture, name, force, usage, message, sizeof(message)), expected)

static void last_name_takes_the_image(void **state)
{
	struct fixture *fixture = *state;
	char id[STORE_DIGEST_SIZE], message[1024];

	fixture_make_image(fixture, "ab", "x", "a:1 a:2 b/c", id);
	ASSERT_REMOVE("a:1", false, NULL, "a:1");
	ASSERT_REMOVE("b/c", false, NULL, "b/c:latest");
	ASSERT_REMOVE("a:2", false, NULL, "a:2 IMAGE LAYER LAYER");
	ASSERT_REMOVE("a:2", false, NULL, "No such image: a:2");
}

static void id_with_several_names_must_be_forced(void **state)
{
	struct fixture *fixture = *state;
	char id[STORE_DIGEST_SIZE], message[1024], expected[256];

	fixture_make_image(fixture, "a", "x", "a:1 a:2", id);
	snprintf(expected, sizeof(expected),
		"conflict: unable to delete %.12s (must be forced) - image is referenced in multiple repositories",
		id + 7);
	ASSERT_REMOVE(id, false, NULL, expected);
	ASSERT_REMOVE(id + 7, false, NULL, expected);
	ASSERT_REMOVE(id, true, NULL, "a:1 a:2 IMAGE LAYER");
}

static void id_with_one_name_needs_no_force(void **state)
{
	struct fixture *fixture = *state;
	char id[STORE_DIGEST_SIZE], message[1024];

	fixture_make_image(fixture, "a", "x", "a:1", id);
	ASSERT_REMOVE(id + 7, false, NULL, "a:1 IMAGE LAYER");
	fixture_make_image(fixture, "a", "x", "", id);
	ASSERT_REMOVE(id, false, NULL, "IMAGE LAYER");
}

static void containers_stand_against_it(void **state)
{
	struct fixture *fixture = *state;
	const struct usage running = { .running = true }, stopped = { .stopped = true };
	char id[STORE_DIGEST_SIZE], message[1024], expected[256];

	fixture_make_image(fixture, "a", "x", "a:1", id);
	snprintf(expected, sizeof(expected),
		"conflict: unable to remove repository reference \"a:1\" (must force) - container c0ffeec0ffee is using its referenced "
		"image %.12s",
		id + 7);
	ASSERT_REMOVE("a:1", false, &running, expected);
	ASSERT_REMOVE("a:1", false, &stopped, expected);
	snprintf(expected, sizeof(expected),
		"conflict: unable to delete %.12s (cannot be forced) - image is being used by running container c0ffeec0ffee",
		id + 7);
	ASSERT_REMOVE(id, false, &running, expected);
	ASSERT_REMOVE(id, true, &running, expected);
	snprintf(expected, sizeof(expected),
		"conflict: unable to delete %.12s (must be forced) - image is being used by stopped container c0ffeec0ffee",
		id + 7);
	ASSERT_REMOVE(id, false, &stopped, expected);
	/* Forced by name while one runs: the name goes, the image stays. */
	ASSERT_REMOVE("a:1", true, &running, "a:1");
	ASSERT_REMOVE(id, true, &stopped, "IMAGE LAYER");
}

static void second_name_goes_whoever_uses_the_image(void **state)
{
	struct fixture *fixture = *state;
	const struct usage running = { .running = true };
	char id[STORE_DIGEST_SIZE], message[1024];

	fixture_make_image(fixture, "a", "x", "a:1 b:1", id);
	ASSERT_REMOVE("b:1", false, &running, "b:1");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(last_name_takes_the_image),
		TEST(id_with_several_names_must_be_forced),
		TEST(id_with_one_name_needs_no_force),
		TEST(containers_stand_against_it),
		TEST(second_name_goes_whoever_uses_the_image),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
