#include "worker/fetch.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <sys/stat.h>

#include "base/clock.h"
#include "base/io.h"
#include "codec/sha256.h"
#include "store/layer.h"
#include "store/partial.h"
#include "worker/unpacker.h"

/* Layers at once: as many as Docker's, and enough to keep the processors busy while one of them waits for the network. */
#define PARALLEL          3
#define LABEL_LENGTH      12
#define LAYER_ROOT_MODE   0755
#define PROGRESS_EVERY_MS 100
#define BUSY_WAIT_MS      50
#define WAIT_MS           200
#define FEED_BYTES        (256 * 1024)
#define CATCH_UP_BYTES    (256 * 1024)

enum step {
	STEP_WAITING, /* for its turn, or for another job that is making it */
	STEP_LOADING, /* and being unpacked, as far as it has come */
	STEP_LOADED,  /* all of it, and verified; still being unpacked */
	STEP_READY,
};

struct fetch;

struct layer {
	struct fetch *fetch;
	const struct oci_descriptor *descriptor;
	const char *diff_id;
	size_t number;
	char label[LABEL_LENGTH + 1];
	enum layer_claim claim;
	enum step step;
	/* The download. */
	struct partial partial;
	struct sha256 *hash;
	int64_t received;
	bool resumed; /* some of it came from an earlier attempt */
	bool bad;     /* it is not what its digest says */
	unsigned tries;
	struct err *err;
	/* The unpacking. */
	struct unpacker *unpacker;
	char folder[32];
	bool unpacked;
	struct unpacked outcome;
	struct err *unpack_err;
	int64_t told_ms;
};

struct fetch {
	struct task *task;
	struct registry *registry;
	struct layer *layers;
	size_t count;
	unsigned active;
	int64_t busy_at_ms; /* when others' layers were asked for last */
};

static bool is_active(const struct layer *layer)
{
	return layer->step == STEP_LOADING || layer->step == STEP_LOADED;
}

/* ---- what the client sees */

void fetch_tell(struct task *task, const char *id, const char *format, ...)
{
	_cleanup_free_ char *text = NULL;
	va_list args;

	va_start(args, format);
	if (vasprintf(&text, format, args) < 0)
		text = NULL;
	va_end(args);
	if (text)
		client_tell(task->client, id ? json_pack("{s:s, s:{}, s:s}", "status", text, "progressDetail", "id", id)
					     : json_pack("{s:s}", "status", text));
}

static void tell(const struct layer *layer, const char *status)
{
	fetch_tell(layer->fetch->task, layer->label, "%s", status);
}

static void tell_progress(struct layer *layer, const char *status, int64_t current)
{
	int64_t now = clock_monotonic_ms();

	if (now - layer->told_ms < PROGRESS_EVERY_MS)
		return;
	layer->told_ms = now;
	client_tell(layer->fetch->task->client,
		json_pack("{s:s, s:{s:I, s:I}, s:s}", "status", status, "progressDetail", "current",
			(json_int_t)current, "total", (json_int_t)layer->descriptor->size, "id", layer->label));
}

/* ---- unpacking what has come */

static int layer_fail(struct layer *layer, int error, const char *what)
{
	if (layer->err)
		return -layer->err->errnum;
	if (error == -ENOSPC || error == -EDQUOT)
		return err_set(&layer->err, ERR_INTERNAL, ENOSPC, "no space left on device");
	return err_errno(&layer->err, error, "cannot %s layer %s", what, layer->label);
}

static int feed(struct layer *layer)
{
	return layer->unpacker ? unpacker_feed(layer->unpacker, layer->received, &layer->err) : 0;
}

/* Within a long turn of one download the others go on too. */
static void feed_all(struct fetch *fetch)
{
	for (size_t i = 0; i < fetch->count; i++)
		(void)feed(&fetch->layers[i]);
}

static int start_unpacker(struct layer *layer)
{
	struct task *task = layer->fetch->task;
	char magic[COMPRESSION_MAGIC_BYTES];
	ssize_t n = pread(layer->partial.fd, magic, sizeof(magic), 0);

	if (n < 0)
		return layer_fail(layer, -errno, "read");
	snprintf(layer->folder, sizeof(layer->folder), "layer-%zu-%u", layer->number, layer->tries);
	_autoclose_ int folder_fd = task_folder(task, layer->folder, LAYER_ROOT_MODE);
	if (folder_fd < 0)
		return layer_fail(layer, folder_fd, "make a folder for");
	struct unpacker_options options = {
		.file_fd = layer->partial.fd,
		.folder_fd = folder_fd,
		.empty_fd = task->empty_fd,
		.compression = compression_detect(magic, (size_t)n),
		.size_bytes = layer->descriptor->size,
	};
	return unpacker_start(&options, &layer->unpacker, &layer->err);
}

