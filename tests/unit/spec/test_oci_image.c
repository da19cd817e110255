#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../unit.h"
#include "base/strv.h"
#include "spec/oci_image.h"

#include "sweep.h"

#define HEX    "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define DIGEST "sha256:" HEX

static void digests_have_one_form(void **state)
{
	(void)state;
	assert_true(oci_digest_is_valid(DIGEST));
	static const char *const wrong[] = { NULL, "", "sha256:", HEX, "sha256:0123", DIGEST "0", "SHA256:" HEX,
		"sha256:0123456789ABCDEF0123456789abcdef0123456789abcdef0123456789abcdef",
		"sha256:../../../../../../../../../../../../../../../../../../../../../..", "sha512:" HEX HEX,
		" " DIGEST, DIGEST "\n" };
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
		assert_false(oci_digest_is_valid(wrong[i]));
}

/* --- config --- */

static const char full_config[] =
	"{\"created\":\"2026-01-01T00:00:00Z\",\"author\":\"a\",\"architecture\":\"amd64\",\"variant\":\"v2\",\"os\":\"linux\","
	"\"os.version\":\"1\",\"os.features\":[\"f\"],\"config\":{\"User\":\"u\",\"ExposedPorts\":{\"80/tcp\":{}},"
	"\"Env\":[\"A=b\"],\"Entrypoint\":[\"e\"],\"Cmd\":[\"c\"],\"Volumes\":{\"/v\":{}},\"WorkingDir\":\"/w\","
	"\"Labels\":{\"l\":\"m\"},\"StopSignal\":\"SIGTERM\",\"ArgsEscaped\":true,"
	"\"Healthcheck\":{\"Test\":[\"CMD\",\"x\"],\"Interval\":1,\"Timeout\":2,\"StartPeriod\":3,\"StartInterval\":4,"
	"\"Retries\":5},\"OnBuild\":[\"RUN x\"],\"Shell\":[\"/bin/sh\"]},"
	"\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[\"" DIGEST "\"]},"
	"\"history\":[{\"created\":\"2026-01-01T00:00:00Z\",\"created_by\":\"b\",\"author\":\"a\",\"comment\":\"c\","
	"\"empty_layer\":true}],\"docker_version\":\"28\",\"parent\":\"p\",\"comment\":\"c\"}";

static int reparse_config(const void *object, struct err **reterr)
{
	_cleanup_(buf_finish) struct buf text = BUF_INIT(OCI_IMAGE_CONFIG_MAX);
	struct oci_image_config config;
	assert_int_equal(json_print(&oci_image_config_table, object, &text), 0);
	int r = oci_image_config_parse(text.data, text.len, &config, reterr);
	if (r == 0)
		oci_image_config_finish(&config);
	return r;
}

static void a_config_keeps_its_members(void **state)
{
	(void)state;
	sweep_round_trip(&oci_image_config_table, full_config);
	sweep_members(&oci_image_config_table, full_config, reparse_config);
}

static void expect_config(const char *text, const char *message)
{
	_autofree_(err) struct err *err = NULL;
	struct oci_image_config config;
	int r = oci_image_config_parse(text, strlen(text), &config, &err);
	if (r == 0)
		oci_image_config_finish(&config);
	assert_string_equal(r < 0 ? err_message(err) : "", message ? message : "");
}

static void configs_are_checked(void **state)
{
	(void)state;
	expect_config("{\"rootfs\":{}}", NULL);
	expect_config("{\"rootfs\":{\"type\":\"layers\",\"diff_ids\":null},\"history\":null,\"config\":null}", NULL);
	expect_config("{\"rootfs\":{\"diff_ids\":[\"" DIGEST "\"]},\"history\":[{},null,{}]}", NULL);
	expect_config("{\"config\":{\"Cmd\":\"one word\"},\"rootfs\":{}}", NULL);
	expect_config("{}", "invalid image config: rootfs: is required");
	expect_config("{\"rootfs\":null}", "invalid image config: rootfs: is required");
	expect_config("{\"rootfs\":{\"type\":\"blobs\"}}", "invalid image config: rootfs.type: expected \"layers\"");
	expect_config("{\"rootfs\":{\"diff_ids\":[\"" DIGEST "\",\"sha256:../x\"]}}",
		"invalid image config: rootfs.diff_ids[1]: invalid digest (expected sha256: and 64 lower-case hex digits)");
	expect_config("{\"rootfs\":{\"diff_ids\":[null]}}",
		"invalid image config: rootfs.diff_ids[0]: invalid digest (expected sha256: and 64 lower-case hex digits)");
	expect_config("{\"rootfs\":{\"diff_ids\":[\"sha512:" HEX HEX "\"]}}",
		"invalid image config: rootfs.diff_ids[0]: digest algorithm sha512 is not supported");
	expect_config("{\"rootfs\":{},\"config\":{\"Env\":{}}}",
		"invalid image config: config.Env: expected an array of strings, got an object");
	expect_config("{\"rootfs\":{},\"history\":{}}",
		"invalid image config: history: expected an array of objects, got an object");
}

