#include "worker/distribution.h"

#include <errno.h>

#include "registry/registry.h"
#include "spec/oci_image.h"

static int of_index(const struct oci_index *index, json_t *platforms)
{
	for (size_t i = 0; i < index->manifest_count; i++) {
		const struct oci_platform *platform = index->manifests[i].platform;

		if (platform && json_array_append_new(platforms, json_write(&oci_platform_table, platform)) < 0)
			return -ENOMEM;
	}
	return 0;
}

/* A manifest says nothing of it: its config does. */
static int of_manifest(struct registry *registry, const struct oci_manifest *manifest, json_t *platforms,
	struct err **reterr)
{
	_cleanup_(buf_finish) struct buf text = BUF_INIT(OCI_IMAGE_CONFIG_MAX);
	struct oci_image_config config;
	int r = registry_blob(registry, manifest->config.digest, manifest->config.size, &text, reterr);

	if (r == 0)
		r = oci_image_config_parse(text.data ?: "", text.len, &config, reterr);
	if (r < 0)
		return r;
	struct oci_platform platform = {
		.architecture = config.architecture,
		.os = config.os,
		.os_version = config.os_version,
		.os_features = config.os_features,
		.variant = config.variant,
	};
	r = json_array_append_new(platforms, json_write(&oci_platform_table, &platform));
	oci_image_config_finish(&config);
	return r < 0 ? err_oom(reterr) : 0;
}

static int tell(struct task *task, struct registry *registry, const struct registry_content *content,
	struct err **reterr)
{
	_autojson_ json_t *platforms = json_array();
	struct oci_content parsed;
	int r = oci_content_parse(content->text.data ?: "", content->text.len, content->media_type, &parsed, reterr);

	if (r < 0)
		return err_wrap(reterr, r, "invalid manifest %s", content->digest);
	if (!parsed.is_index)
		r = of_manifest(registry, &parsed.manifest, platforms, reterr);
	else if (of_index(&parsed.index, platforms) < 0)
		r = err_oom(reterr);
	const char *media_type = *content->media_type ? content->media_type
				 : parsed.is_index    ? parsed.index.media_type
						      : parsed.manifest.media_type;
	if (r == 0)
		client_tell(task->client,
			json_pack("{s:{s:s, s:s, s:I}, s:O}", "Descriptor", "mediaType", media_type ?: "", "digest",
				content->digest, "size", (json_int_t)content->text.len, "Platforms", platforms));
	oci_content_finish(&parsed);
	return r;
}

int distribution_run(struct task *task, const struct handover *handover, struct err **reterr)
{
	_cleanup_(reference_finish) struct reference reference = { NULL };
	_autofree_(registry) struct registry *registry = NULL;
	struct registry_content content = { { NULL } };
	int r = task_reference(handover->distribution->reference, &reference, reterr);

	if (r < 0)
		return r;
	struct registry_options options = {
		.reference = &reference,
		.settings = handover->registry,
		.cancelled = task_is_cancelled,
		.cancelled_user = task,
	};
	r = registry_open(&options, &registry, reterr);
	if (r == 0)
		r = registry_manifest(registry, reference.digest ?: reference.tag, &content, reterr);
	if (r == 0)
		r = tell(task, registry, &content, reterr);
	registry_content_finish(&content);
	return r;
}
