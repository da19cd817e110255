#include "spec/oci_image.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/parse.h"
#include "base/strv.h"

#define DIGEST_PREFIX  "sha256:"
#define MEDIA_TYPE_MAX 255

static const struct json_field oci_image_run_fields[] = {
	JSON_FIELD(struct oci_image_run, user, "User", JSON_STRING_FIELD, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct oci_image_run, exposed_ports, "ExposedPorts", JSON_SET, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct oci_image_run, env, "Env", JSON_STRV, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct oci_image_run, entrypoint, "Entrypoint", JSON_STRV_OR_STRING, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct oci_image_run, cmd, "Cmd", JSON_STRV_OR_STRING, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct oci_image_run, volumes, "Volumes", JSON_SET, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct oci_image_run, working_dir, "WorkingDir", JSON_STRING_FIELD, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct oci_image_run, labels, "Labels", JSON_STRMAP, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct oci_image_run, stop_signal, "StopSignal", JSON_STRING_FIELD, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct oci_image_run, args_escaped, "ArgsEscaped", JSON_BOOL_FIELD, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct oci_image_run, healthcheck, "Healthcheck", JSON_OBJECT_PTR, .table = &healthcheck_table,
		.flags = JSON_OMITEMPTY),
	JSON_FIELD(struct oci_image_run, on_build, "OnBuild", JSON_STRV, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct oci_image_run, shell, "Shell", JSON_STRV_OR_STRING, .flags = JSON_OMITEMPTY),
};
const struct json_table oci_image_run_table = JSON_TABLE(struct oci_image_run, oci_image_run_fields);

static const struct json_field oci_image_rootfs_fields[] = {
	JSON_FIELD(struct oci_image_rootfs, type, "type", JSON_STRING_FIELD),
	JSON_FIELD(struct oci_image_rootfs, diff_ids, "diff_ids", JSON_STRV, .flags = JSON_EMPTYNULL),
};
static const struct json_table oci_image_rootfs_table = JSON_TABLE(struct oci_image_rootfs, oci_image_rootfs_fields);

static const struct json_field oci_image_history_fields[] = {
	JSON_FIELD(struct oci_image_history, created, "created", JSON_STRING_FIELD, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct oci_image_history, created_by, "created_by", JSON_STRING_FIELD, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct oci_image_history, author, "author", JSON_STRING_FIELD, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct oci_image_history, comment, "comment", JSON_STRING_FIELD, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct oci_image_history, empty_layer, "empty_layer", JSON_BOOL_FIELD, .flags = JSON_OMITEMPTY),
};
static const struct json_table oci_image_history_table = JSON_TABLE(struct oci_image_history, oci_image_history_fields);

static const struct json_field oci_image_config_fields[] = {
	JSON_FIELD(struct oci_image_config, created, "created", JSON_STRING_FIELD, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct oci_image_config, author, "author", JSON_STRING_FIELD, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct oci_image_config, architecture, "architecture", JSON_STRING_FIELD),
	JSON_FIELD(struct oci_image_config, variant, "variant", JSON_STRING_FIELD, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct oci_image_config, os, "os", JSON_STRING_FIELD),
	JSON_FIELD(struct oci_image_config, os_version, "os.version", JSON_STRING_FIELD, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct oci_image_config, os_features, "os.features", JSON_STRV, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct oci_image_config, config, "config", JSON_OBJECT_FIELD, .table = &oci_image_run_table),
	JSON_FIELD(struct oci_image_config, rootfs, "rootfs", JSON_OBJECT_FIELD, .table = &oci_image_rootfs_table,
		.flags = JSON_REQUIRED),
	JSON_FIELD_ARRAY(struct oci_image_config, history, history_count, "history", JSON_OBJECTS,
		.table = &oci_image_history_table, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct oci_image_config, docker_version, "docker_version", JSON_STRING_FIELD,
		.flags = JSON_OMITEMPTY),
	JSON_FIELD(struct oci_image_config, parent, "parent", JSON_STRING_FIELD, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct oci_image_config, comment, "comment", JSON_STRING_FIELD, .flags = JSON_OMITEMPTY),
};
const struct json_table oci_image_config_table = JSON_TABLE(struct oci_image_config, oci_image_config_fields);