static void append_list(struct buf *text, const char *element, size_t count)
{
	for (size_t i = 0; i < count; i++)
		buf_printf(text, "%s%s", i ? "," : "", element);
}

static int parse_config_of(size_t layers)
{
	_cleanup_(buf_finish) struct buf text = BUF_INIT(1 << 20);
	struct oci_image_config config;
	buf_puts(&text, "{\"rootfs\":{\"diff_ids\":[");
	append_list(&text, "\"" DIGEST "\"", layers);
	buf_puts(&text, "]}}");
	int r = oci_image_config_parse(text.data, text.len, &config, NULL);
	if (r == 0)
		oci_image_config_finish(&config);
	return r;
}

#define LAYER "{\"mediaType\":\"" OCI_MEDIA_TYPE_LAYER "\",\"digest\":\"" DIGEST "\",\"size\":1}"

static int parse_manifest_of(size_t layers)
{
	_cleanup_(buf_finish) struct buf text = BUF_INIT(1 << 20);
	struct oci_content content;
	buf_puts(&text, "{\"schemaVersion\":2,\"config\":" LAYER ",\"layers\":[");
	append_list(&text, LAYER, layers);
	buf_puts(&text, "]}");
	int r = oci_content_parse(text.data, text.len, NULL, &content, NULL);
	if (r == 0)
		oci_content_finish(&content);
	return r;
}

static void layers_are_counted(void **state)
{
	(void)state;
	for (size_t count = OCI_IMAGE_LAYERS_MAX - 1; count <= OCI_IMAGE_LAYERS_MAX + 1; count++) {
		int expected = count <= OCI_IMAGE_LAYERS_MAX ? 0 : -EINVAL;
		assert_int_equal(parse_config_of(count), expected);
		assert_int_equal(parse_manifest_of(count), expected);
	}
}

static void documents_have_ceilings(void **state)
{
	(void)state;
	static char text[OCI_IMAGE_CONFIG_MAX + 1];
	static const char config[] = "{\"rootfs\":{}}", manifest[] = "{\"schemaVersion\":2,\"manifests\":[]}";
	struct oci_image_config parsed;
	struct oci_content content;
	memset(text, ' ', sizeof text);
	memcpy(text, config, strlen(config));
	assert_int_equal(oci_image_config_parse(text, OCI_IMAGE_CONFIG_MAX - 1, &parsed, NULL), 0);
	assert_int_equal(oci_image_config_parse(text, OCI_IMAGE_CONFIG_MAX, &parsed, NULL), 0);
	assert_int_equal(oci_image_config_parse(text, OCI_IMAGE_CONFIG_MAX + 1, &parsed, NULL), -EFBIG);

	_Static_assert(OCI_MANIFEST_MAX == OCI_IMAGE_CONFIG_MAX, "the same buffer serves both");
	memset(text, ' ', sizeof text);
	memcpy(text, manifest, strlen(manifest));
	assert_int_equal(oci_content_parse(text, OCI_MANIFEST_MAX, NULL, &content, NULL), 0);
	oci_content_finish(&content);
	assert_int_equal(oci_content_parse(text, OCI_MANIFEST_MAX + 1, NULL, &content, NULL), -EFBIG);
}

/* --- manifest and index --- */

