#include "worker/load_oci.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/map.h"
#include "base/strv.h"
#include "spec/oci_image.h"
#include "worker/files.h"
#include "worker/layers.h"

static const char *annotation(const struct oci_descriptor *descriptor, const char *key)
{
	return descriptor->annotations ? map_get(descriptor->annotations, key) : NULL;
}

/* containerd's annotation is a full name; OCI's is what the user wrote after the path, a name too in practice. */
static int names_of(const struct oci_descriptor *descriptor, char ***ret, struct err **reterr)
{
	const char *name = annotation(descriptor, CONTAINERD_ANNOTATION_REF_NAME);
	int r;

	if (!name)
		name = annotation(descriptor, OCI_ANNOTATION_REF_NAME);
	if (!name || !*name)
		return 0;
	if (strv_append(ret, name) < 0)
		return err_oom(reterr);
	r = load_check_names(*ret, reterr);
	return r;
}

struct source {
	struct load_archive *archive;
	const struct oci_manifest *manifest;
};

static int open_layer(size_t index, struct layer_file *ret, void *data, struct err **reterr)
{
	const struct source *source = data;
	const struct oci_descriptor *layer = &source->manifest->layers[index];
	enum oci_layer_format format;

	if (oci_layer_format(layer->media_type ? layer->media_type : "", &format) < 0)
		return err_set(reterr, ERR_UNSUPPORTED, 0, "layer %s is of a media type that is not supported",
			layer->digest);
	ret->digest = layer->digest;
	ret->size_bytes = layer->size;
	ret->fd = archive_blob_open(source->archive->fd, layer->digest, reterr);
	return ret->fd < 0 ? ret->fd : 0;
}

static int load_layers(struct load_archive *archive, const struct oci_manifest *manifest,
	const struct oci_image_config *config, struct err **reterr)
{
	struct source source = { archive, manifest };
	int r = oci_manifest_check_config(manifest, config, reterr);

	return r < 0 ? r : layers_obtain(archive->task, config->rootfs.diff_ids, open_layer, &source, reterr);
}

static int load_manifest(struct load_archive *archive, const struct oci_manifest *manifest, char *const *names,
	struct err **reterr)
{
	_cleanup_(buf_finish) struct buf text = BUF_INIT(OCI_IMAGE_CONFIG_MAX);
	struct oci_image_config config;
	int r = archive_blob_read(archive->fd, manifest->config.digest, manifest->config.size, &text, reterr);

	if (r < 0)
		return r;
	r = oci_image_config_parse(text.data ? text.data : "", text.len, &config, reterr);
	if (r < 0)
		return err_wrap(reterr, r, "invalid image config %s", manifest->config.digest);
	r = load_layers(archive, manifest, &config, reterr);
	if (r >= 0)
		r = load_image(archive, text.data, text.len, names, reterr);
	oci_image_config_finish(&config);
	return r;
}

static int load_descriptor(struct load_archive *archive, const struct oci_descriptor *descriptor, char *const *names,
	unsigned depth, struct err **reterr);

static int load_index(struct load_archive *archive, const struct oci_index *index, char *const *names, unsigned depth,
	struct err **reterr)
{
	const struct platform *platform = &archive->platform;
	const struct oci_descriptor *descriptor = oci_index_select(index, platform->os, platform->architecture,
		*platform->variant ? platform->variant : NULL);

	if (!descriptor)
		return err_set(reterr, ERR_NOT_FOUND, 0, "no image for %s/%s in the index", platform->os,
			platform->architecture);
	if (depth >= OCI_INDEX_DEPTH_MAX)
		return err_set(reterr, ERR_INVALID, 0, "the archive's indexes are nested more than %d deep",
			OCI_INDEX_DEPTH_MAX);
	return load_descriptor(archive, descriptor, names, depth + 1, reterr);
}

static int load_descriptor(struct load_archive *archive, const struct oci_descriptor *descriptor, char *const *names,
	unsigned depth, struct err **reterr)
{
	_cleanup_(buf_finish) struct buf text = BUF_INIT(OCI_MANIFEST_MAX);
	struct oci_content content;
	int r = archive_blob_read(archive->fd, descriptor->digest, descriptor->size, &text, reterr);

	if (r < 0)
		return r;
	r = oci_content_parse(text.data ? text.data : "", text.len, descriptor->media_type, &content, reterr);
	if (r < 0)
		return err_wrap(reterr, r, "invalid document %s", descriptor->digest);
	r = content.is_index ? load_index(archive, &content.index, names, depth, reterr)
			     : load_manifest(archive, &content.manifest, names, reterr);
	oci_content_finish(&content);
	return r;
}

/* Entries for other platforms count only where there is nothing to choose from, and the user did not choose. */
static bool is_wanted(const struct load_archive *archive, const struct oci_index *index,
	const struct oci_descriptor *descriptor)
{
	const struct oci_platform *platform = descriptor->platform;

	if (!platform || !platform->os || !platform->architecture)
		return true;
	if (strcmp(platform->os, "unknown") == 0)
		return false;
	if (index->manifest_count == 1 && !archive->platform_asked)
		return true;
	return strcmp(platform->os, archive->platform.os) == 0 &&
	       strcmp(platform->architecture, archive->platform.architecture) == 0;
}

static int load_entries(struct load_archive *archive, const struct oci_index *index, struct err **reterr)
{
	if (index->manifest_count > LIMIT_IMAGES)
		return err_set(reterr, ERR_TOO_LARGE, 0, "the archive has more than %d images", LIMIT_IMAGES);
	for (size_t i = 0; i < index->manifest_count; i++) {
		const struct oci_descriptor *descriptor = &index->manifests[i];
		_autofree_(strv) char **names = NULL;
		int r;

		if (!is_wanted(archive, index, descriptor))
			continue;
		r = names_of(descriptor, &names, reterr);
		if (r >= 0)
			r = load_descriptor(archive, descriptor, names, 1, reterr);
		if (r < 0)
			return r;
	}
	if (archive->loaded == 0)
		return err_set(reterr, ERR_NOT_FOUND, 0, "the archive has no image for %s/%s", archive->platform.os,
			archive->platform.architecture);
	return 0;
}

static int check_layout(struct load_archive *archive, struct err **reterr)
{
	_cleanup_(buf_finish) struct buf text = BUF_INIT(OCI_LAYOUT_MAX);
	int r = archive_file_read(archive->fd, "oci-layout", &text, reterr);

	return r < 0 ? r : oci_layout_check(text.data ? text.data : "", text.len, reterr);
}

int load_oci_layout(struct load_archive *archive, struct err **reterr)
{
	_cleanup_(buf_finish) struct buf text = BUF_INIT(OCI_MANIFEST_MAX);
	struct oci_content content;
	int r = check_layout(archive, reterr);

	if (r >= 0)
		r = archive_file_read(archive->fd, "index.json", &text, reterr);
	if (r >= 0)
		r = oci_content_parse(text.data ? text.data : "", text.len, OCI_MEDIA_TYPE_INDEX, &content, reterr);
	if (r < 0)
		return err_wrap(reterr, r, "invalid OCI layout");
	r = load_entries(archive, &content.index, reterr);
	oci_content_finish(&content);
	return r;
}
