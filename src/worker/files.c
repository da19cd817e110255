#include "worker/files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include <sys/stat.h>

#include "base/io.h"
#include "codec/sha256.h"
#include "store/image.h"
#include "sys/inroot.h"

#define BLOB_PATH_SIZE 96

int archive_file_open(int archive_fd, const char *path, struct err **reterr)
{
	_autoclose_ int fd = inroot_open(archive_fd, path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
	struct stat st;

	if (fd == -ENOENT)
		return err_set(reterr, ERR_INVALID, ENOENT, "the archive has no file %s", path);
	if (fd < 0)
		return err_errno(reterr, fd, "cannot open %s in the archive", path);
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return err_set(reterr, ERR_INVALID, 0, "%s in the archive is no regular file", path);
	return TAKE_FD(fd);
}

int archive_file_read(int archive_fd, const char *path, struct buf *out, struct err **reterr)
{
	_autoclose_ int fd = archive_file_open(archive_fd, path, reterr);
	int r;

	if (fd < 0)
		return fd;
	r = io_read_all(fd, out);
	if (r == -EFBIG)
		return err_set(reterr, ERR_TOO_LARGE, EFBIG, "%s in the archive is larger than %zu bytes", path,
			out->max);
	return r < 0 ? err_errno(reterr, r, "cannot read %s in the archive", path) : 0;
}

bool archive_file_exists(int archive_fd, const char *path)
{
	_autoclose_ int fd = inroot_open(archive_fd, path, O_PATH);

	return fd >= 0;
}

static void blob_path(const char *digest, char path[static BLOB_PATH_SIZE])
{
	snprintf(path, BLOB_PATH_SIZE, "blobs/sha256/%s", strchr(digest, ':') + 1);
}

int archive_blob_open(int archive_fd, const char *digest, struct err **reterr)
{
	char path[BLOB_PATH_SIZE];

	blob_path(digest, path);
	return archive_file_open(archive_fd, path, reterr);
}

int archive_blob_read(int archive_fd, const char *digest, int64_t size, struct buf *out, struct err **reterr)
{
	_autofree_(sha256) struct sha256 *hash = sha256_new();
	char path[BLOB_PATH_SIZE], found[STORE_DIGEST_SIZE];
	int r;

	if (!hash)
		return err_oom(reterr);
	blob_path(digest, path);
	r = archive_file_read(archive_fd, path, out, reterr);
	if (r < 0)
		return r;
	sha256_update(hash, out->data, out->len);
	sha256_digest(hash, found);
	if (strcmp(found, digest) != 0)
		return err_set(reterr, ERR_INVALID, EBADMSG, "%s is corrupt: its content's digest is %s", digest,
			found);
	if (size >= 0 && (uint64_t)size != out->len)
		return err_set(reterr, ERR_INVALID, EBADMSG, "%s is of %zu bytes and not of %lld", digest, out->len,
			(long long)size);
	return 0;
}