static void drop_unpacker(struct layer *layer)
{
	unpacker_free(layer->unpacker);
	layer->unpacker = NULL;
	layer->unpacked = false;
	err_free(layer->unpack_err);
	layer->unpack_err = NULL;
}

static void end_unpacker(struct layer *layer)
{
	layer->unpacked = unpacker_outcome(layer->unpacker, &layer->outcome, &layer->unpack_err) == 0;
	unpacker_free(layer->unpacker);
	layer->unpacker = NULL;
}

static int drive_unpacker(struct layer *layer)
{
	bool enough = layer->received >= COMPRESSION_MAGIC_BYTES || layer->received == layer->descriptor->size;
	int r = 0;

	if (!layer->unpacker && !layer->unpacked && !layer->unpack_err && enough)
		r = start_unpacker(layer);
	if (r == 0)
		r = feed(layer);
	if (r == 0 && layer->unpacker && unpacker_has_ended(layer->unpacker))
		end_unpacker(layer);
	return r;
}

/* ---- the download */

/* The digest of what an earlier attempt has left goes before that of what comes. */
static int catch_up(struct layer *layer, struct err **reterr)
{
	_cleanup_free_ char *data = malloc(CATCH_UP_BYTES);
	int64_t offset = 0;

	if (!data)
		return err_oom(reterr);
	while (offset < layer->received) {
		int64_t left = layer->received - offset;
		ssize_t n = pread(layer->partial.fd, data, left < CATCH_UP_BYTES ? (size_t)left : CATCH_UP_BYTES,
			offset);
		if (n <= 0)
			return err_errno(reterr, n < 0 ? -errno : -EIO, "cannot read layer %s back", layer->label);
		sha256_update(layer->hash, data, (size_t)n);
		offset += n;
		if (task_is_cancelled(layer->fetch->task))
			return err_set(reterr, ERR_INTERNAL, ECANCELED, "the client went away");
	}
	return 0;
}

static int begin_anew(struct layer *layer)
{
	drop_unpacker(layer);
	sha256_free(layer->hash);
	layer->hash = sha256_new();
	layer->received = 0;
	layer->resumed = false;
	layer->tries++;
	if (!layer->hash)
		return layer_fail(layer, -ENOMEM, "load");
	return ftruncate(layer->partial.fd, 0) < 0 ? layer_fail(layer, -errno, "keep") : 0;
}

static int on_begin(int64_t offset, const char *etag, void *user)
{
	struct layer *layer = user;

	if (offset < layer->received && begin_anew(layer) < 0)
		return -layer->err->errnum;
	layer->resumed |= offset > 0;
	partial_set_etag(&layer->partial, etag);
	return 0;
}

static int on_data(const void *data, size_t len, void *user)
{
	struct layer *layer = user;
	const char *bytes = data;

	sha256_update(layer->hash, data, len);
	while (len > 0) {
		ssize_t n = pwrite(layer->partial.fd, bytes, len, layer->received);
		if (n < 0 && errno != EINTR)
			return layer_fail(layer, -errno, "keep");
		if (n < 0)
			continue;
		bytes += n;
		len -= (size_t)n;
		layer->received += n;
	}
	if (!layer->unpacker || layer->received - unpacker_fed(layer->unpacker) >= FEED_BYTES)
		feed_all(layer->fetch);
	tell_progress(layer, "Downloading", layer->received);
	return layer->err ? -layer->err->errnum : 0;
}

static void on_done(const struct err *err, void *user);

static int load(struct layer *layer)
{
	char etag[PARTIAL_ETAG_SIZE];
	struct registry_download download = {
		.digest = layer->descriptor->digest,
		.size = layer->descriptor->size,
		.offset = layer->received,
		.etag = etag,
		.on_begin = on_begin,
		.on_data = on_data,
		.on_done = on_done,
		.user = layer,
	};

	partial_etag(&layer->partial, etag);
	return registry_download(layer->fetch->registry, &download, &layer->err);
}

/* All bytes are there. What was begun by another may be wrong because of that: then once more, all of it. */
static void loaded(struct layer *layer)
{
	char digest[DIGEST_SIZE];

	tell(layer, "Verifying Checksum");
	sha256_digest(layer->hash, digest);
	if (strcmp(digest, layer->descriptor->digest) == 0) {
		tell(layer, "Download complete");
		layer->step = STEP_LOADED;
	} else if (layer->resumed) {
		if (begin_anew(layer) == 0)
			(void)load(layer);
	} else {
		layer->bad = true;
		err_set(&layer->err, ERR_INVALID, EBADMSG, "%s sent other content (%s) than that of the layer %s",
			registry_host(layer->fetch->registry), digest, layer->descriptor->digest);
	}
}

