#include "worker/layers.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/strv.h"
#include "worker/inflate.h"
#include "worker/unpacker.h"

#define LAYER_FOLDER      "layer"
#define LAYER_ROOT_MODE   0755
#define PARALLEL          3 /* layers at once, as in a pull */
#define BUSY_WAIT_MS      20
#define WAIT_MS           100
#define PROGRESS_EVERY_MS 100
#define LABEL_LENGTH      12

struct layer {
	struct layer_file file;
	const char *diff_id;
	char label[LABEL_LENGTH + 1];
	char folder[32];
	int64_t size_bytes; /* of the file */
	struct unpacker *unpacker;
	int64_t told_ms;
};

struct layers {
	struct task *task;
	char *const *diff_ids;
	size_t count;
	layer_open_fn *open;
	void *data;
	size_t next; /* the first that has not been begun */
	struct layer layers[PARALLEL];
	size_t active;
};

/* ---- one of them */

static void layer_finish(struct layer *layer)
{
	unpacker_free(layer->unpacker);
	layer->unpacker = NULL;
	fd_close(&layer->file.fd);
}

static void tell_progress(const struct layers *layers, struct layer *layer)
{
	int64_t now = clock_monotonic_ms();

	if (layers->task->quiet || now - layer->told_ms < PROGRESS_EVERY_MS)
		return;
	layer->told_ms = now;
	client_tell(layers->task->client,
		json_pack("{s:s, s:{s:I, s:I}, s:s}", "status", "Loading layer", "progressDetail", "current",
			(json_int_t)lseek(layer->file.fd, 0, SEEK_CUR), "total", (json_int_t)layer->size_bytes, "id",
			layer->label));
}

/* What can be seen without reading it. An uncompressed one has the digest of its content: then unpacking tells it. */
static int check_file(struct layer *layer, struct err **reterr)
{
	const struct layer_file *file = &layer->file;

	layer->size_bytes = lseek(file->fd, 0, SEEK_END);
	if (layer->size_bytes < 0 || lseek(file->fd, 0, SEEK_SET) < 0)
		return err_errno(reterr, -errno, "cannot read layer %s", layer->label);
	if (file->size_bytes >= 0 && layer->size_bytes != file->size_bytes)
		return err_set(reterr, ERR_INVALID, EBADMSG, "layer %s is of %lld bytes and not of %lld",
			layer->diff_id, (long long)layer->size_bytes, (long long)file->size_bytes);
	if (file->digest && strcmp(file->digest, layer->diff_id) != 0 && compression_of(file->fd) == COMPRESSION_NONE)
		return err_set(reterr, ERR_INVALID, EBADMSG, "layer %s is not what its digest %s says", layer->diff_id,
			file->digest);
	return 0;
}

static int start(struct layers *layers, struct layer *layer, struct err **reterr)
{
	snprintf(layer->folder, sizeof(layer->folder), LAYER_FOLDER "-%zu", layers->next);
	_autoclose_ int folder_fd = task_folder(layers->task, layer->folder, LAYER_ROOT_MODE);
	if (folder_fd < 0)
		return err_errno(reterr, folder_fd, "cannot make a folder for the layer");
	struct unpacker_options options = {
		.file_fd = layer->file.fd,
		.folder_fd = folder_fd,
		.empty_fd = layers->task->empty_fd,
		.whole = true,
		.digest = layer->file.digest,
	};
	int r = check_file(layer, reterr);
	if (r == 0)
		r = unpacker_start(&options, &layer->unpacker, reterr);
	if (r == 0)
		tell_progress(layers, layer);
	return r;
}

static int commit(struct layers *layers, struct layer *layer, const struct unpacked *unpacked, struct err **reterr)
{
	const char *digest = layer->file.digest;
	struct layer_content content = {
		.folder = layer->folder,
		.size_bytes = unpacked->size_bytes,
		.opaque_root = unpacked->opaque_root,
		.synced = true,
		.blob_fd = layer->file.fd,
		.blob_digest = *unpacked->file_digest ? unpacked->file_digest : unpacked->diff_id,
		.blob_size_bytes = layer->size_bytes,
	};

	if (digest && *unpacked->file_digest && strcmp(digest, unpacked->file_digest) != 0)
		return err_set(reterr, ERR_INVALID, EBADMSG, "layer %s is corrupt: its content's digest is %s", digest,
			unpacked->file_digest);
	if (strcmp(unpacked->diff_id, layer->diff_id) != 0)
		return err_set(reterr, ERR_INVALID, EBADMSG, "layer %s is corrupt: its content has the diff ID %s",
			layer->diff_id, unpacked->diff_id);
	return layer_commit(layers->task->job, layer->diff_id, &content, reterr);
}

static int end(struct layers *layers, struct layer *layer, struct err **reterr)
{
	struct unpacked unpacked;
	int r = unpacker_outcome(layer->unpacker, &unpacked, reterr);

	if (r < 0)
		return err_wrap(reterr, r, "cannot unpack layer %s", layer->label);
	r = commit(layers, layer, &unpacked, reterr);
	layer_finish(layer);
	layers->active--;
	return r;
}

/* ---- all of them */