static const struct json_field oci_platform_fields[] = {
	JSON_FIELD(struct oci_platform, architecture, "architecture", JSON_STRING_FIELD),
	JSON_FIELD(struct oci_platform, os, "os", JSON_STRING_FIELD),
	JSON_FIELD(struct oci_platform, os_version, "os.version", JSON_STRING_FIELD, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct oci_platform, os_features, "os.features", JSON_STRV, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct oci_platform, variant, "variant", JSON_STRING_FIELD, .flags = JSON_OMITEMPTY),
};
const struct json_table oci_platform_table = JSON_TABLE(struct oci_platform, oci_platform_fields);

static const struct json_field oci_descriptor_fields[] = {
	JSON_FIELD(struct oci_descriptor, media_type, "mediaType", JSON_STRING_FIELD),
	JSON_FIELD(struct oci_descriptor, digest, "digest", JSON_STRING_FIELD, .flags = JSON_REQUIRED),
	JSON_FIELD(struct oci_descriptor, size, "size", JSON_INT),
	JSON_FIELD(struct oci_descriptor, urls, "urls", JSON_STRV, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct oci_descriptor, annotations, "annotations", JSON_STRMAP, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct oci_descriptor, platform, "platform", JSON_OBJECT_PTR, .table = &oci_platform_table,
		.flags = JSON_OMITEMPTY),
	JSON_FIELD(struct oci_descriptor, artifact_type, "artifactType", JSON_STRING_FIELD, .flags = JSON_OMITEMPTY),
};
const struct json_table oci_descriptor_table = JSON_TABLE(struct oci_descriptor, oci_descriptor_fields);

static const struct json_field oci_manifest_fields[] = {
	JSON_FIELD(struct oci_manifest, schema_version, "schemaVersion", JSON_INT),
	JSON_FIELD(struct oci_manifest, media_type, "mediaType", JSON_STRING_FIELD, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct oci_manifest, artifact_type, "artifactType", JSON_STRING_FIELD, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct oci_manifest, config, "config", JSON_OBJECT_FIELD, .table = &oci_descriptor_table,
		.flags = JSON_REQUIRED),
	JSON_FIELD_ARRAY(struct oci_manifest, layers, layer_count, "layers", JSON_OBJECTS,
		.table = &oci_descriptor_table, .flags = JSON_REQUIRED),
	JSON_FIELD(struct oci_manifest, subject, "subject", JSON_OBJECT_PTR, .table = &oci_descriptor_table,
		.flags = JSON_OMITEMPTY),
	JSON_FIELD(struct oci_manifest, annotations, "annotations", JSON_STRMAP, .flags = JSON_OMITEMPTY),
};
const struct json_table oci_manifest_table = JSON_TABLE(struct oci_manifest, oci_manifest_fields);

static const struct json_field oci_index_fields[] = {
	JSON_FIELD(struct oci_index, schema_version, "schemaVersion", JSON_INT),
	JSON_FIELD(struct oci_index, media_type, "mediaType", JSON_STRING_FIELD, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct oci_index, artifact_type, "artifactType", JSON_STRING_FIELD, .flags = JSON_OMITEMPTY),
	JSON_FIELD_ARRAY(struct oci_index, manifests, manifest_count, "manifests", JSON_OBJECTS,
		.table = &oci_descriptor_table, .flags = JSON_REQUIRED),
	JSON_FIELD(struct oci_index, subject, "subject", JSON_OBJECT_PTR, .table = &oci_descriptor_table,
		.flags = JSON_OMITEMPTY),
	JSON_FIELD(struct oci_index, annotations, "annotations", JSON_STRMAP, .flags = JSON_OMITEMPTY),
};
const struct json_table oci_index_table = JSON_TABLE(struct oci_index, oci_index_fields);

static const struct json_field docker_archive_image_fields[] = {
	JSON_FIELD(struct docker_archive_image, config, "Config", JSON_STRING_FIELD, .flags = JSON_REQUIRED),
	JSON_FIELD(struct docker_archive_image, repo_tags, "RepoTags", JSON_STRV),
	JSON_FIELD(struct docker_archive_image, layers, "Layers", JSON_STRV, .flags = JSON_REQUIRED),
	JSON_FIELD(struct docker_archive_image, parent, "Parent", JSON_STRING_FIELD, .flags = JSON_OMITEMPTY),
};
const struct json_table docker_archive_image_table = JSON_TABLE(struct docker_archive_image,
	docker_archive_image_fields);

