#include <string.h>

#include "../store/fixture.h"
#include "../unit.h"
#include "spec/oci_image.h"
#include "worker/content.h"

static struct job *begin(struct fixture *fixture)
{
	struct job *job = NULL;

	assert_int_equal(job_begin(fixture->store, &job, NULL), 0);
	return job;
}

static void manifest_names_config_and_blobs(void **state)
{
	struct fixture *fixture = *state;
	struct job *job = begin(fixture);
	struct content content;
	struct oci_content parsed;
	char id[STORE_DIGEST_SIZE];

	fixture_make_image(fixture, "ab", "x", "x:1", id);
	assert_int_equal(content_open(job, "x:1", &content, NULL), 0);
	assert_int_equal(oci_content_parse(content.manifest.data, content.manifest.len, OCI_MEDIA_TYPE_MANIFEST,
				 &parsed, NULL),
		0);
	assert_false(parsed.is_index);
	assert_string_equal(parsed.manifest.config.digest, id);
	assert_int_equal(parsed.manifest.config.size, content.image->config_len);
	assert_int_equal(parsed.manifest.layer_count, 2);
	for (size_t i = 0; i < 2; i++) {
		assert_string_equal(parsed.manifest.layers[i].digest, content.layers[i].digest);
		assert_string_equal(parsed.manifest.layers[i].media_type, OCI_MEDIA_TYPE_LAYER);
		assert_int_equal(parsed.manifest.layers[i].size, 1);
	}
	oci_content_finish(&parsed);
	content_finish(&content);
	job_end(job);
}

static void manifest_is_the_same_every_time(void **state)
{
	struct fixture *fixture = *state;
	struct job *job = begin(fixture);
	struct content one, two;
	char id[STORE_DIGEST_SIZE];

	fixture_make_image(fixture, "ab", "x", "x:1", id);
	assert_int_equal(content_open(job, "x:1", &one, NULL), 0);
	assert_int_equal(content_open(job, id, &two, NULL), 0);
	assert_string_equal(one.manifest_digest, two.manifest_digest);
	assert_string_equal(one.manifest.data, two.manifest.data);
	content_finish(&one);
	content_finish(&two);
	job_end(job);
}

static void image_without_layers_has_a_manifest(void **state)
{
	struct fixture *fixture = *state;
	struct job *job = begin(fixture);
	struct content content;
	char id[STORE_DIGEST_SIZE];

	fixture_make_image(fixture, "", "x", "x:1", id);
	assert_int_equal(content_open(job, "x:1", &content, NULL), 0);
	assert_non_null(strstr(content.manifest.data, "\"layers\":[]"));
	content_finish(&content);
	job_end(job);
}

static void unknown_image_is_not_found(void **state)
{
	struct fixture *fixture = *state;
	_autofree_(err) struct err *err = NULL;
	struct job *job = begin(fixture);
	struct content content;

	assert_true(content_open(job, "nothing:1", &content, &err) < 0);
	assert_int_equal(err->kind, ERR_NOT_FOUND);
	assert_string_equal(err_message(err), "No such image: nothing:1");
	job_end(job);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(manifest_names_config_and_blobs),
		TEST(manifest_is_the_same_every_time),
		TEST(image_without_layers_has_a_manifest),
		TEST(unknown_image_is_not_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
