#include "worker/pull.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/strv.h"
#include "registry/registry.h"
#include "spec/oci_image.h"
#include "spec/platform.h"
#include "store/copies.h"
#include "store/image_add.h"
#include "worker/fetch.h"

struct pull {
	struct task *task;
	const struct handover_pull *wish;
	struct reference reference;
	struct platform platform;
	struct registry *registry;
	bool news; /* something changed */
	/* Of the image at hand. */
	struct registry_content top; /* what the reference names: a manifest or an index */
	struct oci_manifest manifest;
	struct buf config_text;
	struct oci_image_config config;
};

/* ---- documents */

static int fetch_manifest(struct pull *pull, struct registry_content *content, unsigned depth, struct err **reterr);

static int choose(struct pull *pull, const struct oci_index *index, unsigned depth, struct err **reterr)
{
	const struct platform *platform = &pull->platform;
	const struct oci_descriptor *found = oci_index_select(index, platform->os, platform->architecture,
		*platform->variant ? platform->variant : NULL);
	struct registry_content content;

	if (!found)
		return err_set(reterr, ERR_NOT_FOUND, 0,
			"no matching manifest for %s/%s%s%s in the manifest list entries", platform->os,
			platform->architecture, *platform->variant ? "/" : "", platform->variant);
	if (depth >= OCI_INDEX_DEPTH_MAX)
		return err_set(reterr, ERR_INVALID, 0, "the image's indexes are nested more than %d deep",
			OCI_INDEX_DEPTH_MAX);
	int r = registry_manifest(pull->registry, found->digest, &content, reterr);
	if (r < 0)
		return r;
	r = fetch_manifest(pull, &content, depth + 1, reterr);
	registry_content_finish(&content);
	return r;
}

static int fetch_manifest(struct pull *pull, struct registry_content *content, unsigned depth, struct err **reterr)
{
	struct oci_content parsed;
	int r = oci_content_parse(content->text.data ?: "", content->text.len, content->media_type, &parsed, reterr);

	if (r < 0)
		return err_wrap(reterr, r, "invalid manifest %s", content->digest);
	if (parsed.is_index) {
		r = choose(pull, &parsed.index, depth, reterr);
	} else {
		pull->manifest = parsed.manifest;
		memset(&parsed.manifest, 0, sizeof(parsed.manifest));
	}
	oci_content_finish(&parsed);
	return r;
}

static int fetch_config(struct pull *pull, struct err **reterr)
{
	const struct oci_descriptor *config = &pull->manifest.config;
	int r = registry_blob(pull->registry, config->digest, config->size, &pull->config_text, reterr);

	if (r < 0)
		return r;
	r = oci_image_config_parse(pull->config_text.data ?: "", pull->config_text.len, &pull->config, reterr);
	if (r < 0)
		return err_wrap(reterr, r, "invalid image config %s", config->digest);
	return oci_manifest_check_config(&pull->manifest, &pull->config, reterr);
}

static int fetch_documents(struct pull *pull, struct err **reterr)
{
	const char *what = pull->reference.digest ?: pull->reference.tag;
	int r = registry_manifest(pull->registry, what, &pull->top, reterr);

	if (r < 0)
		return r;
	if (pull->reference.digest)
		fetch_tell(pull->task, pull->reference.digest, "Pulling from %s",
			reference_familiar(pull->reference.repository));
	else
		fetch_tell(pull->task, what, "Pulling from %s", strchr(pull->reference.repository, '/') + 1);
	r = fetch_manifest(pull, &pull->top, 1, reterr);
	return r < 0 ? r : fetch_config(pull, reterr);
}

/* ---- the image */

static int names_of(const struct pull *pull, char ***ret)
{
	const struct reference *reference = &pull->reference;
	int r = strv_appendf(ret, "%s@%s", reference->repository, pull->top.digest);

	return r < 0 || reference->digest ? r : strv_appendf(ret, "%s:%s", reference->repository, reference->tag);
}

static int shown_name(const struct reference *reference, char **ret)
{
	int r = asprintf(ret, "%s%s%s", reference_familiar(reference->repository), reference->digest ? "@" : ":",
		reference->digest ?: reference->tag);

	if (r < 0)
		*ret = NULL;
	return r < 0 ? -ENOMEM : 0;
}

/* Where a push will find them: hints alone. */
static void remember_copies(struct pull *pull)
{
	for (size_t i = 0; i < pull->manifest.layer_count; i++) {
		const struct oci_descriptor *layer = &pull->manifest.layers[i];
		struct layer_copy copy = { .size_bytes = layer->size };
		enum oci_layer_format format;
		if (oci_layer_format(layer->media_type ?: "", &format) < 0 || format != OCI_LAYER_GZIP)
			continue;
		snprintf(copy.digest, sizeof(copy.digest), "%s", layer->digest);
		(void)store_copy_add(job_store(pull->task->job), pull->config.rootfs.diff_ids[i],
			pull->reference.repository, &copy, NULL);
	}
}

