#include "store/partial.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/file.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/strv.h"
#include "store/handle.h"
#include "store/trash.h"

#define ETAG_XATTR "trusted.tare.etag"
#define OPEN_TRIES 100

/* ---- one */

/* Whoever had the lock before may have taken the name away, and there may be a new file of that name. */
static bool is_named(const struct store *store, int fd, const char *name)
{
	struct stat held, named;

	return fstat(fd, &held) == 0 && fstatat(store->partial_fd, name, &named, AT_SYMLINK_NOFOLLOW) == 0 &&
	       held.st_dev == named.st_dev && held.st_ino == named.st_ino;
}

/* Nothing but a file that has this name and no other: one that became a blob must not be written to. */
static bool is_fit(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_nlink == 1;
}

static int open_once(const struct store *store, const char *name, int *ret_fd)
{
	_autoclose_ int fd = openat(store->partial_fd, name,
		O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0600);

	if (fd < 0)
		return -errno;
	if (flock(fd, LOCK_EX | LOCK_NB) < 0)
		return -errno;
	if (!is_named(store, fd, name))
		return -EAGAIN;
	if (!is_fit(fd))
		return unlinkat(store->partial_fd, name, 0) < 0 ? -errno : -ESTALE;
	*ret_fd = TAKE_FD(fd);
	return 0;
}

int partial_open(struct store *store, const char *digest, struct partial *ret, struct err **reterr)
{
	int r = -ESTALE;

	*ret = (struct partial){ .fd = -1, .store = store };
	snprintf(ret->digest, sizeof(ret->digest), "%s", digest);
	for (int i = 0; i < OPEN_TRIES && r == -ESTALE; i++) {
		r = open_once(store, store_digest_hex(digest), &ret->fd);
		if (r == -EWOULDBLOCK)
			return r;
	}
	return r < 0 ? err_errno(reterr, r, "cannot keep the download of %s", digest) : 0;
}

int partial_close(struct partial *partial, bool remove)
{
	struct stat st;
	int r = 0;

	if (partial->fd < 0)
		return 0;
	if ((remove || fstat(partial->fd, &st) < 0 || st.st_size < PARTIAL_BYTES_MIN) &&
		unlinkat(partial->store->partial_fd, store_digest_hex(partial->digest), 0) < 0)
		r = -errno;
	fd_close(&partial->fd);
	return r;
}

void partial_set_etag(const struct partial *partial, const char *etag)
{
	(void)fsetxattr(partial->fd, ETAG_XATTR, etag, strlen(etag), 0);
}

void partial_etag(const struct partial *partial, char ret[static PARTIAL_ETAG_SIZE])
{
	ssize_t n = fgetxattr(partial->fd, ETAG_XATTR, ret, PARTIAL_ETAG_SIZE - 1);

	ret[n > 0 ? n : 0] = '\0';
}

/* ---- all of them */

struct kept {
	const char *name; /* NULL: gone */
	int64_t size_bytes;
	time_t written_s;
};

/* With its lock held, so that nobody is in the middle of taking it over. */
static int expire(struct store *store, const char *name, int64_t *bytes, struct err **reterr)
{
	_autoclose_ int fd = openat(store->partial_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	struct stat st;

	if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) < 0)
		return 0;
	if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
		*bytes += st.st_size;
	return store_trash(store, store->partial_fd, name, reterr);
}

/* What is no file of ours, or of another time, is of no use. */
static bool is_kept(const struct store *store, const char *name, time_t now, struct kept *ret)
{
	struct stat st;

	if (fstatat(store->partial_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(st.st_mode))
		return false;
	*ret = (struct kept){ .name = name, .size_bytes = st.st_size, .written_s = st.st_mtime };
	return st.st_size >= PARTIAL_BYTES_MIN && st.st_nlink == 1 && st.st_mtime <= now + PARTIAL_KEEP_S &&
	       st.st_mtime >= now - PARTIAL_KEEP_S;
}

static int newest_first(const void *a, const void *b)
{
	const struct kept *one = a, *other = b;

	return (one->written_s < other->written_s) - (one->written_s > other->written_s);
}

static int expire_beyond(struct store *store, struct kept *kept, size_t count, int64_t *bytes, struct err **reterr)
{
	int64_t total = 0;
	int r = 0;

	qsort(kept, count, sizeof(*kept), newest_first);
	for (size_t i = 0; r == 0 && i < count; i++) {
		total += kept[i].size_bytes;
		if (total > PARTIAL_BYTES_MAX)
			r = expire(store, kept[i].name, bytes, reterr);
	}
	return r;
}

bool partials_exist(const struct store *store)
{
	_autofree_(strv) char **names = NULL;

	return store_list_names(store->partial_fd, &names, NULL) == 0 && names && *names;
}

int partials_expire(struct store *store, bool all, int64_t *ret_bytes, struct err **reterr)
{
	_autofree_(strv) char **names = NULL;
	_cleanup_free_ struct kept *kept = NULL;
	time_t now = (time_t)(clock_realtime_ns() / 1000000000);
	size_t count = 0;
	int r = store_list_names(store->partial_fd, &names, reterr);

	*ret_bytes = 0;
	if (r < 0)
		return r;
	kept = calloc(strv_count(names) + 1, sizeof(*kept));
	if (!kept)
		return err_oom(reterr);
	strv_foreach (name, names) {
		if (!all && is_kept(store, *name, now, &kept[count]))
			count++;
		else
			r = expire(store, *name, ret_bytes, reterr);
		if (r < 0)
			return r;
	}
	return expire_beyond(store, kept, count, ret_bytes, reterr);
}
