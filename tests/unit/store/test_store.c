#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "../unit.h"
#include "base/clock.h"
#include "base/strv.h"
#include "spec/oci_image.h"
#include "store/blob.h"

#include "fixture.h"

static void assert_not_found(struct fixture *fixture, const char *name, const char *message)
{
	_autofree_(err) struct err *err = NULL;
	struct store_image *image = NULL;

	assert_true(store_image_find(fixture->store, name, &image, &err) < 0);
	assert_null(image);
	assert_string_equal(err_message(err), message);
}

static void assert_found(struct fixture *fixture, const char *name, const char *id)
{
	_autofree_(store_image) struct store_image *image = NULL;

	assert_int_equal(store_image_find(fixture->store, name, &image, NULL), 0);
	assert_string_equal(image->id, id);
}

static void image_is_found_by_name_id_and_prefix(void **state)
{
	struct fixture *fixture = *state;
	char id[STORE_DIGEST_SIZE], prefix[STORE_DIGEST_SIZE + 8];

	fixture_make_image(fixture, "ab", "x", "debian:12 host:5000/a/b", id);
	assert_found(fixture, "debian:12", id);
	assert_found(fixture, "docker.io/library/debian:12", id);
	assert_found(fixture, "host:5000/a/b", id);
	assert_found(fixture, "host:5000/a/b:latest", id);
	assert_found(fixture, id, id);
	assert_found(fixture, id + 7, id);
	snprintf(prefix, sizeof(prefix), "debian@%s", id);
	assert_found(fixture, prefix, id);
	snprintf(prefix, sizeof(prefix), "%.19s", id);
	assert_found(fixture, prefix, id);
	assert_found(fixture, prefix + 7, id);
	snprintf(prefix, sizeof(prefix), "%.1s", id + 7);
	assert_found(fixture, prefix, id);

	assert_not_found(fixture, "debian", "No such image: debian:latest");
	assert_not_found(fixture, "debian:11", "No such image: debian:11");
	assert_not_found(fixture, fixture_diff_id('0'),
		"No such image: sha256:0000000000000000000000000000000000000000000000000000000000000000");
	assert_not_found(fixture, "", "invalid reference format");
	assert_not_found(fixture, "../x", "invalid reference format");
	assert_not_found(fixture, "a\nb", "invalid reference format");
}

static void ambiguous_prefix_is_an_error(void **state)
{
	struct fixture *fixture = *state;
	char ids[17][STORE_DIGEST_SIZE], author[8];

	/* Of 17 images two begin with the same digit. */
	for (int i = 0; i < 17; i++) {
		snprintf(author, sizeof(author), "%d", i);
		fixture_make_image(fixture, "a", author, "", ids[i]);
	}
	for (int i = 0; i < 17; i++)
		for (int k = 0; k < i; k++)
			if (ids[i][7] == ids[k][7]) {
				char prefix[2] = { ids[i][7] }, message[80];

				snprintf(message, sizeof(message), "Multiple IDs found with provided prefix: %s",
					prefix);
				assert_not_found(fixture, prefix, message);
				assert_found(fixture, ids[i] + 7, ids[i]);
				return;
			}
	fail();
}

static void image_says_what_its_config_says(void **state)
{
	struct fixture *fixture = *state;
	_autofree_(store_image) struct store_image *image = NULL;
	struct store_history *history;
	char id[STORE_DIGEST_SIZE];
	size_t count;

	fixture_make_image(fixture, "ab", "x", "z:1 a:2", id);
	assert_int_equal(store_image_find(fixture->store, "a:2", &image, NULL), 0);
	assert_string_equal(image->repo_tags[0], "a:2");
	assert_string_equal(image->repo_tags[1], "z:1");
	assert_null(image->repo_tags[2]);
	assert_null(image->repo_digests);
	assert_int_equal(image->layer_count, 2);
	assert_string_equal(image->diff_ids[0], fixture_diff_id('a'));
	assert_string_equal(image->diff_ids[1], fixture_diff_id('b'));
	assert_int_equal(image->size_bytes, 200);
	assert_string_equal(image->config->config.env[0], "A=b");
	assert_int_equal(image->config_len, strlen(image->config_text));
	assert_true(image->created_ns > 0);
	assert_true(image->last_tagged_ns > 0);
	assert_string_equal(image->parent, "");

	assert_int_equal(store_image_history(image, &history, &count, NULL), 0);
	assert_int_equal(count, 3);
	assert_string_equal(history[0].id, id);
	assert_string_equal(history[0].created_by, "second");
	assert_int_equal(history[0].size_bytes, 100);
	assert_int_equal(history[1].size_bytes, 0);
	assert_string_equal(history[2].id, "<missing>");
	assert_int_equal(history[2].size_bytes, 100);
	free(history);
}

