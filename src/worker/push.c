/*
 * An image's layers go to the registry as the store has kept them, or compressed on the way if it has them plain; which blob that
 * made is remembered (store/copies.h), as is where it is now, so that the next push finds it or has it mounted. The manifest is made
 * here, when all layers are there: Docker's, which every reader knows, unless a layer is of a kind that only OCI's can name.
 */
#include "worker/push.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/strv.h"
#include "codec/sha256.h"
#include "registry/registry.h"
#include "spec/oci_image.h"
#include "spec/platform.h"
#include "store/blob.h"
#include "store/copies.h"
#include "store/image_add.h"
#include "store/layer.h"
#include "worker/push_source.h"

#define UPLOADS_MAX       5 /* at once, as Docker's daemon */
#define LABEL_LENGTH      12
#define PROGRESS_EVERY_MS 100
#define WAIT_MS           1000

struct push;

struct push_layer {
	struct push *push;
	const char *diff_id;
	char label[LABEL_LENGTH + 1];
	const struct push_layer *same; /* an earlier layer of the same image that is the same one */
	struct layer_blob blob;
	struct push_source source;
	bool known; /* there is a copy somewhere */
	struct layer_copy copy;
	char *mount_from;
	bool under_way;
	bool done;
	struct layer_copy result; /* what the registry has now */
	int64_t told_ms;
	struct err *err;
};

/* One tag of the repository. */
struct push {
	struct task *task;
	const struct handover *handover;
	const char *repository; /* in full */
	const char *tag;
	struct store_image *image;
	struct registry *registry;
	struct push_layer *layers;
	char **sources; /* repositories to mount from */
	unsigned under_way;
	const char *media_type;
	struct buf manifest;
	char digest[DIGEST_SIZE];
};

/* ---- what the client sees */

static void tell(struct push *push, const char *id, const char *status)
{
	client_tell(push->task->client, json_pack("{s:s, s:{}, s:s}", "status", status, "progressDetail", "id", id));
}

static void tell_progress(struct push_layer *layer)
{
	int64_t now = clock_monotonic_ms();

	if (now - layer->told_ms < PROGRESS_EVERY_MS)
		return;
	layer->told_ms = now;
	client_tell(layer->push->task->client,
		json_pack("{s:s, s:{s:I, s:I}, s:s}", "status", "Pushing", "progressDetail", "current",
			(json_int_t)push_source_progress(&layer->source), "total", (json_int_t)layer->blob.size_bytes,
			"id", layer->label));
}

static void tell_done(struct push_layer *layer, enum registry_uploaded how)
{
	_cleanup_free_ char *text = NULL;

	if (how == REGISTRY_MOUNTED && asprintf(&text, "Mounted from %s", layer->mount_from) < 0)
		text = NULL;
	tell(layer->push, layer->label,
		how == REGISTRY_EXISTED ? "Layer already exists"
		: how == REGISTRY_SENT  ? "Pushed"
					: (text ?: "Mounted"));
}

/* ---- layers */

static ssize_t on_read(void *data, size_t len, void *user)
{
	struct push_layer *layer = user;

	tell_progress(layer);
	return push_source_read(&layer->source, data, len);
}

static int on_seek(int64_t offset, void *user)
{
	struct push_layer *layer = user;

	return push_source_seek(&layer->source, offset);
}

static int on_fd(void *user)
{
	const struct push_layer *layer = user;

	return push_source_fd(&layer->source);
}

static const char *on_digest(void *user)
{
	struct push_layer *layer = user;

	return push_source_digest(&layer->source);
}

/* A layer that was not sent is the copy that was asked for, if that is another than ours. */
static void take_result(struct push_layer *layer, enum registry_uploaded how)
{
	struct push_source *source = &layer->source;

	if (source->compresses && how != REGISTRY_SENT) {
		layer->result = layer->copy;
		return;
	}
	snprintf(layer->result.digest, sizeof(layer->result.digest), "%s", push_source_digest(source));
	layer->result.size_bytes = source->compresses ? source->hashed : layer->blob.size_bytes;
}

static void on_done(enum registry_uploaded how, const struct err *err, void *user)
{
	struct push_layer *layer = user;

	layer->under_way = false;
	layer->done = true;
	layer->push->under_way--;
	if (err) {
		err_set(&layer->err, err->kind, err->errnum, "%s", err_message(err));
		return;
	}
	take_result(layer, how);
	tell_done(layer, how);
	push_source_finish(&layer->source);
}

