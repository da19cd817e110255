#include "worker/push_source.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "worker/confine.h"
#include "worker/deflate.h"

#define PIPE_BYTES (1024 * 1024)
#define SKIP_BYTES (256 * 1024)

/* ---- children */

static int inflate_main(void *data)
{
	const enum compression *compression = data;

	return inflate_stream(*compression, 0, 1) < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

static int deflate_main(void *data)
{
	(void)data;
	return deflate_stream(0, 1) < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* A child that reads `in_fd`; *ret_fd is where its output comes from. */
static int start(struct push_source *source, confine_fn *run, int in_fd, pid_t *ret_pid, int *ret_fd)
{
	int fds[2];

	if (pipe2(fds, O_CLOEXEC) < 0)
		return -errno;
	/* Larger if the user's share of pipe memory allows. */
	(void)fcntl(fds[1], F_SETPIPE_SZ, PIPE_BYTES);
	struct confine confine = {
		.root_fd = source->empty_fd,
		.fds = { in_fd, fds[1], -1 },
		.run = run,
		.data = &source->compression,
	};
	pid_t pid = confine_start(&confine);
	fd_close(&fds[1]);
	if (pid < 0) {
		fd_close(&fds[0]);
		return pid;
	}
	*ret_pid = pid;
	*ret_fd = fds[0];
	return 0;
}

static void stop(struct push_source *source)
{
	if (source->inflater > 0)
		confine_kill(source->inflater);
	if (source->deflater > 0)
		confine_kill(source->deflater);
	source->inflater = source->deflater = -1;
	fd_close(&source->pipe_fd);
}

/* The blob's position is shared with the first child: that is how progress is seen. */
static int start_all(struct push_source *source)
{
	_autoclose_ int plain_fd = -1;
	int r = lseek(source->blob_fd, 0, SEEK_SET) < 0 ? -errno : 0;

	if (r == 0 && source->compression != COMPRESSION_NONE)
		r = start(source, inflate_main, source->blob_fd, &source->inflater, &plain_fd);
	if (r == 0)
		r = start(source, deflate_main, plain_fd >= 0 ? plain_fd : source->blob_fd, &source->deflater,
			&source->pipe_fd);
	if (r == 0)
		r = io_set_nonblock(source->pipe_fd, true);
	if (r < 0)
		stop(source);
	return r;
}

/* A stream that only looks whole is none. */
static int check_ended(struct push_source *source)
{
	int inflated = source->inflater > 0 ? confine_wait(source->inflater) : 0;
	int deflated = confine_wait(source->deflater);

	source->inflater = source->deflater = -1;
	source->ended = true;
	return inflated == 0 && deflated == 0 ? 0 : -EIO;
}

/* ---- */

int push_source_open(struct store *store, const struct layer_blob *blob, int empty_fd, struct push_source *ret,
	struct err **reterr)
{
	char magic[COMPRESSION_MAGIC_BYTES];
	ssize_t n;

	*ret = (struct push_source){
		.blob_fd = -1, .pipe_fd = -1, .empty_fd = empty_fd, .inflater = -1, .deflater = -1
	};
	int r = store_blob_open(store, blob, &ret->blob_fd, reterr);
	if (r < 0)
		return r;
	n = pread(ret->blob_fd, magic, sizeof(magic), 0);
	if (n < 0)
		return err_errno(reterr, -errno, "cannot read blob %s", blob->digest);
	ret->blob_bytes = blob->size_bytes;
	ret->compression = compression_detect(magic, (size_t)n);
	ret->compresses = ret->compression != COMPRESSION_GZIP && ret->compression != COMPRESSION_ZSTD;
	snprintf(ret->digest, sizeof(ret->digest), "%s", ret->compresses ? "" : blob->digest);
	if (ret->compresses && !(ret->hash = sha256_new()))
		return err_oom(reterr);
	return 0;
}

void push_source_finish(struct push_source *source)
{
	stop(source);
	fd_close(&source->blob_fd);
	sha256_free(source->hash);
	source->hash = NULL;
}

static void count(struct push_source *source, const void *data, size_t len)
{
	int64_t end = source->position + (int64_t)len;

	if (end > source->hashed) {
		size_t fresh = (size_t)(end - source->hashed);
		sha256_update(source->hash, (const char *)data + (len - fresh), fresh);
		source->hashed = end;
	}
	source->position = end;
}

/* Throws away what was given before. 0 when that is done. */
static int skip(struct push_source *source)
{
	_cleanup_free_ char *data = source->skip > 0 ? malloc(SKIP_BYTES) : NULL;

	if (source->skip > 0 && !data)
		return -ENOMEM;
	while (source->skip > 0) {
		size_t want = source->skip < SKIP_BYTES ? (size_t)source->skip : SKIP_BYTES;
		ssize_t n = read(source->pipe_fd, data, want);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		source->skip -= n;
	}
	return 0;
}

static ssize_t read_compressed(struct push_source *source, void *data, size_t len)
{
	int r = 0;

	if (source->pipe_fd < 0)
		r = start_all(source);
	if (r == 0)
		r = skip(source);
	if (r < 0 || source->ended)
		return r;
	ssize_t n;
	do
		n = read(source->pipe_fd, data, len);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	if (n == 0)
		return check_ended(source);
	count(source, data, (size_t)n);
	return n;
}

ssize_t push_source_read(struct push_source *source, void *data, size_t len)
{
	if (source->compresses)
		return read_compressed(source, data, len);
	ssize_t n = pread(source->blob_fd, data, len, source->position);
	if (n > 0)
		source->position += n;
	return n < 0 ? -errno : n;
}

int push_source_seek(struct push_source *source, int64_t offset)
{
	source->position = offset;
	if (!source->compresses)
		return 0;
	stop(source);
	source->ended = false;
	source->skip = offset;
	return 0;
}

int push_source_fd(const struct push_source *source)
{
	return source->pipe_fd;
}

const char *push_source_digest(struct push_source *source)
{
	if (!*source->digest)
		sha256_digest(source->hash, source->digest);
	return source->digest;
}

int64_t push_source_progress(const struct push_source *source)
{
	return source->compresses ? lseek(source->blob_fd, 0, SEEK_CUR) : source->position;
}