static void tag_moves_from_image_to_image(void **state)
{
	struct fixture *fixture = *state;
	_autofree_(store_image) struct store_image *image = NULL;
	_autofree_(err) struct err *err = NULL;
	char one[STORE_DIGEST_SIZE], two[STORE_DIGEST_SIZE], digest[128];

	fixture_make_image(fixture, "a", "1", "x:1", one);
	fixture_make_image(fixture, "a", "2", "y", two);
	assert_int_equal(store_image_tag(fixture->store, "y", "x:1", NULL), 0);
	assert_found(fixture, "x:1", two);
	assert_int_equal(store_image_find(fixture->store, one, &image, NULL), 0);
	assert_null(image->repo_tags);
	assert_int_equal(store_image_tag(fixture->store, one, "new/name", NULL), 0);
	assert_found(fixture, "new/name:latest", one);

	snprintf(digest, sizeof(digest), "x@%s", one);
	assert_true(store_image_tag(fixture->store, "y", digest, &err) < 0);
	assert_string_equal(err_message(err), "refusing to create a tag with a digest reference");
	assert_true(store_image_tag(fixture->store, "nothing", "a:b", NULL) < 0);
	assert_true(store_image_tag(fixture->store, "y", "A:b", NULL) < 0);
}

static void adding_again_tells_who_lost_the_name(void **state)
{
	struct fixture *fixture = *state;
	_autofree_(strv) char **names = strv_split("x:1", ' ');
	char one[STORE_DIGEST_SIZE], expected[128];
	struct image_added added;
	const char *config =
		"{\"architecture\":\"amd64\",\"os\":\"linux\",\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[]}}";
	struct job *job;

	fixture_make_image(fixture, "a", "1", "x:1", one);
	assert_int_equal(job_begin(fixture->store, &job, NULL), 0);
	assert_int_equal(store_image_add(job, config, strlen(config), names, &added, NULL), 0);
	snprintf(expected, sizeof(expected), "x:1 %s", one);
	assert_string_equal(added.renamed[0], expected);
	assert_false(added.existed);
	image_added_finish(&added);
	assert_int_equal(store_image_add(job, config, strlen(config), names, &added, NULL), 0);
	assert_true(added.existed);
	assert_null(added.renamed);
	image_added_finish(&added);
	job_end(job);
}

static void image_without_its_layer_is_refused(void **state)
{
	struct fixture *fixture = *state;
	struct image_added added;
	char config[512];
	struct job *job;

	snprintf(config, sizeof(config),
		"{\"architecture\":\"amd64\",\"os\":\"linux\",\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[\"%s\"]}}",
		fixture_diff_id('e'));
	assert_int_equal(job_begin(fixture->store, &job, NULL), 0);
	assert_true(store_image_add(job, config, strlen(config), NULL, &added, NULL) < 0);
	job_end(job);
}