static int start_upload(struct push_layer *layer, struct err **reterr)
{
	struct push *push = layer->push;
	int r = push_source_open(job_store(push->task->job), &layer->blob, push->task->empty_fd, &layer->source,
		reterr);

	if (r < 0)
		return r;
	struct registry_upload upload = {
		.digest = layer->source.compresses ? NULL : layer->blob.digest,
		.size = layer->source.compresses ? -1 : layer->blob.size_bytes,
		.instead = layer->source.compresses && layer->known ? layer->copy.digest : NULL,
		.mount_from = layer->mount_from,
		.on_read = on_read,
		.on_seek = on_seek,
		.on_fd = on_fd,
		.on_digest = on_digest,
		.on_done = on_done,
		.user = layer,
	};
	layer->under_way = true;
	push->under_way++;
	r = registry_upload(push->registry, &upload, reterr);
	if (r < 0) {
		layer->under_way = false;
		push->under_way--;
	}
	return r;
}

/* A plain blob may be any copy; what is compressed already is itself. */
static int prepare_layer(struct push *push, size_t index, struct err **reterr)
{
	struct push_layer *layer = &push->layers[index];
	struct store *store = job_store(push->task->job);
	bool plain;
	int r;

	*layer = (struct push_layer){ .push = push, .diff_id = push->image->diff_ids[index] };
	layer->source = (struct push_source){ .blob_fd = -1, .pipe_fd = -1 };
	snprintf(layer->label, sizeof(layer->label), "%s", strchr(layer->diff_id, ':') + 1);
	for (size_t i = 0; i < index && !layer->same; i++)
		if (strcmp(push->layers[i].diff_id, layer->diff_id) == 0)
			layer->same = &push->layers[i];
	if (layer->same)
		return 0;
	r = store_layer_blob(store, layer->diff_id, &layer->blob, reterr);
	if (r < 0)
		return r;
	plain = strcmp(layer->blob.digest, layer->diff_id) == 0;
	r = store_copy_find(store, layer->diff_id, plain ? NULL : layer->blob.digest, push->repository, &layer->copy,
		&layer->mount_from, reterr);
	if (r < 0)
		return r;
	layer->known = r > 0;
	if (layer->mount_from && !strv_has(push->sources, layer->mount_from) &&
		strv_append(&push->sources, layer->mount_from) < 0)
		return err_oom(reterr);
	tell(push, layer->label, "Preparing");
	return 0;
}

static int prepare_layers(struct push *push, struct err **reterr)
{
	size_t count = push->image->layer_count;
	int r = 0;

	push->layers = calloc(count + 1, sizeof(*push->layers));
	if (!push->layers)
		return err_oom(reterr);
	for (size_t i = 0; r == 0 && i < count; i++)
		r = prepare_layer(push, i, reterr);
	return r;
}

static int take_error(struct push *push, struct err **reterr)
{
	for (size_t i = 0; i < push->image->layer_count; i++) {
		struct err *err = push->layers[i].err;
		if (!err)
			continue;
		if (reterr)
			*reterr = TAKE(push->layers[i].err);
		return reterr ? -(*reterr)->errnum : -err->errnum;
	}
	return 0;
}

/* The topmost first: what others have too is at the bottom, and comes last. */
static int start_more(struct push *push, struct err **reterr)
{
	for (size_t i = push->image->layer_count; i-- > 0 && push->under_way < UPLOADS_MAX;) {
		struct push_layer *layer = &push->layers[i];
		if (layer->same || layer->done || layer->under_way)
			continue;
		int r = start_upload(layer, reterr);
		if (r < 0)
			return r;
	}
	return 0;
}

static void tell_waiting(struct push *push)
{
	for (size_t i = push->image->layer_count, count = 0; i-- > 0;)
		if (!push->layers[i].same && ++count > UPLOADS_MAX)
			tell(push, push->layers[i].label, "Waiting");
}

static int push_layers(struct push *push, struct err **reterr)
{
	int r = 0;

	tell_waiting(push);
	do {
		r = start_more(push, reterr);
		if (r == 0 && push->under_way > 0)
			r = registry_wait(push->registry, WAIT_MS, reterr);
		if (r == 0)
			r = take_error(push, reterr);
	} while (r == 0 && push->under_way > 0);
	return r;
}

/* ---- config and manifest */

struct text {
	const char *data;
	size_t len;
	size_t sent;
	bool done;
	struct err *err;
};

static ssize_t text_read(void *data, size_t len, void *user)
{
	struct text *text = user;
	size_t left = text->len - text->sent;

	if (len > left)
		len = left;
	memcpy(data, text->data + text->sent, len);
	text->sent += len;
	return (ssize_t)len;
}

static int text_seek(int64_t offset, void *user)
{
	struct text *text = user;

	text->sent = (size_t)offset;
	return 0;
}