/* --- grammar --- */

bool oci_digest_is_valid(const char *digest)
{
	return digest && strncmp(digest, DIGEST_PREFIX, strlen(DIGEST_PREFIX)) == 0 &&
	       is_hex(digest + strlen(DIGEST_PREFIX), 64);
}

static int check_digest(const char *path, const char *digest, struct err **reterr)
{
	if (oci_digest_is_valid(digest))
		return 0;
	if (digest && strncmp(digest, "sha512:", 7) == 0 && is_hex(digest + 7, 128))
		return err_set(reterr, ERR_UNSUPPORTED, 0, "%s: digest algorithm sha512 is not supported", path);
	return err_set(reterr, ERR_INVALID, 0, "%s: invalid digest (expected sha256: and 64 lower-case hex digits)",
		path);
}

static bool is_media_type(const char *type)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!#$&^_.+-";
	const char *slash = strchr(type, '/');
	if (!slash || slash == type || !slash[1] || strlen(type) > MEDIA_TYPE_MAX)
		return false;
	return strspn(type, allowed) == (size_t)(slash - type) && slash[1 + strspn(slash + 1, allowed)] == '\0';
}

static int check_descriptor(const char *path, const struct oci_descriptor *descriptor, struct err **reterr)
{
	int r = check_digest(path, descriptor->digest, reterr);
	if (r < 0)
		return r;
	if (descriptor->size < 0)
		return err_set(reterr, ERR_INVALID, 0, "%s.size: is negative", path);
	const char *type = descriptor->media_type;
	if (type && *type && !is_media_type(type))
		return err_set(reterr, ERR_INVALID, 0, "%s.mediaType: is not a media type", path);
	return 0;
}

static int check_descriptors(const char *what, const struct oci_descriptor *descriptors, size_t count,
	struct err **reterr)
{
	char path[48];
	for (size_t i = 0; i < count; i++) {
		snprintf(path, sizeof path, "%s[%zu]", what, i);
		int r = check_descriptor(path, &descriptors[i], reterr);
		if (r < 0)
			return r;
	}
	return 0;
}

static int check_size(const char *what, size_t len, size_t max, struct err **reterr)
{
	if (len <= max)
		return 0;
	return err_set(reterr, ERR_TOO_LARGE, EFBIG, "%s is larger than %zu bytes", what, max);
}

/* --- config --- */

static int check_config(const struct oci_image_config *config, struct err **reterr)
{
	const struct oci_image_rootfs *rootfs = &config->rootfs;
	size_t count = strv_count(rootfs->diff_ids);
	char path[48];

	if (rootfs->type && strcmp(rootfs->type, "layers") != 0)
		return err_set(reterr, ERR_INVALID, 0, "rootfs.type: expected \"layers\"");
	if (count > OCI_IMAGE_LAYERS_MAX)
		return err_set(reterr, ERR_INVALID, 0, "rootfs.diff_ids: more than %d layers", OCI_IMAGE_LAYERS_MAX);
	for (size_t i = 0; i < count; i++) {
		snprintf(path, sizeof path, "rootfs.diff_ids[%zu]", i);
		int r = check_digest(path, rootfs->diff_ids[i], reterr);
		if (r < 0)
			return r;
	}
	return 0;
}

int oci_image_config_parse(const char *text, size_t len, struct oci_image_config *out, struct err **reterr)
{
	memset(out, 0, sizeof *out);
	int r = check_size("image config", len, OCI_IMAGE_CONFIG_MAX, reterr);
	if (r < 0)
		return r;
	r = json_parse(&oci_image_config_table, text, len, out, reterr);
	if (r == 0)
		r = check_config(out, reterr);
	if (r == 0)
		return 0;
	oci_image_config_finish(out);
	return err_wrap(reterr, r, "invalid image config");
}

void oci_image_config_finish(struct oci_image_config *config)
{
	json_finish(&oci_image_config_table, config);
}

/* --- manifest and index --- */

static bool is_index_type(const char *type)
{
	return strcmp(type, OCI_MEDIA_TYPE_INDEX) == 0 || strcmp(type, DOCKER_MEDIA_TYPE_INDEX) == 0;
}