static const char full_manifest[] = "{\"schemaVersion\":2,\"mediaType\":\"" OCI_MEDIA_TYPE_MANIFEST
				    "\",\"artifactType\":\"a/b\",\"config\":" LAYER ","
				    "\"layers\":[{\"mediaType\":\"" DOCKER_MEDIA_TYPE_LAYER "\",\"digest\":\"" DIGEST
				    "\",\"size\":5,"
				    "\"urls\":[\"http://x\"],\"annotations\":{\"a\":\"b\"}}],\"subject\":" LAYER
				    ",\"annotations\":{\"c\":\"d\"}}";
static const char full_index[] =
	"{\"schemaVersion\":2,\"mediaType\":\"" OCI_MEDIA_TYPE_INDEX
	"\",\"manifests\":[{\"mediaType\":\"" OCI_MEDIA_TYPE_MANIFEST "\",\"digest\":\"" DIGEST
	"\",\"size\":5,\"platform\":{\"architecture\":\"arm64\",\"os\":\"linux\","
	"\"os.version\":\"1\",\"os.features\":[\"f\"],\"variant\":\"v8\"}}],\"annotations\":{\"c\":\"d\"}}";

static void manifests_and_indexes_keep_their_members(void **state)
{
	(void)state;
	sweep_round_trip(&oci_manifest_table, full_manifest);
	sweep_round_trip(&oci_index_table, full_index);
	sweep_members(&oci_manifest_table, full_manifest, NULL);
	sweep_members(&oci_index_table, full_index, NULL);

	struct oci_content content;
	assert_int_equal(oci_content_parse(full_manifest, strlen(full_manifest), OCI_MEDIA_TYPE_MANIFEST, &content,
				 NULL),
		0);
	assert_false(content.is_index);
	assert_int_equal(content.manifest.layers[0].size, 5);
	oci_content_finish(&content);
	assert_int_equal(oci_content_parse(full_index, strlen(full_index), "", &content, NULL), 0);
	assert_true(content.is_index);
	oci_content_finish(&content);
}

static void a_content_has_one_meaning(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		const char *media_type;
		const char *message;
	} cases[] = {
		{ "{\"schemaVersion\":2,\"manifests\":[],\"layers\":[]}", NULL, "it has both manifests and layers" },
		{ "{\"schemaVersion\":2,\"Manifests\":[],\"layers\":[]}", NULL, "it has both manifests and layers" },
		{ "{\"schemaVersion\":2,\"manifests\":[],\"config\":" LAYER "}", NULL,
			"it has both manifests and layers" },
		{ "{\"schemaVersion\":2}", NULL, "it has neither manifests nor layers" },
		{ "{\"schemaVersion\":1,\"fsLayers\":[],\"layers\":[]}", NULL,
			"manifests of schema version 1 are not supported" },
		{ "{\"schemaVersion\":2,\"manifests\":[]}", OCI_MEDIA_TYPE_MANIFEST,
			"the descriptor says manifest, but the content is an index" },
		{ "{\"schemaVersion\":2,\"mediaType\":\"" DOCKER_MEDIA_TYPE_INDEX "\",\"config\":" LAYER
		  ",\"layers\":[]}",
			NULL, "the document says index, but the content is a manifest" },
		{ "{\"schemaVersion\":2,\"manifests\":[]}", "text/html", "unsupported media type of the descriptor" },
		{ "{\"schemaVersion\":3,\"manifests\":[]}", NULL, "schemaVersion: expected 2" },
		{ "{\"manifests\":[]}", NULL, "schemaVersion: expected 2" },
		{ "[]", NULL, "expected an object" },
		{ "{\"schemaVersion\":2,\"manifests\":[{\"digest\":\"" DIGEST "x\"}]}", NULL,
			"manifests[0]: invalid digest (expected sha256: and 64 lower-case hex digits)" },
		{ "{\"schemaVersion\":2,\"manifests\":[{\"digest\":\"" DIGEST "\",\"size\":-1}]}", NULL,
			"manifests[0].size: is negative" },
		{ "{\"schemaVersion\":2,\"manifests\":[{\"digest\":\"" DIGEST "\",\"mediaType\":\"a b/c\"}]}", NULL,
			"manifests[0].mediaType: is not a media type" },
		{ "{\"schemaVersion\":2,\"layers\":[],\"config\":{\"digest\":\"" DIGEST "\",\"size\":4194305}}", NULL,
			"config.size: more than 4194304 bytes" },
		{ "{\"schemaVersion\":2,\"layers\":[{\"digest\":\"" DIGEST "\"},null],\"config\":" LAYER "}", NULL,
			"layers[1].digest: is required" },
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_autofree_(err) struct err *err = NULL;
		struct oci_content content;
		assert_true(oci_content_parse(cases[i].text, strlen(cases[i].text), cases[i].media_type, &content,
				    &err) < 0);
		assert_memory_equal(err_message(err), "invalid manifest: ", 18);
		assert_string_equal(err_message(err) + 18, cases[i].message);
	}
}