/* The next one. *ret_busy: another is making it (another job; or this one, if an image has a layer twice). */
static int begin(struct layers *layers, struct layer *layer, bool *ret_busy, struct err **reterr)
{
	const char *diff_id = layers->diff_ids[layers->next];
	enum layer_claim claim;

	*layer = (struct layer){ .diff_id = diff_id, .file = { .fd = -1, .size_bytes = -1 } };
	snprintf(layer->label, sizeof(layer->label), "%s", strchr(diff_id, ':') + 1);
	int r = layers->open(layers->next, &layer->file, layers->data, reterr);
	if (r == 0)
		r = layer_claim(layers->task->job, diff_id, &claim, reterr);
	if (r == 0 && claim == LAYER_MINE)
		r = start(layers, layer, reterr);
	*ret_busy = r == 0 && claim == LAYER_BUSY;
	if (r == 0 && layer->unpacker)
		layers->active++;
	else
		layer_finish(layer);
	layers->next += r == 0 && !*ret_busy;
	return r;
}

static int begin_more(struct layers *layers, bool *ret_busy, struct err **reterr)
{
	int r = 0;

	*ret_busy = false;
	for (size_t i = 0; r == 0 && i < PARALLEL; i++)
		while (r == 0 && !layers->layers[i].unpacker && layers->next < layers->count && !*ret_busy)
			r = begin(layers, &layers->layers[i], ret_busy, reterr);
	return r;
}

static int wait_for_any(const struct layers *layers, int timeout_ms, struct err **reterr)
{
	struct pollfd fds[PARALLEL + 1] = { { .fd = client_fd(layers->task->client) } };
	nfds_t count = 1;

	for (size_t i = 0; i < PARALLEL; i++)
		if (layers->layers[i].unpacker)
			fds[count++] = (struct pollfd){ .fd = unpacker_end(layers->layers[i].unpacker),
				.events = POLLIN };
	if (poll(fds, count, timeout_ms) < 0 && errno != EINTR)
		return err_errno(reterr, -errno, "cannot wait");
	if (client_is_gone(layers->task->client))
		return err_set(reterr, ERR_INTERNAL, ECANCELED, "the client went away");
	return 0;
}

static int end_some(struct layers *layers, struct err **reterr)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < PARALLEL; i++) {
		struct layer *layer = &layers->layers[i];
		if (!layer->unpacker)
			continue;
		if (unpacker_has_ended(layer->unpacker))
			r = end(layers, layer, reterr);
		else
			tell_progress(layers, layer);
	}
	return r;
}

static int obtain(struct layers *layers, struct err **reterr)
{
	for (;;) {
		bool busy;
		int r = begin_more(layers, &busy, reterr);

		if (r < 0 || (layers->active == 0 && !busy))
			return r;
		r = wait_for_any(layers, busy ? BUSY_WAIT_MS : WAIT_MS, reterr);
		if (r == 0)
			r = end_some(layers, reterr);
		if (r < 0)
			return r;
	}
}

int layers_obtain(struct task *task, char *const *diff_ids, layer_open_fn *open, void *data, struct err **reterr)
{
	struct layers layers = {
		.task = task,
		.diff_ids = diff_ids,
		.count = strv_count(diff_ids),
		.open = open,
		.data = data,
	};

	for (size_t i = 0; i < PARALLEL; i++)
		layers.layers[i].file.fd = -1;
	int r = obtain(&layers, reterr);
	for (size_t i = 0; i < PARALLEL; i++)
		layer_finish(&layers.layers[i]);
	return r;
}

/* ---- one of which nothing is known */

int layer_claim_waiting(struct task *task, const char *diff_id, enum layer_claim *ret, struct err **reterr)
{
	for (;;) {
		int r = layer_claim(task->job, diff_id, ret, reterr);

		if (r < 0 || *ret != LAYER_BUSY)
			return r;
		if (client_is_gone(task->client))
			return err_set(reterr, ERR_INTERNAL, ECANCELED, "the client went away");
		usleep(BUSY_WAIT_MS * 1000);
	}
}

static int unpack_into_folder(struct task *task, int file_fd, struct unpacked *ret, struct err **reterr)
{
	_autoclose_ int folder_fd = task_folder(task, LAYER_FOLDER, LAYER_ROOT_MODE);
	struct unpack unpack_layer = {
		.file_fd = file_fd,
		.client = task->client,
		.folder_fd = folder_fd,
		.empty_fd = task->empty_fd,
		.options = { .mode = EXTRACT_LAYER, .entries_max = LIMIT_ENTRIES },
		.needs_end_marker = true,
	};

	if (folder_fd < 0)
		return err_errno(reterr, folder_fd, "cannot make a folder for the layer");
	return unpack(&unpack_layer, ret, reterr);
}

/* The claim is made after unpacking, and what is there already makes the work void. */
int layer_add(struct task *task, int fd, int link_fd, char ret_diff_id[static STORE_DIGEST_SIZE], struct err **reterr)
{
	char digest[STORE_DIGEST_SIZE] = "";
	struct layer_content content = { .folder = LAYER_FOLDER, .blob_digest = digest, .blob_fd = link_fd };
	struct unpacked unpacked;
	enum layer_claim claim;
	int r = compression_of(fd) == COMPRESSION_NONE ? 0 : file_digest(fd, digest, NULL, reterr);

	if (r >= 0)
		r = unpack_into_folder(task, fd, &unpacked, reterr);
	if (r >= 0)
		r = layer_claim_waiting(task, unpacked.diff_id, &claim, reterr);
	if (r < 0)
		return r;
	snprintf(ret_diff_id, STORE_DIGEST_SIZE, "%s", unpacked.diff_id);
	if (claim == LAYER_READY)
		return 0;
	if (!*digest)
		snprintf(digest, sizeof(digest), "%s", unpacked.diff_id);
	content.blob_size_bytes = lseek(fd, 0, SEEK_END);
	content.size_bytes = unpacked.size_bytes;
	content.opaque_root = unpacked.opaque_root;
	return layer_commit(task->job, unpacked.diff_id, &content, reterr);
}
