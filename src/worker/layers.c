#include "worker/layers.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "worker/inflate.h"

#define LAYER_FOLDER      "layer"
#define LAYER_ROOT_MODE   0755
#define BUSY_WAIT_MS      20
#define PROGRESS_EVERY_MS 100
#define SHORT_ID_LENGTH   12

struct progress {
	struct task *task;
	const char *label; /* NULL: none is told */
	const char *status;
	int64_t told_ms;
};

static void tell_progress(int64_t bytes, void *data)
{
	struct progress *progress = data;
	int64_t now = clock_monotonic_ms();

	if (!progress->label || progress->task->quiet || now - progress->told_ms < PROGRESS_EVERY_MS)
		return;
	progress->told_ms = now;
	client_tell(progress->task->client,
		json_pack("{s:s, s:{s:I}, s:s}", "status", progress->status, "progressDetail", "current",
			(json_int_t)bytes, "id", progress->label));
}

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

static int unpack_into(struct task *task, const char *name, int file_fd, bool needs_end_marker,
	struct progress *progress, struct unpacked *ret, struct err **reterr)
{
	_autoclose_ int folder_fd = task_folder(task, name, LAYER_ROOT_MODE);
	struct unpack unpack_layer = {
		.file_fd = file_fd,
		.client = task->client,
		.folder_fd = folder_fd,
		.empty_fd = task->empty_fd,
		.options = { .mode = EXTRACT_LAYER, .entries_max = LIMIT_ENTRIES },
		.needs_end_marker = needs_end_marker,
		.progress = tell_progress,
		.progress_data = progress,
	};

	if (folder_fd < 0)
		return err_errno(reterr, folder_fd, "cannot make a folder for the layer");
	return unpack(&unpack_layer, ret, reterr);
}

int layer_unpack(struct task *task, const char *name, int file_fd, bool needs_end_marker, const char *label,
	struct unpacked *ret, struct err **reterr)
{
	struct progress progress = { .task = task, .label = label, .status = "Loading layer" };
	return unpack_into(task, name, file_fd, needs_end_marker, &progress, ret, reterr);
}

static bool is_compressed(int fd)
{
	char magic[COMPRESSION_MAGIC_BYTES];
	ssize_t n = pread(fd, magic, sizeof(magic), 0);

	return n > 0 && compression_detect(magic, (size_t)n) != COMPRESSION_NONE;
}

/* The digest of the file as it is. An uncompressed one has the same as its content: then unpacking tells it. */
static int check_digest(const struct layer_file *file, char ret[static STORE_DIGEST_SIZE], struct err **reterr)
{
	int64_t size = lseek(file->fd, 0, SEEK_END);
	int r;

	*ret = '\0';
	if (file->size_bytes >= 0 && size != file->size_bytes)
		return err_set(reterr, ERR_INVALID, EBADMSG, "layer %s is of %lld bytes and not of %lld", file->diff_id,
			(long long)size, (long long)file->size_bytes);
	if (!is_compressed(file->fd)) {
		if (file->digest && strcmp(file->digest, file->diff_id) != 0)
			return err_set(reterr, ERR_INVALID, EBADMSG, "layer %s is not what its digest %s says",
				file->diff_id, file->digest);
		return 0;
	}
	r = file_digest(file->fd, ret, NULL, reterr);
	if (r < 0)
		return r;
	if (file->digest && strcmp(file->digest, ret) != 0)
		return err_set(reterr, ERR_INVALID, EBADMSG, "layer %s is corrupt: its content's digest is %s",
			file->digest, ret);
	return 0;
}

/* `digest` is of the file as it is; "": the same as of its content. */
static int place(struct task *task, const struct layer_file *file, const char *digest, struct progress *progress,
	struct err **reterr)
{
	struct layer_content content = { .folder = LAYER_FOLDER };
	struct unpacked unpacked;
	int r = unpack_into(task, LAYER_FOLDER, file->fd, false, progress, &unpacked, reterr);

	if (r < 0)
		return err_wrap(reterr, r, "cannot unpack layer %s", progress->label);
	if (strcmp(unpacked.diff_id, file->diff_id) != 0)
		return err_set(reterr, ERR_INVALID, EBADMSG, "layer %s is corrupt: its content has the diff ID %s",
			file->diff_id, unpacked.diff_id);
	content.size_bytes = unpacked.size_bytes;
	content.opaque_root = unpacked.opaque_root;
	content.blob_fd = file->link_fd >= 0 ? file->link_fd : file->fd;
	content.blob_digest = *digest ? digest : unpacked.diff_id;
	content.blob_size_bytes = lseek(file->fd, 0, SEEK_END);
	return layer_commit(task->job, file->diff_id, &content, reterr);
}

static int make_layer(struct task *task, const struct layer_file *file, struct err **reterr)
{
	char digest[STORE_DIGEST_SIZE], label[SHORT_ID_LENGTH + 1];
	struct progress progress = { .task = task, .label = label, .status = "Loading layer" };
	int r = check_digest(file, digest, reterr);

	snprintf(label, sizeof(label), "%s", strchr(file->diff_id, ':') + 1);
	return r < 0 ? r : place(task, file, digest, &progress, reterr);
}

int layer_obtain(struct task *task, const struct layer_file *file, struct err **reterr)
{
	enum layer_claim claim;
	int r = layer_claim_waiting(task, file->diff_id, &claim, reterr);

	return r < 0 || claim == LAYER_READY ? r : make_layer(task, file, reterr);
}

/* The claim is made after unpacking, and what is there already makes the work void. */
int layer_add(struct task *task, int fd, int link_fd, char ret_diff_id[static STORE_DIGEST_SIZE], struct err **reterr)
{
	char digest[STORE_DIGEST_SIZE] = "";
	struct layer_content content = { .folder = LAYER_FOLDER, .blob_digest = digest, .blob_fd = link_fd };
	struct unpacked unpacked;
	enum layer_claim claim;
	int r = is_compressed(fd) ? file_digest(fd, digest, NULL, reterr) : 0;

	if (r >= 0)
		r = layer_unpack(task, LAYER_FOLDER, fd, true, NULL, &unpacked, reterr);
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