static void counts_of_manifest_and_config_agree(void **state)
{
	(void)state;
	_autofree_(err) struct err *err = NULL;
	char *two[] = { "a", "b", NULL };
	const struct oci_image_config config = { .rootfs = { .diff_ids = two } };
	assert_int_equal(oci_manifest_check_config(&(struct oci_manifest){ .layer_count = 2 }, &config, NULL), 0);
	assert_int_equal(oci_manifest_check_config(&(struct oci_manifest){ .layer_count = 1 }, &config, &err), -EINVAL);
	assert_string_equal(err_message(err), "invalid manifest, layers length mismatch: expected 2, got 1");
}

static void the_platform_decides(void **state)
{
	(void)state;
	struct oci_platform arm7 = { .os = "linux", .architecture = "arm", .variant = "v7" };
	struct oci_platform arm6 = { .os = "linux", .architecture = "arm", .variant = "v6" };
	struct oci_platform amd = { .os = "linux", .architecture = "amd64" };
	struct oci_platform none = { .os = "unknown", .architecture = "unknown" };
	struct oci_descriptor entries[] = { { .platform = &none }, { .platform = NULL }, { .platform = &arm7 },
		{ .platform = &arm6 }, { .platform = &amd } };
	struct oci_index index = { .manifests = entries, .manifest_count = ARRAY_SIZE(entries) };
	assert_ptr_equal(oci_index_select(&index, "linux", "amd64", NULL), &entries[4]);
	assert_ptr_equal(oci_index_select(&index, "linux", "amd64", ""), &entries[4]);
	assert_ptr_equal(oci_index_select(&index, "linux", "arm", NULL), &entries[2]);
	assert_ptr_equal(oci_index_select(&index, "linux", "arm", "v6"), &entries[3]);
	assert_ptr_equal(oci_index_select(&index, "linux", "arm", "v5"), &entries[1]);
	index.manifests = entries + 2;
	index.manifest_count = 3;
	assert_null(oci_index_select(&index, "windows", "amd64", NULL));
}

static void layer_formats_are_known(void **state)
{
	(void)state;
	enum oci_layer_format format;
	assert_int_equal(oci_layer_format(OCI_MEDIA_TYPE_LAYER, &format), 0);
	assert_int_equal(format, OCI_LAYER_TAR);
	assert_int_equal(oci_layer_format(DOCKER_MEDIA_TYPE_LAYER, &format), 0);
	assert_int_equal(format, OCI_LAYER_GZIP);
	assert_int_equal(oci_layer_format(OCI_MEDIA_TYPE_LAYER_ZSTD, &format), 0);
	assert_int_equal(format, OCI_LAYER_ZSTD);
	assert_int_equal(oci_layer_format(OCI_MEDIA_TYPE_CONFIG, &format), -EINVAL);
	assert_int_equal(oci_layer_format(NULL, &format), -EINVAL);
}

static int check_layout(const char *text)
{
	return oci_layout_check(text, strlen(text), NULL);
}

static void layouts_have_a_version(void **state)
{
	(void)state;
	assert_int_equal(check_layout("{\"imageLayoutVersion\":\"1.0.0\"}"), 0);
	assert_int_equal(check_layout("{\"imageLayoutVersion\":\"2.0.0\"}"), -err_kind_errno(ERR_UNSUPPORTED));
	assert_int_equal(check_layout("{\"imageLayoutVersion\":1}"), -EINVAL);
	assert_int_equal(check_layout("[]"), -EINVAL);
	assert_int_equal(check_layout(""), -EINVAL);
	static char large[OCI_LAYOUT_MAX + 2];
	memset(large, ' ', OCI_LAYOUT_MAX + 1);
	assert_int_equal(check_layout(large), -EFBIG);
}

