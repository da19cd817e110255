#include "worker/pull.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/strv.h"
#include "codec/sha256.h"
#include "registry/registry.h"
#include "spec/oci_image.h"
#include "store/copies.h"
#include "store/image_add.h"
#include "worker/layers.h"
#include "worker/platform.h"

#define LABEL_LENGTH      12
#define PROGRESS_EVERY_MS 100
#define WAIT_MS           1000

struct pull;

struct pull_layer {
	struct pull *pull;
	const struct oci_descriptor *descriptor;
	const char *diff_id;
	char label[LABEL_LENGTH + 1];
	enum layer_claim claim;
	bool repeated; /* an earlier layer of the same image is the same */
	int fd;
	struct sha256 *hash;
	int64_t received;
	int64_t told_ms;
	struct err *err;
};

struct pull {
	struct task *task;
	const struct handover_pull *wish;
	struct reference reference;
	struct platform platform;
	struct registry *registry;
	struct registry_content top; /* what the reference names: a manifest or an index */
	struct oci_manifest manifest;
	struct buf config_text;
	struct oci_image_config config;
	struct pull_layer *layers;
	unsigned loading;
};

/* ---- what the client sees */

static void tell(struct pull *pull, const char *id, const char *format, ...) printf_like(3, 4);
static void tell(struct pull *pull, const char *id, const char *format, ...)
{
	_cleanup_free_ char *text = NULL;
	va_list args;

	va_start(args, format);
	if (vasprintf(&text, format, args) < 0)
		text = NULL;
	va_end(args);
	if (text)
		client_tell(pull->task->client,
			id ? json_pack("{s:s, s:{}, s:s}", "status", text, "progressDetail", "id", id)
			   : json_pack("{s:s}", "status", text));
}

static void tell_progress(struct pull_layer *layer)
{
	int64_t now = clock_monotonic_ms();

	if (now - layer->told_ms < PROGRESS_EVERY_MS)
		return;
	layer->told_ms = now;
	client_tell(layer->pull->task->client,
		json_pack("{s:s, s:{s:I, s:I}, s:s}", "status", "Downloading", "progressDetail", "current",
			(json_int_t)layer->received, "total", (json_int_t)layer->descriptor->size, "id", layer->label));
}

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
		tell(pull, pull->reference.digest, "Pulling from %s", reference_familiar(pull->reference.repository));
	else
		tell(pull, what, "Pulling from %s", strchr(pull->reference.repository, '/') + 1);
	r = fetch_manifest(pull, &pull->top, 1, reterr);
	return r < 0 ? r : fetch_config(pull, reterr);
}

/* ---- layers */

static int on_data(const void *data, size_t len, void *user)
{
	struct pull_layer *layer = user;
	int r = io_write_full(layer->fd, data, len);

	if (r < 0)
		return r;
	sha256_update(layer->hash, data, len);
	layer->received += (int64_t)len;
	tell_progress(layer);
	return 0;
}

static int on_restart(void *user)
{
	struct pull_layer *layer = user;

	sha256_free(layer->hash);
	layer->hash = sha256_new();
	layer->received = 0;
	if (!layer->hash)
		return -ENOMEM;
	return ftruncate(layer->fd, 0) < 0 || lseek(layer->fd, 0, SEEK_SET) < 0 ? -errno : 0;
}

static void check(struct pull_layer *layer)
{
	char digest[DIGEST_SIZE];

	sha256_digest(layer->hash, digest);
	if (strcmp(digest, layer->descriptor->digest) != 0)
		err_set(&layer->err, ERR_INVALID, EBADMSG, "%s sent other content (%s) than that of the layer %s",
			registry_host(layer->pull->registry), digest, layer->descriptor->digest);
	else
		tell(layer->pull, layer->label, "Download complete");
}