static void text_done(enum registry_uploaded how, const struct err *err, void *user)
{
	struct text *text = user;

	(void)how;
	text->done = true;
	if (err)
		err_set(&text->err, err->kind, err->errnum, "%s", err_message(err));
}

static int push_config(struct push *push, struct err **reterr)
{
	struct text text = { .data = push->image->config_text, .len = push->image->config_len };
	struct registry_upload upload = {
		.digest = push->image->id,
		.size = (int64_t)text.len,
		.on_read = text_read,
		.on_seek = text_seek,
		.on_done = text_done,
		.user = &text,
	};
	int r = registry_upload(push->registry, &upload, reterr);

	while (r == 0 && !text.done)
		r = registry_wait(push->registry, WAIT_MS, reterr);
	if (r == 0 && text.err) {
		r = -text.err->errnum;
		if (reterr)
			*reterr = TAKE(text.err);
	}
	err_free(text.err);
	return r;
}

static const struct push_layer *layer_at(const struct push *push, size_t index)
{
	return push->layers[index].same ?: &push->layers[index];
}

static bool needs_oci(const struct push *push)
{
	for (size_t i = 0; i < push->image->layer_count; i++)
		if (layer_at(push, i)->source.compression == COMPRESSION_ZSTD)
			return true;
	return false;
}

static int make_manifest(struct push *push, struct err **reterr)
{
	_cleanup_free_ struct oci_descriptor *layers = calloc(push->image->layer_count + 1, sizeof(*layers));
	bool oci = needs_oci(push);
	struct oci_manifest manifest = {
		.schema_version = 2,
		.media_type = (char *)(oci ? OCI_MEDIA_TYPE_MANIFEST : DOCKER_MEDIA_TYPE_MANIFEST),
		.config = { .media_type = (char *)(oci ? OCI_MEDIA_TYPE_CONFIG : DOCKER_MEDIA_TYPE_CONFIG),
			.digest = push->image->id,
			.size = (int64_t)push->image->config_len },
		.layers = layers,
		.layer_count = push->image->layer_count,
	};
	struct digest digest;
	int r = layers ? 0 : -ENOMEM;

	for (size_t i = 0; r == 0 && i < manifest.layer_count; i++) {
		const struct push_layer *layer = layer_at(push, i);
		bool zstd = layer->source.compression == COMPRESSION_ZSTD;
		layers[i] = (struct oci_descriptor){
			.media_type = (char *)(zstd  ? OCI_MEDIA_TYPE_LAYER_ZSTD
					       : oci ? OCI_MEDIA_TYPE_LAYER_GZIP
						     : DOCKER_MEDIA_TYPE_LAYER),
			.digest = (char *)layer->result.digest,
			.size = layer->result.size_bytes,
		};
	}
	push->media_type = manifest.media_type;
	if (r == 0)
		r = json_print(&oci_manifest_table, &manifest, &push->manifest);
	if (r == 0)
		r = sha256_of(push->manifest.data, push->manifest.len, &digest);
	if (r < 0)
		return err_errno(reterr, r, "cannot write the manifest");
	digest_format(&digest, push->digest);
	return 0;
}

/* ---- afterwards */

/* Hints alone: that one can't be kept takes nothing from a push that has been done. */
static void remember(struct push *push)
{
	for (size_t i = 0; i < push->image->layer_count; i++) {
		const struct push_layer *layer = &push->layers[i];
		if (!layer->same && layer->source.compression != COMPRESSION_ZSTD)
			(void)store_copy_add(job_store(push->task->job), layer->diff_id, push->repository,
				&layer->result, NULL);
	}
}

static int add_name(struct push *push, struct err **reterr)
{
	_autofree_(strv) char **names = NULL;
	struct image_added added;

	if (strv_appendf(&names, "%s@%s", push->repository, push->digest) < 0)
		return err_oom(reterr);
	int r = store_image_add(push->task->job, push->image->config_text, push->image->config_len, names, &added,
		reterr);
	if (r == 0)
		image_added_finish(&added);
	return r;
}

static void tell_end(struct push *push)
{
	_cleanup_free_ char *text = NULL, *shown = NULL;
	struct client *client = push->task->client;
	const char *name = reference_familiar(push->repository);

	if (asprintf(&text, "%s: digest: %s size: %zu", push->tag, push->digest, push->manifest.len) < 0)
		text = NULL;
	if (asprintf(&shown, "%s:%s", name, push->tag) < 0)
		shown = NULL;
	client_tell(client, json_pack("{s:s}", "status", text ?: ""));
	client_tell(client, json_pack("{s:{}, s:{s:s, s:s, s:I}}", "progressDetail", "aux", "Tag", push->tag, "Digest",
				    push->digest, "Size", (json_int_t)push->manifest.len));
	push->task->event("push", shown ?: name, name, push->task->event_data);
}