/* --- docker-archive --- */

static void expect_archive(const char *text, const char *message)
{
	_autofree_(err) struct err *err = NULL;
	struct docker_archive_image *images = NULL;
	size_t count = 0;
	int r = docker_archive_parse(text, strlen(text), &images, &count, &err);
	if (r == 0)
		docker_archive_free(images, count);
	assert_string_equal(r < 0 ? err_message(err) : "", message ? message : "");
}

static void archives_name_files_inside(void **state)
{
	(void)state;
	static const char good[] =
		"[{\"Config\":\"a.json\",\"RepoTags\":[\"x:1\"],\"Layers\":[\"l/layer.tar\",\"..a/b\"]},"
		"{\"Config\":\"blobs/sha256/" HEX "\",\"RepoTags\":null,\"Layers\":[],\"LayerSources\":{}}]";
	struct docker_archive_image *images;
	size_t count;
	assert_int_equal(docker_archive_parse(good, strlen(good), &images, &count, NULL), 0);
	assert_int_equal(count, 2);
	assert_string_equal(images[0].repo_tags[0], "x:1");
	assert_null(images[1].repo_tags);
	docker_archive_free(images, count);
	docker_archive_free(NULL, 0);

	expect_archive("[]", NULL);
	expect_archive("{}", "invalid manifest.json: expected an array");
	expect_archive("[null]", "invalid manifest.json: image 0: invalid JSON: expected an object, got null");
	expect_archive("[{\"Config\":\"/etc/x\",\"Layers\":[]}]",
		"invalid manifest.json: image 0: Config: not a path inside the archive");
	expect_archive("[{\"Config\":\"a/../../x\",\"Layers\":[]}]",
		"invalid manifest.json: image 0: Config: not a path inside the archive");
	expect_archive("[{\"Config\":\"\",\"Layers\":[]}]",
		"invalid manifest.json: image 0: Config: not a path inside the archive");
	expect_archive("[{\"Config\":\"c\",\"Layers\":[\"..\"]}]",
		"invalid manifest.json: image 0: Layers: not a path inside the archive");
	expect_archive("[{\"Config\":\"c\",\"Layers\":[null]}]",
		"invalid manifest.json: image 0: Layers: not a path inside the archive");
	expect_archive("[{\"Config\":\"c\"}]", "invalid manifest.json: image 0: Layers: is required");
	expect_archive("[{\"Layers\":[]}]", "invalid manifest.json: image 0: Config: is required");
}

static void repositories_map_tags(void **state)
{
	(void)state;
	static const char good[] = "{\"debian\":{\"12\":\"id1\",\"latest\":\"id2\"},\"none\":{}}";
	struct map *names;
	assert_int_equal(docker_repositories_parse(good, strlen(good), &names, NULL), 0);
	assert_int_equal(map_count(names), 2);
	assert_string_equal(map_get(map_get(names, "debian"), "latest"), "id2");
	map_free(names);
	static const char *const wrong[] = { "[]", "{\"a\":5}", "{\"a\":null}", "{\"a\":{\"t\":null}}",
		"{\"a\":{\"t\":[]}}" };
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
		assert_int_equal(docker_repositories_parse(wrong[i], strlen(wrong[i]), &names, NULL), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(digests_have_one_form),
		cmocka_unit_test(a_config_keeps_its_members),
		cmocka_unit_test(configs_are_checked),
		cmocka_unit_test(layers_are_counted),
		cmocka_unit_test(documents_have_ceilings),
		cmocka_unit_test(manifests_and_indexes_keep_their_members),
		cmocka_unit_test(a_content_has_one_meaning),
		cmocka_unit_test(counts_of_manifest_and_config_agree),
		cmocka_unit_test(the_platform_decides),
		cmocka_unit_test(layer_formats_are_known),
		cmocka_unit_test(layouts_have_a_version),
		cmocka_unit_test(archives_name_files_inside),
		cmocka_unit_test(repositories_map_tags),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