static void on_done(const struct err *err, void *user)
{
	struct pull_layer *layer = user;

	layer->pull->loading--;
	if (err)
		err_set(&layer->err, err->kind, err->errnum, "%s", err_message(err));
	else
		check(layer);
}

static int start_download(struct pull_layer *layer, struct err **reterr)
{
	struct registry_download download = {
		.digest = layer->descriptor->digest,
		.size = layer->descriptor->size,
		.on_data = on_data,
		.on_restart = on_restart,
		.on_done = on_done,
		.user = layer,
	};

	layer->fd = openat(job_folder(layer->pull->task->job), ".", O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);
	if (layer->fd < 0)
		return err_errno(reterr, -errno, "cannot make a file for the layer %s", layer->label);
	layer->hash = sha256_new();
	if (!layer->hash)
		return err_oom(reterr);
	int r = registry_download(layer->pull->registry, &download, reterr);
	if (r == 0)
		layer->pull->loading++;
	return r;
}

static int wait_downloads(struct pull *pull, struct err **reterr)
{
	while (pull->loading > 0) {
		int r = registry_wait(pull->registry, WAIT_MS, reterr);
		for (size_t i = 0; r == 0 && i < pull->manifest.layer_count; i++) {
			struct err *err = pull->layers[i].err;
			if (!err)
				continue;
			r = -err->errnum;
			if (reterr)
				*reterr = TAKE(pull->layers[i].err);
		}
		if (r < 0)
			return r;
	}
	return 0;
}

static bool is_repeated(const struct pull *pull, size_t index)
{
	for (size_t i = 0; i < index; i++)
		if (strcmp(pull->layers[i].diff_id, pull->layers[index].diff_id) == 0)
			return true;
	return false;
}

static int prepare_layer(struct pull *pull, size_t index, struct err **reterr)
{
	struct pull_layer *layer = &pull->layers[index];
	enum oci_layer_format format;

	*layer = (struct pull_layer){
		.pull = pull,
		.descriptor = &pull->manifest.layers[index],
		.diff_id = pull->config.rootfs.diff_ids[index],
		.fd = -1,
	};
	snprintf(layer->label, sizeof(layer->label), "%s", strchr(layer->descriptor->digest, ':') + 1);
	if (oci_layer_format(layer->descriptor->media_type ?: "", &format) < 0)
		return err_set(reterr, ERR_UNSUPPORTED, 0, "layer %s is of a media type that is not supported",
			layer->descriptor->digest);
	layer->repeated = is_repeated(pull, index);
	return 0;
}

static int claim(struct pull_layer *layer, struct err **reterr)
{
	int r = layer->repeated ? 0 : layer_claim(layer->pull->task->job, layer->diff_id, &layer->claim, reterr);

	if (r < 0)
		return r;
	if (layer->repeated || layer->claim == LAYER_READY) {
		tell(layer->pull, layer->label, "Already exists");
		return 0;
	}
	tell(layer->pull, layer->label, layer->claim == LAYER_BUSY ? "Waiting" : "Pulling fs layer");
	return layer->claim == LAYER_MINE ? start_download(layer, reterr) : 0;
}

/* Another job was at it; if that has failed, it is ours to do. */
static int settle_busy(struct pull_layer *layer, struct err **reterr)
{
	int r = layer_claim_waiting(layer->pull->task, layer->diff_id, &layer->claim, reterr);

	if (r == 0 && layer->claim == LAYER_READY)
		tell(layer->pull, layer->label, "Already exists");
	if (r < 0 || layer->claim == LAYER_READY)
		return r;
	r = start_download(layer, reterr);
	return r < 0 ? r : wait_downloads(layer->pull, reterr);
}

