/* The documents of an image: the first byte says which of them the rest is taken for. */
#include <string.h>

#include "base/strv.h"
#include "spec/oci_image.h"

#include "fuzz.h"

static void check_config(const char *text, size_t len)
{
	struct oci_image_config config;
	if (oci_image_config_parse(text, len, &config, NULL) < 0)
		return;
	fuzz_check(strv_count(config.rootfs.diff_ids) <= OCI_IMAGE_LAYERS_MAX);
	strv_foreach (id, config.rootfs.diff_ids)
		fuzz_check(oci_digest_is_valid(*id));
	oci_image_config_finish(&config);
}

static void check_descriptors(const struct oci_descriptor *descriptors, size_t count)
{
	enum oci_layer_format format;
	for (size_t i = 0; i < count; i++) {
		fuzz_check(oci_digest_is_valid(descriptors[i].digest) && descriptors[i].size >= 0);
		oci_layer_format(descriptors[i].media_type, &format);
	}
}

static void check_content(const char *text, size_t len)
{
	struct oci_content content;
	if (oci_content_parse(text, len, NULL, &content, NULL) < 0)
		return;
	if (content.is_index) {
		check_descriptors(content.index.manifests, content.index.manifest_count);
		oci_index_select(&content.index, "linux", "amd64", NULL);
	} else {
		check_descriptors(&content.manifest.config, 1);
		check_descriptors(content.manifest.layers, content.manifest.layer_count);
	}
	oci_content_finish(&content);
}

static void check_archive(const char *text, size_t len)
{
	struct docker_archive_image *images;
	size_t count;
	if (docker_archive_parse(text, len, &images, &count, NULL) < 0)
		return;
	for (size_t i = 0; i < count; i++) {
		fuzz_check(images[i].config[0] && images[i].config[0] != '/');
		strv_foreach (layer, images[i].layers)
			fuzz_check(**layer && **layer != '/' && !strstr(*layer, "/../"));
	}
	docker_archive_free(images, count);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct map *names;
	if (!size)
		return 0;
	const char *text = (const char *)data + 1;
	switch (data[0]) {
	case 'c': check_config(text, size - 1); break;
	case 'm': check_content(text, size - 1); break;
	case 'a': check_archive(text, size - 1); break;
	case 'l': oci_layout_check(text, size - 1, NULL); break;
	case 'r':
		if (docker_repositories_parse(text, size - 1, &names, NULL) == 0)
			map_free(names);
		break;
	default: break;
	}
	return 0;
}