/* ---- one tag */

static int check_platform(const struct push *push, struct err **reterr)
{
	const char *wanted = push->handover->push->platform;
	struct platform platform;

	if (!wanted)
		return 0;
	int r = platform_parse(wanted, &platform, reterr);
	if (r < 0)
		return r;
	if (platform_matches(&platform, push->image->config))
		return 0;
	return err_set(reterr, ERR_NOT_FOUND, 0,
		"image with reference %s:%s was found but does not provide the specified platform (%s/%s%s%s)",
		reference_familiar(push->repository), push->tag, platform.os, platform.architecture,
		*platform.variant ? "/" : "", platform.variant);
}

/* Its layers stay as long as the job, whatever is removed meanwhile. */
static int find_image(struct push *push, struct err **reterr)
{
	_cleanup_free_ char *name = NULL;

	if (asprintf(&name, "%s:%s", push->repository, push->tag) < 0) {
		name = NULL;
		return err_oom(reterr);
	}
	int r = store_image_find(job_store(push->task->job), name, &push->image, NULL);
	if (r < 0)
		return err_set(reterr, ERR_NOT_FOUND, 0, "tag does not exist: %s", reference_familiar(name));
	r = check_platform(push, reterr);
	return r < 0 ? r : layer_hold_image(push->task->job, push->image->id, reterr);
}

static int open_registry(struct push *push, struct err **reterr)
{
	struct reference reference = { .repository = (char *)push->repository };
	struct registry_options options = {
		.reference = &reference,
		.settings = push->handover->registry,
		.cancelled = task_is_cancelled,
		.cancelled_user = push->task,
		.pushes = true,
		.sources = push->sources,
	};

	return registry_open(&options, &push->registry, reterr);
}

static int push_image(struct push *push, struct err **reterr)
{
	int r = find_image(push, reterr);

	if (r == 0)
		r = prepare_layers(push, reterr);
	if (r == 0)
		r = open_registry(push, reterr);
	if (r == 0)
		r = push_layers(push, reterr);
	if (r == 0)
		r = push_config(push, reterr);
	if (r == 0)
		r = make_manifest(push, reterr);
	if (r == 0)
		r = registry_put_manifest(push->registry, push->tag, push->media_type, &push->manifest, push->digest,
			reterr);
	if (r == 0)
		r = add_name(push, reterr);
	if (r < 0)
		return r;
	remember(push);
	tell_end(push);
	return 0;
}

static void finish(struct push *push)
{
	registry_close(push->registry);
	for (size_t i = 0; push->layers && i < push->image->layer_count; i++) {
		push_source_finish(&push->layers[i].source);
		free(push->layers[i].mount_from);
		err_free(push->layers[i].err);
	}
	free(push->layers);
	strv_free(push->sources);
	store_image_free(push->image);
	buf_finish(&push->manifest);
}

static int push_tag(struct task *task, const struct handover *handover, const char *repository, const char *tag,
	struct err **reterr)
{
	__attribute__((cleanup(finish))) struct push push = {
		.task = task,
		.handover = handover,
		.repository = repository,
		.tag = tag,
		.manifest = BUF_INIT(OCI_MANIFEST_MAX),
	};

	return push_image(&push, reterr);
}

/* ---- all of it */

static int push_tags(struct task *task, const struct handover *handover, const char *repository, struct err **reterr)
{
	_autofree_(strv) char **tags = NULL;
	int r = handover->push->tag ? strv_append(&tags, handover->push->tag) < 0 ? err_oom(reterr) : 0
				    : store_image_tags(job_store(task->job), repository, &tags, reterr);

	if (r == 0 && strv_count(tags) == 0)
		return err_set(reterr, ERR_NOT_FOUND, 0, "An image does not exist locally with the tag: %s",
			reference_familiar(repository));
	strv_foreach (tag, tags) {
		r = push_tag(task, handover, repository, *tag, reterr);
		if (r < 0)
			return r;
	}
	return r;
}

int push_run(struct task *task, const struct handover *handover, struct err **reterr)
{
	_cleanup_(reference_finish) struct reference reference = { NULL };
	_cleanup_free_ char *text = NULL;
	struct handover_registry settings = *handover->registry;
	struct handover own = *handover;
	int r = task_reference(handover->push->repository, &reference, reterr);

	if (r < 0)
		return r;
	settings.mirrors = NULL; /* they are there to be read */
	own.registry = &settings;
	if (asprintf(&text, "The push refers to repository [%s]", reference.repository) < 0) {
		text = NULL;
		return err_oom(reterr);
	}
	client_tell(task->client, json_pack("{s:s}", "status", text));
	return push_tags(task, &own, reference.repository, reterr);
}