static void on_done(const struct err *err, void *user)
{
	struct layer *layer = user;

	if (!err)
		loaded(layer);
	else if (!layer->err)
		err_set(&layer->err, err->kind, err->errnum, "%s", err_message(err));
}

/* Its turn has come. Somebody else's lock on the blob is waited for like somebody else's layer. */
static int begin(struct layer *layer, struct err **reterr)
{
	struct stat st;
	int r = partial_open(job_store(layer->fetch->task->job), layer->descriptor->digest, &layer->partial, reterr);

	if (r == -EWOULDBLOCK)
		return 0;
	if (r < 0)
		return r;
	layer->step = STEP_LOADING;
	layer->fetch->active++;
	layer->hash = sha256_new();
	if (!layer->hash)
		return err_oom(reterr);
	if (fstat(layer->partial.fd, &st) < 0)
		return err_errno(reterr, -errno, "cannot look at layer %s", layer->label);
	layer->received = st.st_size;
	layer->resumed = st.st_size > 0;
	if (layer->received > layer->descriptor->size)
		r = begin_anew(layer);
	if (r == 0)
		r = catch_up(layer, reterr);
	if (r < 0)
		return r;
	if (layer->received == layer->descriptor->size)
		loaded(layer);
	else
		(void)load(layer);
	return 0;
}

/* ---- the end of one */

static void let_go(struct layer *layer, bool remove)
{
	drop_unpacker(layer);
	if (partial_close(&layer->partial, remove) < 0)
		layer->fetch->task->leaves = true;
	sha256_free(layer->hash);
	layer->hash = NULL;
}

static int commit(struct layer *layer, struct err **reterr)
{
	struct layer_content content = {
		.folder = layer->folder,
		.size_bytes = layer->outcome.size_bytes,
		.opaque_root = layer->outcome.opaque_root,
		.synced = true,
		.blob_fd = layer->partial.fd,
		.blob_digest = layer->descriptor->digest,
		.blob_size_bytes = layer->descriptor->size,
	};

	if (strcmp(layer->outcome.diff_id, layer->diff_id) != 0)
		return err_set(reterr, ERR_INVALID, EBADMSG, "layer %s is corrupt: its content has the diff ID %s",
			layer->diff_id, layer->outcome.diff_id);
	int r = layer_commit(layer->fetch->task->job, layer->diff_id, &content, reterr);
	if (r < 0)
		return r;
	layer->step = STEP_READY;
	layer->fetch->active--;
	let_go(layer, true);
	tell(layer, "Pull complete");
	return 0;
}

static int give_error(struct err **err, struct err **reterr)
{
	int r = -(*err)->errnum;

	if (reterr)
		*reterr = TAKE(*err);
	return r;
}

/* What can't be unpacked is blamed on the layer only once its digest has shown that it is the layer. */
static int advance(struct layer *layer, struct err **reterr)
{
	if (!layer->err)
		(void)drive_unpacker(layer);
	if (layer->err)
		return give_error(&layer->err, reterr);
	if (layer->unpack_err && (layer->step == STEP_LOADED || layer->unpack_err->kind != ERR_INVALID)) {
		int r = give_error(&layer->unpack_err, reterr);
		return err_wrap(reterr, r, "cannot unpack layer %s", layer->label);
	}
	if (layer->step != STEP_LOADED)
		return 0;
	if (layer->unpacked)
		return commit(layer, reterr);
	if (layer->unpacker)
		tell_progress(layer, "Extracting", unpacker_fed(layer->unpacker));
	return 0;
}

/* ---- all of them */

static bool is_repeated(const struct fetch *fetch, const struct layer *layer)
{
	for (size_t i = 0; i < layer->number; i++)
		if (strcmp(fetch->layers[i].diff_id, layer->diff_id) == 0)
			return true;
	return false;
}

static int prepare(struct fetch *fetch, size_t number, const struct oci_descriptor *descriptor, const char *diff_id,
	struct err **reterr)
{
	struct layer *layer = &fetch->layers[number];
	enum oci_layer_format format;

	*layer = (struct layer){
		.fetch = fetch,
		.descriptor = descriptor,
		.diff_id = diff_id,
		.number = number,
		.partial = { .fd = -1 },
	};
	snprintf(layer->label, sizeof(layer->label), "%s", strchr(descriptor->digest, ':') + 1);
	if (oci_layer_format(descriptor->media_type ?: "", &format) < 0)
		return err_set(reterr, ERR_UNSUPPORTED, 0, "layer %s is of a media type that is not supported",
			descriptor->digest);
	return 0;
}

static int claim_first(struct layer *layer, struct err **reterr)
{
	bool repeated = is_repeated(layer->fetch, layer);
	int r = repeated ? 0 : layer_claim(layer->fetch->task->job, layer->diff_id, &layer->claim, reterr);

	if (r < 0)
		return r;
	if (repeated || layer->claim == LAYER_READY)
		layer->step = STEP_READY;
	tell(layer, layer->step == STEP_READY ? "Already exists" : "Pulling fs layer");
	return 0;
}