static int finish_layer(struct pull_layer *layer, struct err **reterr)
{
	if (layer->repeated || layer->claim == LAYER_READY)
		return 0;
	_autoclose_ int fd = io_reopen(layer->fd, O_RDONLY);
	if (fd < 0)
		return err_errno(reterr, fd, "cannot read layer %s back", layer->label);
	int r = layer_make_verified(layer->pull->task,
		&(struct layer_file){ .fd = fd,
			.link_fd = layer->fd,
			.diff_id = layer->diff_id,
			.digest = layer->descriptor->digest,
			.size_bytes = layer->descriptor->size },
		layer->label, reterr);
	fd_close(&layer->fd);
	layer->claim = LAYER_READY;
	if (r == 0)
		tell(layer->pull, layer->label, "Pull complete");
	return r;
}

/*
 * Claims first, all of them, and waits for others' layers last: two pulls of overlapping images share the work, and neither
 * waits for the other while it holds a layer that is not made.
 */
static int fetch_layers(struct pull *pull, struct err **reterr)
{
	size_t count = pull->manifest.layer_count;
	int r = 0;

	pull->layers = calloc(count ? count : 1, sizeof(*pull->layers));
	if (!pull->layers)
		return err_oom(reterr);
	for (size_t i = 0; r == 0 && i < count; i++)
		r = prepare_layer(pull, i, reterr);
	for (size_t i = 0; r == 0 && i < count; i++)
		r = claim(&pull->layers[i], reterr);
	if (r == 0)
		r = wait_downloads(pull, reterr);
	for (size_t i = 0; r == 0 && i < count; i++)
		if (pull->layers[i].claim != LAYER_BUSY)
			r = finish_layer(&pull->layers[i], reterr);
	for (size_t i = 0; r == 0 && i < count; i++) {
		if (pull->layers[i].claim == LAYER_BUSY)
			r = settle_busy(&pull->layers[i], reterr);
		if (r == 0)
			r = finish_layer(&pull->layers[i], reterr);
	}
	return r;
}

/* ---- the image */

static int names_of(const struct pull *pull, char ***ret)
{
	const struct reference *reference = &pull->reference;
	int r = strv_appendf(ret, "%s@%s", reference->repository, pull->top.digest);

	return r < 0 || reference->digest ? r : strv_appendf(ret, "%s:%s", reference->repository, reference->tag);
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

	if (names_of(pull, &names) < 0 ||
		asprintf(&shown, "%s%s%s", reference_familiar(reference->repository), reference->digest ? "@" : ":",
			reference->digest ?: reference->tag) < 0)
		return err_oom(reterr);
	int r = store_image_add(pull->task->job, pull->config_text.data, pull->config_text.len, names, &added, reterr);
	if (r < 0)
		return r;
	tell(pull, NULL, "Digest: %s", pull->top.digest);
	tell(pull, NULL,
		added.existed && added.unchanged ? "Status: Image is up to date for %s"
						 : "Status: Downloaded newer image for %s",
		shown);
	remember_copies(pull);
	pull->task->event("pull", added.id, shown, pull->task->event_data);
	image_added_finish(&added);
	return 0;
}

static int pull_one(struct pull *pull, struct err **reterr)
{
	int r = fetch_documents(pull, reterr);

	if (r == 0)
		r = fetch_layers(pull, reterr);
	return r < 0 ? r : add_image(pull, reterr);
}

/* ---- start and end */

static void finish(struct pull *pull)
{
	registry_close(pull->registry);
	for (size_t i = 0; pull->layers && i < pull->manifest.layer_count; i++) {
		fd_close(&pull->layers[i].fd);
		sha256_free(pull->layers[i].hash);
		err_free(pull->layers[i].err);
	}
	free(pull->layers);
	registry_content_finish(&pull->top);
	json_finish(&oci_manifest_table, &pull->manifest);
	oci_image_config_finish(&pull->config);
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
	if (pull.wish->all_tags)
		return err_set(reterr, ERR_UNSUPPORTED, 0,
			"pulling all tags of %s is not supported yet: name them one by one", pull.wish->reference);
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
	return r < 0 ? r : pull_one(&pull, reterr);
}