static bool is_manifest_type(const char *type)
{
	return strcmp(type, OCI_MEDIA_TYPE_MANIFEST) == 0 || strcmp(type, DOCKER_MEDIA_TYPE_MANIFEST) == 0;
}

/* One name for the content, from outside or from inside it, against what its members make of it. */
static int check_type(const char *whose, const char *type, bool is_index, struct err **reterr)
{
	if (!type || !*type)
		return 0;
	if (is_index ? is_index_type(type) : is_manifest_type(type))
		return 0;
	if (!is_index_type(type) && !is_manifest_type(type))
		return err_set(reterr, ERR_INVALID, 0, "unsupported media type of the %s", whose);
	return err_set(reterr, ERR_INVALID, 0, "the %s says %s, but the content is %s", whose,
		is_index ? "manifest" : "index", is_index ? "an index" : "a manifest");
}

/* Without regard to case, as readers of other makers (and json_read) look. */
static bool has_member(json_t *object, const char *wanted)
{
	const char *key;
	json_t *value;
	json_object_foreach (object, key, value)
		if (strcasecmp(key, wanted) == 0)
			return true;
	return false;
}

/* Both readings at once are refused. */
static int find_kind(json_t *value, const char *media_type, bool *ret_is_index, struct err **reterr)
{
	if (!json_is_object(value))
		return err_set(reterr, ERR_INVALID, 0, "expected an object");
	bool has_manifests = has_member(value, "manifests");
	bool has_layers = has_member(value, "layers") || has_member(value, "config");
	if (has_member(value, "fsLayers"))
		return err_set(reterr, ERR_UNSUPPORTED, 0, "manifests of schema version 1 are not supported");
	if (has_manifests && has_layers)
		return err_set(reterr, ERR_INVALID, 0, "it has both manifests and layers");
	if (!has_manifests && !has_layers)
		return err_set(reterr, ERR_INVALID, 0, "it has neither manifests nor layers");

	int r = check_type("descriptor", media_type, has_manifests, reterr);
	if (r == 0)
		r = check_type("document", json_string_value(json_object_get(value, "mediaType")), has_manifests,
			reterr);
	*ret_is_index = has_manifests;
	return r;
}

static int check_manifest(const struct oci_manifest *manifest, struct err **reterr)
{
	if (manifest->layer_count > OCI_IMAGE_LAYERS_MAX)
		return err_set(reterr, ERR_INVALID, 0, "layers: more than %d", OCI_IMAGE_LAYERS_MAX);
	int r = check_descriptor("config", &manifest->config, reterr);
	if (r < 0)
		return r;
	if (manifest->config.size > OCI_IMAGE_CONFIG_MAX)
		return err_set(reterr, ERR_TOO_LARGE, 0, "config.size: more than %d bytes", OCI_IMAGE_CONFIG_MAX);
	return check_descriptors("layers", manifest->layers, manifest->layer_count, reterr);
}

static int read_content(json_t *value, struct oci_content *out, struct err **reterr)
{
	int64_t version;
	int r;
	if (out->is_index) {
		r = json_read(&oci_index_table, value, &out->index, reterr);
		if (r == 0)
			r = check_descriptors("manifests", out->index.manifests, out->index.manifest_count, reterr);
		version = out->index.schema_version;
	} else {
		r = json_read(&oci_manifest_table, value, &out->manifest, reterr);
		if (r == 0)
			r = check_manifest(&out->manifest, reterr);
		version = out->manifest.schema_version;
	}
	if (r == 0 && version != 2)
		r = err_set(reterr, ERR_INVALID, 0, "schemaVersion: expected 2");
	return r;
}

int oci_content_parse(const char *text, size_t len, const char *media_type, struct oci_content *out,
	struct err **reterr)
{
	_autojson_ json_t *value = NULL;
	memset(out, 0, sizeof *out);
	int r = check_size("manifest", len, OCI_MANIFEST_MAX, reterr);
	if (r < 0)
		return r;
	r = json_load(text, len, &value, reterr);
	if (r == 0)
		r = find_kind(value, media_type, &out->is_index, reterr);
	if (r == 0)
		r = read_content(value, out, reterr);
	if (r == 0)
		return 0;
	oci_content_finish(out);
	return err_wrap(reterr, r, "invalid manifest");
}

void oci_content_finish(struct oci_content *content)
{
	if (content->is_index)
		json_finish(&oci_index_table, &content->index);
	else
		json_finish(&oci_manifest_table, &content->manifest);
	content->is_index = false;
}