/* Another job was at it: it has made it, is still at it, or has left it to us. */
static int claim_again(struct layer *layer, struct err **reterr)
{
	int r = layer_claim(layer->fetch->task->job, layer->diff_id, &layer->claim, reterr);

	if (r == 0 && layer->claim == LAYER_READY) {
		layer->step = STEP_READY;
		tell(layer, "Pull complete");
	}
	return r;
}

static int begin_waiting(struct fetch *fetch, struct err **reterr)
{
	bool ask = clock_monotonic_ms() - fetch->busy_at_ms >= BUSY_WAIT_MS;
	int r = 0;

	if (ask)
		fetch->busy_at_ms = clock_monotonic_ms();
	for (size_t i = 0; r == 0 && i < fetch->count; i++) {
		struct layer *layer = &fetch->layers[i];
		if (layer->step != STEP_WAITING)
			continue;
		if (layer->claim == LAYER_BUSY && ask)
			r = claim_again(layer, reterr);
		if (r == 0 && layer->step == STEP_WAITING && layer->claim == LAYER_MINE && fetch->active < PARALLEL)
			r = begin(layer, reterr);
	}
	return r;
}

static int wait_for_any(struct fetch *fetch, bool waiting, struct err **reterr)
{
	struct pollfd fds[REGISTRY_FDS_MAX];
	size_t count = 0;

	_Static_assert(2 * PARALLEL <= REGISTRY_FDS_MAX, "two descriptors a layer");
	for (size_t i = 0; i < fetch->count; i++) {
		const struct layer *layer = &fetch->layers[i];
		if (!layer->unpacker)
			continue;
		fds[count++] = (struct pollfd){ .fd = unpacker_end(layer->unpacker), .events = POLLIN };
		if (unpacker_input(layer->unpacker) >= 0 && unpacker_fed(layer->unpacker) < layer->received)
			fds[count++] = (struct pollfd){ .fd = unpacker_input(layer->unpacker), .events = POLLOUT };
	}
	return registry_wait_with(fetch->registry, fds, count, waiting ? BUSY_WAIT_MS : WAIT_MS, reterr);
}

static int run(struct fetch *fetch, struct err **reterr)
{
	for (;;) {
		bool waiting = false;
		size_t ready = 0;
		int r = begin_waiting(fetch, reterr);

		for (size_t i = 0; r == 0 && i < fetch->count; i++) {
			if (is_active(&fetch->layers[i]))
				r = advance(&fetch->layers[i], reterr);
			waiting |= fetch->layers[i].step == STEP_WAITING;
			ready += fetch->layers[i].step == STEP_READY;
		}
		if (r < 0 || ready == fetch->count)
			return r;
		r = wait_for_any(fetch, waiting, reterr);
		if (r < 0)
			return r;
	}
}

static int run_all(struct fetch *fetch, const struct oci_manifest *manifest, char *const *diff_ids, struct err **reterr)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < manifest->layer_count; i++) {
		r = prepare(fetch, i, &manifest->layers[i], diff_ids[i], reterr);
		fetch->count += r == 0;
	}
	for (size_t i = 0; r == 0 && i < fetch->count; i++)
		r = claim_first(&fetch->layers[i], reterr);
	for (size_t i = 0, missing = 0; r == 0 && i < fetch->count; i++)
		if (fetch->layers[i].step == STEP_WAITING &&
			(++missing > PARALLEL || fetch->layers[i].claim == LAYER_BUSY))
			tell(&fetch->layers[i], "Waiting");
	return r == 0 ? run(fetch, reterr) : r;
}

/* A full disk gets back all that nobody needs at the moment. */
static void give_space_back(struct fetch *fetch)
{
	_autofree_(err) struct err *err = NULL;
	int64_t bytes;

	(void)partials_expire(job_store(fetch->task->job), true, &bytes, &err);
}

int fetch_layers(struct task *task, struct registry *registry, const struct oci_manifest *manifest,
	char *const *diff_ids, struct err **reterr)
{
	struct fetch fetch = { .task = task, .registry = registry };
	int r;

	fetch.layers = calloc(manifest->layer_count + 1, sizeof(*fetch.layers));
	if (!fetch.layers)
		return err_oom(reterr);
	r = run_all(&fetch, manifest, diff_ids, reterr);
	registry_stop(registry);
	for (size_t i = 0; i < fetch.count; i++) {
		let_go(&fetch.layers[i], r == -ENOSPC || fetch.layers[i].bad);
		err_free(fetch.layers[i].err);
	}
	if (r == -ENOSPC)
		give_space_back(&fetch);
	free(fetch.layers);
	return r;
}