static void blob_is_found_by_its_layer_and_held_by_a_job(void **state)
{
	struct fixture *fixture = *state;
	_autofree_(err) struct err *err = NULL;
	struct store_removed *removed;
	struct layer_blob blob = { 0 };
	char id[STORE_DIGEST_SIZE], path[128], byte = 0;
	struct job *job;
	size_t count;
	int fd = -1;

	fixture_make_image(fixture, "ab", "x", "x:1", id);
	assert_int_equal(job_begin(fixture->store, &job, NULL), 0);
	assert_int_equal(layer_hold_image(job, id, NULL), 0);
	assert_int_equal(store_image_remove(fixture->store, "x:1", &(struct store_remove_options){ 0 }, &removed,
				 &count, NULL),
		0);
	store_removed_free(removed, count);

	assert_int_equal(store_layer_blob(fixture->store, fixture_diff_id('b'), &blob, NULL), 0);
	assert_int_equal(blob.size_bytes, 1);
	assert_int_equal(store_blob_open(fixture->store, &blob, &fd, NULL), 0);
	assert_int_equal(read(fd, &byte, 1), 1);
	assert_int_equal(byte, 'b');
	close(fd);
	assert_true(layer_hold_image(job, id, &err) < 0);
	assert_int_equal(err->kind, ERR_NOT_FOUND);
	job_end(job);

	snprintf(path, sizeof(path), "blobs/sha256/%s", blob.digest + strlen(DIGEST_PREFIX));
	assert_false(fixture_exists(fixture, path));
	assert_true(store_layer_blob(fixture->store, fixture_diff_id('b'), &blob, NULL) < 0);
}

static void blob_of_another_length_is_refused(void **state)
{
	struct fixture *fixture = *state;
	struct layer_blob blob;
	char id[STORE_DIGEST_SIZE], path[192];
	int fd = -1;

	fixture_make_image(fixture, "a", "x", "x:1", id);
	assert_int_equal(store_layer_blob(fixture->store, fixture_diff_id('a'), &blob, NULL), 0);
	snprintf(path, sizeof(path), "%s/blobs/sha256/%s", fixture->path, blob.digest + strlen(DIGEST_PREFIX));
	assert_int_equal(truncate(path, 0), 0);
	assert_int_equal(store_blob_open(fixture->store, &blob, &fd, NULL), -EUCLEAN);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(store_blob_open(fixture->store, &blob, &fd, NULL), -ENOENT);
	assert_int_equal(fd, -1);
}

static void lease_keeps_layers_without_the_image(void **state)
{
	struct fixture *fixture = *state;
	struct store_remove_options options = { .force = true };
	_autofree_(strv) char **paths = NULL, **ids = NULL;
	struct store_removed *removed;
	char id[STORE_DIGEST_SIZE], layer[96], expected[192];
	size_t count;
	int64_t bytes;

	fixture_make_image(fixture, "abc", "x", "debian:12", id);
	assert_int_equal(store_lease_create(fixture->store, "container", id, false, NULL), 0);
	assert_int_equal(store_image_remove(fixture->store, "debian:12", &options, &removed, &count, NULL), 0);
	/* The layers are still held: nothing but the name and the image went. */
	assert_int_equal(count, 2);
	store_removed_free(removed, count);
	snprintf(layer, sizeof(layer), "layers/%s", fixture_diff_id('a') + 7);
	fixture_reopen(fixture);
	assert_true(fixture_exists(fixture, layer));

	assert_int_equal(store_lease_paths(fixture->store, "container", &paths, NULL), 0);
	assert_int_equal(strv_count(paths), 3);
	assert_int_equal(store_lease_size(fixture->store, "container", &bytes, NULL), 0);
	assert_int_equal(bytes, 300);
	snprintf(expected, sizeof(expected), "%s/layers/%s", fixture->path, fixture_diff_id('c') + 7);
	assert_string_equal(paths[0], expected);
	assert_int_equal(store_lease_list(fixture->store, &ids, NULL), 0);
	assert_int_equal(strv_count(ids), 1);
	assert_string_equal(ids[0], "container");

	assert_int_equal(store_lease_release(fixture->store, "container", NULL), 0);
	assert_int_equal(store_lease_release(fixture->store, "container", NULL), 0);
	assert_int_equal(fixture_count(fixture, "layers"), 0);
	assert_int_equal(fixture_count(fixture, "blobs/sha256"), 0);
	assert_true(store_has_trash(fixture->store));
	assert_true(store_lease_create(fixture->store, "other", id, true, NULL) < 0);
}

