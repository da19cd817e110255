#include "base/io.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include <sys/random.h>
#include <sys/stat.h>

int io_write_full(int fd, const void *data, size_t len)
{
	const char *from = data;
	while (len) {
		ssize_t n = write(fd, from, len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		from += n;
		len -= (size_t)n;
	}
	return 0;
}

int io_read_full(int fd, void *data, size_t len)
{
	char *to = data;
	while (len) {
		ssize_t n = read(fd, to, len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return -ENODATA;
		to += n;
		len -= (size_t)n;
	}
	return 0;
}

int io_read_all(int fd, struct buf *buf)
{
	struct stat st;
	size_t step = 4096;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > 0 && (size_t)st.st_size < buf->max)
		step = (size_t)st.st_size + 1;
	for (;;) {
		/* A full buffer may still be the whole file: look for the end with a byte of our own. */
		if (buf->len == buf->max) {
			char extra;
			ssize_t n = read(fd, &extra, 1);
			return n < 0 ? -errno : n == 0 ? 0 : -EFBIG;
		}
		ssize_t n = buf_read(buf, fd, step);
		if (n <= 0)
			return (int)n;
	}
}

int io_read_file(int dirfd, const char *name, struct buf *buf)
{
	_autoclose_ int fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0)
		return -errno;
	return io_read_all(fd, buf);
}

int io_replace_file(int dirfd, const char *name, const void *data, size_t len, bool durable)
{
	char temp[NAME_MAX + 1];
	int n = snprintf(temp, sizeof temp, "%s.tmp", name);
	if (n < 0 || (size_t)n >= sizeof temp || strchr(name, '/'))
		return -EINVAL;

	_autoclose_ int fd = openat(dirfd, temp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -errno;
	int ret = io_write_full(fd, data, len);
	if (ret == 0 && durable && fsync(fd) < 0)
		ret = -errno;
	if (ret == 0 && renameat(dirfd, temp, dirfd, name) < 0)
		ret = -errno;
	if (ret < 0) {
		unlinkat(dirfd, temp, 0);
		return ret;
	}
	if (!durable)
		return 0;

	_autoclose_ int folder = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return folder < 0 || fsync(folder) < 0 ? -errno : 0;
}

int io_set_nonblock(int fd, bool on)
{
	int flags = fcntl(fd, F_GETFL);
	if (flags < 0)
		return -errno;
	return fcntl(fd, F_SETFL, on ? flags | O_NONBLOCK : flags & ~O_NONBLOCK) < 0 ? -errno : 0;
}

int io_reopen(int fd, int flags)
{
	char path[64];
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	int reopened = open(path, flags | O_CLOEXEC);
	return reopened < 0 ? -errno : reopened;
}

void io_random_hex(char *out, size_t bytes)
{
	unsigned char raw[64];
	assert(bytes <= sizeof raw);
	for (size_t got = 0; got < bytes;) {
		ssize_t n = getrandom(raw + got, bytes - got, 0);
		if (n > 0)
			got += (size_t)n;
	}
	for (size_t i = 0; i < bytes; i++) {
		out[2 * i] = "0123456789abcdef"[raw[i] >> 4];
		out[2 * i + 1] = "0123456789abcdef"[raw[i] & 15];
	}
	out[2 * bytes] = '\0';
}