/* Whatever else a manifest describes, and however much its config looks like an image's. Old registries do not know theirs. */
static bool is_image_config(const char *media_type)
{
	static const char *const known[] = { OCI_MEDIA_TYPE_CONFIG, DOCKER_MEDIA_TYPE_CONFIG,
		"application/octet-stream", "" };
	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (!media_type || strcmp(media_type, known[i]) == 0)
			return true;
	return false;
}

int oci_manifest_check_config(const struct oci_manifest *manifest, const struct oci_image_config *config,
	struct err **reterr)
{
	size_t diff_ids = strv_count(config->rootfs.diff_ids);
	if (!is_image_config(manifest->config.media_type))
		return err_set(reterr, ERR_UNSUPPORTED, 0,
			"what the manifest describes is no image (its config is of type %.100s)",
			manifest->config.media_type);
	if (manifest->layer_count == diff_ids)
		return 0;
	return err_set(reterr, ERR_INVALID, 0, "invalid manifest, layers length mismatch: expected %zu, got %zu",
		diff_ids, manifest->layer_count);
}

static bool same(const char *a, const char *b)
{
	return strcmp(a ? a : "", b ? b : "") == 0;
}

const struct oci_descriptor *oci_index_select(const struct oci_index *index, const char *os, const char *architecture,
	const char *variant)
{
	const struct oci_descriptor *nameless = NULL;
	for (size_t i = 0; i < index->manifest_count; i++) {
		const struct oci_descriptor *entry = &index->manifests[i];
		const struct oci_platform *platform = entry->platform;
		if (!platform) {
			nameless = nameless ? nameless : entry;
			continue;
		}
		if (same(platform->os, os) && same(platform->architecture, architecture) &&
			(!variant || same(platform->variant, variant)))
			return entry;
	}
	return nameless;
}

int oci_layer_format(const char *media_type, enum oci_layer_format *ret)
{
	static const struct {
		const char *type;
		enum oci_layer_format format;
	} known[] = {
		{ OCI_MEDIA_TYPE_LAYER, OCI_LAYER_TAR },
		{ OCI_MEDIA_TYPE_LAYER_GZIP, OCI_LAYER_GZIP },
		{ OCI_MEDIA_TYPE_LAYER_ZSTD, OCI_LAYER_ZSTD },
		{ DOCKER_MEDIA_TYPE_LAYER, OCI_LAYER_GZIP },
		{ "application/vnd.docker.image.rootfs.diff.tar", OCI_LAYER_TAR },
		{ "application/vnd.docker.image.rootfs.diff.tar.zstd", OCI_LAYER_ZSTD },
		{ "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", OCI_LAYER_GZIP },
		{ "application/vnd.oci.image.layer.nondistributable.v1.tar", OCI_LAYER_TAR },
		{ "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip", OCI_LAYER_GZIP },
		{ "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd", OCI_LAYER_ZSTD },
	};
	for (size_t i = 0; media_type && i < ARRAY_SIZE(known); i++) {
		if (strcmp(media_type, known[i].type) != 0)
			continue;
		*ret = known[i].format;
		return 0;
	}
	return -EINVAL;
}

int oci_layout_check(const char *text, size_t len, struct err **reterr)
{
	_autojson_ json_t *value = NULL;
	int r = check_size("oci-layout", len, OCI_LAYOUT_MAX, reterr);
	if (r == 0)
		r = json_load(text, len, &value, reterr);
	if (r < 0)
		return err_wrap(reterr, r, "invalid OCI layout");
	const char *version = json_string_value(json_object_get(value, "imageLayoutVersion"));
	if (!version)
		return err_set(reterr, ERR_INVALID, 0, "invalid OCI layout: imageLayoutVersion is required");
	if (strncmp(version, "1.", 2) != 0)
		return err_set(reterr, ERR_UNSUPPORTED, 0, "OCI layout of an unknown version");
	return 0;
}

/* --- docker-archive --- */

static bool is_inner_path(const char *path)
{
	if (!*path || *path == '/')
		return false;
	for (const char *at = path; at; at = strchr(at, '/')) {
		at += *at == '/';
		if (strncmp(at, "..", 2) == 0 && (at[2] == '/' || !at[2]))
			return false;
	}
	return true;
}