static int add_image(struct pull *pull, struct err **reterr)
{
	_autofree_(strv) char **names = NULL;
	_cleanup_free_ char *shown = NULL;
	struct image_added added;
	const struct reference *reference = &pull->reference;

	if (names_of(pull, &names) < 0 || shown_name(reference, &shown) < 0)
		return err_oom(reterr);
	int r = store_image_add(pull->task->job, pull->config_text.data, pull->config_text.len, names, &added, reterr);
	if (r < 0)
		return r;
	fetch_tell(pull->task, NULL, "Digest: %s", pull->top.digest);
	pull->news |= !added.existed || !added.unchanged;
	remember_copies(pull);
	pull->task->event("pull", added.id, shown, pull->task->event_data);
	image_added_finish(&added);
	return 0;
}

static void forget_image(struct pull *pull)
{
	registry_content_finish(&pull->top);
	json_finish(&oci_manifest_table, &pull->manifest);
	oci_image_config_finish(&pull->config);
	buf_finish(&pull->config_text);
	buf_init(&pull->config_text, OCI_IMAGE_CONFIG_MAX);
}

/* What pull->reference names. */
static int pull_one(struct pull *pull, struct err **reterr)
{
	int r = fetch_documents(pull, reterr);

	if (r == 0)
		r = fetch_layers(pull->task, pull->registry, &pull->manifest, pull->config.rootfs.diff_ids, reterr);
	if (r == 0)
		r = add_image(pull, reterr);
	forget_image(pull);
	return r;
}

/* Each tag is looked at like one that a user gives before it is used. */
static int pull_tagged(struct pull *pull, const char *tag, struct err **reterr)
{
	_cleanup_free_ char *name = NULL;
	struct reference tagged;

	if (asprintf(&name, "%s:%s", pull->reference.repository, tag) < 0) {
		name = NULL;
		return err_oom(reterr);
	}
	int r = task_reference(name, &tagged, reterr);
	if (r == 0 && tagged.digest) {
		reference_finish(&tagged);
		r = err_set(reterr, ERR_INVALID, 0, "a digest is no tag");
	}
	if (r < 0)
		return err_wrap(reterr, r, "%s: invalid list of tags", registry_host(pull->registry));
	reference_finish(&pull->reference);
	pull->reference = tagged;
	return pull_one(pull, reterr);
}

static int pull_all(struct pull *pull, struct err **reterr)
{
	_autofree_(strv) char **tags = NULL;
	int r = registry_tags(pull->registry, &tags, reterr);

	if (r == 0 && strv_count(tags) == 0)
		return err_set(reterr, ERR_NOT_FOUND, 0, "%s has no tags", pull->wish->reference);
	strv_foreach (tag, tags)
		if (r == 0)
			r = pull_tagged(pull, *tag, reterr);
	return r;
}

static int pull_wished(struct pull *pull, struct err **reterr)
{
	_cleanup_free_ char *shown = NULL;
	int r;

	if (pull->wish->all_tags)
		r = (shown = strdup(reference_familiar(pull->reference.repository))) ? 0 : -ENOMEM;
	else
		r = shown_name(&pull->reference, &shown);
	if (r < 0)
		return err_oom(reterr);
	r = pull->wish->all_tags ? pull_all(pull, reterr) : pull_one(pull, reterr);
	if (r == 0)
		fetch_tell(pull->task, NULL,
			pull->news ? "Status: Downloaded newer image for %s" : "Status: Image is up to date for %s",
			shown);
	return r;
}

/* ---- start and end */

static void finish(struct pull *pull)
{
	registry_close(pull->registry);
	buf_finish(&pull->config_text);
	reference_finish(&pull->reference);
}

int pull_run(struct task *task, const struct handover *handover, struct err **reterr)
{
	__attribute__((cleanup(finish))) struct pull pull = {
		.task = task,
		.wish = handover->pull,
		.config_text = BUF_INIT(OCI_IMAGE_CONFIG_MAX),
	};
	int r = task_reference(pull.wish->reference, &pull.reference, reterr);
	if (r == 0)
		r = platform_parse(pull.wish->platform, &pull.platform, reterr);
	if (r < 0)
		return r;
	struct registry_options options = {
		.reference = &pull.reference,
		.settings = handover->registry,
		.cancelled = task_is_cancelled,
		.cancelled_user = task,
	};
	r = registry_open(&options, &pull.registry, reterr);
	return r < 0 ? r : pull_wished(&pull, reterr);
}