static void shared_layers_stay(void **state)
{
	struct fixture *fixture = *state;
	struct store_remove_options options = { 0 };
	struct store_removed *removed;
	char one[STORE_DIGEST_SIZE], two[STORE_DIGEST_SIZE];
	int64_t bytes;
	size_t count;

	fixture_make_image(fixture, "ab", "1", "one", one);
	fixture_make_image(fixture, "ac", "2", "two", two);
	assert_int_equal(fixture_count(fixture, "layers"), 3);
	assert_int_equal(store_layers_size(fixture->store, &bytes, NULL), 0);
	assert_int_equal(bytes, 300);
	assert_int_equal(store_images_size(fixture->store, &bytes, NULL), 0);
	assert_int_equal(bytes, 303);
	assert_int_equal(store_image_remove(fixture->store, "one", &options, &removed, &count, NULL), 0);
	/* Untagged, the image, and the chain of its upper layer alone. */
	assert_int_equal(count, 3);
	store_removed_free(removed, count);
	assert_int_equal(fixture_count(fixture, "layers"), 2);
	assert_int_equal(fixture_count(fixture, "blobs/sha256"), 2);
}

static void nothing_below_an_opaque_root_is_mounted(void **state)
{
	struct fixture *fixture = *state;
	struct layer_content content = { .folder = "layer", .opaque_root = true, .blob_size_bytes = 0 };
	_autofree_(store_image) struct store_image *image = NULL;
	_autofree_(strv) char **paths = NULL;
	char id[STORE_DIGEST_SIZE];
	enum layer_claim claim;
	struct job *job;

	assert_int_equal(job_begin(fixture->store, &job, NULL), 0);
	assert_int_equal(layer_claim(job, fixture_diff_id('b'), &claim, NULL), 0);
	assert_int_equal(mkdirat(job_folder(job), "layer", 0755), 0);
	content.blob_digest = fixture_diff_id('9');
	content.blob_fd = openat(job_folder(job), ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	assert_int_equal(layer_commit(job, fixture_diff_id('b'), &content, NULL), 0);
	close(content.blob_fd);
	fixture_make_image(fixture, "abc", "x", "x", id);
	job_end(job);
	assert_int_equal(store_image_find(fixture->store, "x", &image, NULL), 0);
	assert_int_equal(store_layers_paths(fixture->store, image, &paths, NULL), 0);
	assert_int_equal(strv_count(paths), 2);
}

/* ---- jobs that die */

static void two_jobs_make_one_layer(void **state)
{
	struct fixture *fixture = *state;
	enum layer_claim claim;
	struct job *one, *two;

	assert_int_equal(job_begin(fixture->store, &one, NULL), 0);
	assert_int_equal(job_begin(fixture->store, &two, NULL), 0);
	assert_int_equal(layer_claim(one, fixture_diff_id('a'), &claim, NULL), 0);
	assert_int_equal(claim, LAYER_MINE);
	assert_int_equal(layer_claim(two, fixture_diff_id('a'), &claim, NULL), 0);
	assert_int_equal(claim, LAYER_BUSY);
	/* The first one dies: the second takes over. */
	fixture_abandon(one);
	assert_int_equal(layer_claim(two, fixture_diff_id('a'), &claim, NULL), 0);
	assert_int_equal(claim, LAYER_MINE);
	job_end(two);
	assert_int_equal(fixture_count(fixture, "tmp"), 0);
}

/* For as long as it is in effect, nothing can be opened. */
static struct rlimit allow_no_descriptor(void)
{
	struct rlimit before, none;
	int next = dup(STDERR_FILENO);

	assert_true(next >= 0);
	close(next);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	none = (struct rlimit){ .rlim_cur = (rlim_t)next, .rlim_max = before.rlim_max };
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	return before;
}

static void job_without_descriptors_leaves_no_folder(void **state)
{
	struct fixture *fixture = *state;
	struct job *job;
	struct rlimit before = allow_no_descriptor();
	int r = job_begin(fixture->store, &job, NULL);

	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	assert_int_equal(r, -EMFILE);
	assert_int_equal(fixture_count(fixture, "tmp"), 0);
}

static void job_is_not_taken_for_dead_without_a_look(void **state)
{
	struct fixture *fixture = *state;
	enum layer_claim claim;
	struct job *one, *two;

	assert_int_equal(job_begin(fixture->store, &one, NULL), 0);
	assert_int_equal(job_begin(fixture->store, &two, NULL), 0);
	assert_int_equal(layer_claim(one, fixture_diff_id('a'), &claim, NULL), 0);
	struct rlimit before = allow_no_descriptor();
	int r = layer_claim(two, fixture_diff_id('a'), &claim, NULL);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	assert_int_equal(r, 0);
	assert_int_equal(claim, LAYER_BUSY);
	assert_int_equal(fixture_count(fixture, "tmp"), 2);
	job_end(one);
	job_end(two);
}

static void layer_in_use_by_a_job_is_not_collected(void **state)
{
	struct fixture *fixture = *state;
	enum layer_claim claim;
	struct job *one, *two;
	bool trash;

	assert_int_equal(job_begin(fixture->store, &one, NULL), 0);
	fixture_make_layer(fixture, one, 'a');
	assert_int_equal(job_begin(fixture->store, &two, NULL), 0);
	assert_int_equal(layer_claim(two, fixture_diff_id('a'), &claim, NULL), 0);
	assert_int_equal(claim, LAYER_READY);
	job_end(one);
	assert_int_equal(store_sweep(fixture->store, &trash, NULL), 0);
	assert_int_equal(fixture_count(fixture, "layers"), 1);
	job_end(two);
	assert_int_equal(fixture_count(fixture, "layers"), 0);
}

static void sweep_clears_what_a_killed_worker_left(void **state)
{
	struct fixture *fixture = *state;
	enum layer_claim claim;
	struct job *dead, *alive;
	bool trash;

	assert_int_equal(job_begin(fixture->store, &dead, NULL), 0);
	fixture_make_layer(fixture, dead, 'a');
	assert_int_equal(layer_claim(dead, fixture_diff_id('b'), &claim, NULL), 0);
	assert_int_equal(mkdirat(job_folder(dead), "half", 0755), 0);
	assert_int_equal(job_begin(fixture->store, &alive, NULL), 0);
	fixture_make_layer(fixture, alive, 'c');
	fixture_abandon(dead);

	fixture_reopen(fixture);
	assert_int_equal(fixture_count(fixture, "tmp"), 1);
	assert_int_equal(fixture_count(fixture, "layers"), 1);
	assert_int_equal(fixture_count(fixture, "blobs/sha256"), 1);
	assert_true(store_has_trash(fixture->store));
	fixture_abandon(alive);
	assert_int_equal(store_sweep(fixture->store, &trash, NULL), 0);
	assert_true(trash);
	assert_int_equal(fixture_count(fixture, "tmp"), 0);
	assert_int_equal(fixture_count(fixture, "layers"), 0);
}

static void open_clears_names_without_a_row(void **state)
{
	struct fixture *fixture = *state;
	char path[128], id[STORE_DIGEST_SIZE];

	fixture_make_image(fixture, "a", "x", "x", id);
	snprintf(path, sizeof(path), "layers/%s", fixture_diff_id('f') + 7);
	assert_int_equal(mkdirat(fixture->root_fd, path, 0755), 0);
	assert_int_equal(mkdirat(fixture->root_fd, "layers/strange", 0755), 0);
	assert_int_equal(mkdirat(fixture->root_fd, "tmp/strange", 0755), 0);
	fixture_reopen(fixture);
	assert_int_equal(fixture_count(fixture, "layers"), 1);
	assert_int_equal(fixture_count(fixture, "tmp"), 0);
	assert_found(fixture, "x", id);
}

static void leftover_folder_is_replaced(void **state)
{
	struct fixture *fixture = *state;
	char path[128], id[STORE_DIGEST_SIZE];

	snprintf(path, sizeof(path), "layers/%s", fixture_diff_id('a') + 7);
	assert_int_equal(mkdirat(fixture->root_fd, path, 0755), 0);
	strcat(path, "/foreign");
	assert_int_equal(mkdirat(fixture->root_fd, path, 0755), 0);
	fixture_make_image(fixture, "a", "x", "x", id);
	assert_false(fixture_exists(fixture, path));
}

/* A worker killed at any of its steps: whatever it was at, the next open finds a store that works. */
static void kill_at_any_moment(void **state)
{
	struct fixture *fixture = *state;
	char id[STORE_DIGEST_SIZE];

	for (int delay_us = 0; delay_us < 20000; delay_us += 1000) {
		pid_t pid = fork();

		if (pid == 0) {
			struct store *store;

			if (store_open(fixture->root_fd, STORE_WORKER, &store, NULL) < 0)
				_exit(1);
			fixture->store = store;
			for (;;) {
				fixture_make_image(fixture, "abc", "x", "x:1", id);
				struct store_remove_options options = { .force = true };
				struct store_removed *removed;
				size_t count;
				if (store_image_remove(store, "x:1", &options, &removed, &count, NULL) < 0)
					_exit(1);
			}
		}
		usleep((useconds_t)delay_us);
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		fixture_reopen(fixture);
		assert_int_equal(fixture_count(fixture, "tmp"), 0);
		assert_true(fixture_count(fixture, "layers") == 0 || fixture_count(fixture, "layers") == 3);
		assert_int_equal(fixture_count(fixture, "layers"), fixture_count(fixture, "blobs/sha256"));
	}
	fixture_make_image(fixture, "abc", "x", "x:1", id);
	assert_found(fixture, "x:1", id);
}

static void later_schema_is_refused(void **state)
{
	struct fixture *fixture = *state;
	_autofree_(err) struct err *err = NULL;
	struct store *store = NULL;
	char command[160];

	snprintf(command, sizeof(command), "sqlite3 %s/store.db 'PRAGMA user_version = 1000'", fixture->path);
	if (system(command) != 0)
		skip();
	assert_true(store_open(fixture->root_fd, STORE_WORKER, &store, &err) < 0);
	assert_non_null(strstr(err_message(err), "later version"));
	assert_null(store);
}

static void damaged_database_is_an_error(void **state)
{
	struct fixture *fixture = *state;
	_autofree_(err) struct err *err = NULL;
	struct store *store = NULL;
	int fd;

	store_free(fixture->store);
	fixture->store = NULL;
	unlinkat(fixture->root_fd, "store.db-wal", 0);
	fd = openat(fixture->root_fd, "store.db", O_WRONLY | O_TRUNC);
	assert_int_equal(write(fd, "this is no database at all, not even nearly", 43), 43);
	close(fd);
	assert_true(store_open(fixture->root_fd, STORE_WORKER, &store, &err) < 0);
	assert_non_null(err);
	assert_null(store);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(image_is_found_by_name_id_and_prefix),
		TEST(ambiguous_prefix_is_an_error),
		TEST(image_says_what_its_config_says),
		TEST(tag_moves_from_image_to_image),
		TEST(adding_again_tells_who_lost_the_name),
		TEST(image_without_its_layer_is_refused),
		TEST(blob_is_found_by_its_layer_and_held_by_a_job),
		TEST(blob_of_another_length_is_refused),
		TEST(lease_keeps_layers_without_the_image),
		TEST(shared_layers_stay),
		TEST(nothing_below_an_opaque_root_is_mounted),
		TEST(two_jobs_make_one_layer),
		TEST(job_without_descriptors_leaves_no_folder),
		TEST(job_is_not_taken_for_dead_without_a_look),
		TEST(layer_in_use_by_a_job_is_not_collected),
		TEST(sweep_clears_what_a_killed_worker_left),
		TEST(open_clears_names_without_a_row),
		TEST(leftover_folder_is_replaced),
		TEST(kill_at_any_moment),
		TEST(later_schema_is_refused),
		TEST(damaged_database_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