static int check_archive_image(const struct docker_archive_image *image, struct err **reterr)
{
	if (!is_inner_path(image->config))
		return err_set(reterr, ERR_INVALID, 0, "Config: not a path inside the archive");
	if (strv_count(image->layers) > OCI_IMAGE_LAYERS_MAX)
		return err_set(reterr, ERR_INVALID, 0, "Layers: more than %d", OCI_IMAGE_LAYERS_MAX);
	strv_foreach (layer, image->layers)
		if (!is_inner_path(*layer))
			return err_set(reterr, ERR_INVALID, 0, "Layers: not a path inside the archive");
	return 0;
}

static int read_archive(json_t *value, struct docker_archive_image *images, struct err **reterr)
{
	for (size_t i = 0; i < json_array_size(value); i++) {
		int r = json_read(&docker_archive_image_table, json_array_get(value, i), &images[i], reterr);
		if (r == 0)
			r = check_archive_image(&images[i], reterr);
		if (r < 0)
			return err_wrap(reterr, r, "image %zu", i);
	}
	return 0;
}

int docker_archive_parse(const char *text, size_t len, struct docker_archive_image **ret, size_t *ret_count,
	struct err **reterr)
{
	_autojson_ json_t *value = NULL;
	int r = check_size("manifest.json", len, DOCKER_ARCHIVE_INDEX_MAX, reterr);
	if (r == 0)
		r = json_load(text, len, &value, reterr);
	if (r == 0 && !json_is_array(value))
		r = err_set(reterr, ERR_INVALID, 0, "expected an array");
	if (r < 0)
		return err_wrap(reterr, r, "invalid manifest.json");

	size_t count = json_array_size(value);
	struct docker_archive_image *images = calloc(count + 1, sizeof *images);
	if (!images)
		return err_oom(reterr);
	r = read_archive(value, images, reterr);
	if (r < 0) {
		docker_archive_free(images, count);
		return err_wrap(reterr, r, "invalid manifest.json");
	}
	*ret = images;
	*ret_count = count;
	return 0;
}

void docker_archive_free(struct docker_archive_image *images, size_t count)
{
	for (size_t i = 0; images && i < count; i++)
		json_finish(&docker_archive_image_table, &images[i]);
	free(images);
}

static void free_tags(void *tags)
{
	map_free(tags);
}

/* tag -> layer ID of one repository, into a map of copies. */
static int read_tags(json_t *value, struct map **ret, struct err **reterr)
{
	_autofree_(map) struct map *tags = map_new(free);
	const char *tag;
	json_t *layer;
	if (!tags)
		return err_oom(reterr);
	if (!json_is_object(value))
		return err_set(reterr, ERR_INVALID, 0, "expected an object of tags");
	json_object_foreach (value, tag, layer) {
		if (!json_is_string(layer))
			return err_set(reterr, ERR_INVALID, 0, "expected a string for each tag");
		char *copy = strdup(json_string_value(layer));
		if (!copy || map_set(tags, tag, copy) < 0) {
			free(copy);
			return err_oom(reterr);
		}
	}
	*ret = TAKE(tags);
	return 0;
}

static int read_repositories(json_t *value, struct map *names, struct err **reterr)
{
	const char *name;
	json_t *tags_value;
	if (!json_is_object(value))
		return err_set(reterr, ERR_INVALID, 0, "expected an object");
	json_object_foreach (value, name, tags_value) {
		_autofree_(map) struct map *tags = NULL;
		int r = read_tags(tags_value, &tags, reterr);
		if (r < 0)
			return r;
		if (map_set(names, name, tags) < 0)
			return err_oom(reterr);
		tags = NULL;
	}
	return 0;
}

int docker_repositories_parse(const char *text, size_t len, struct map **ret, struct err **reterr)
{
	_autojson_ json_t *value = NULL;
	_autofree_(map) struct map *names = map_new(free_tags);
	if (!names)
		return err_oom(reterr);
	int r = check_size("repositories", len, DOCKER_ARCHIVE_INDEX_MAX, reterr);
	if (r == 0)
		r = json_load(text, len, &value, reterr);
	if (r == 0)
		r = read_repositories(value, names, reterr);
	if (r < 0)
		return err_wrap(reterr, r, "invalid repositories file");
	*ret = TAKE(names);
	return 0;
}
