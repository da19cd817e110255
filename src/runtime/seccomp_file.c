#include "runtime/seccomp_file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/stat.h>

#include "base/cleanup.h"

int seccomp_file_write(const struct sock_filter *program, size_t count, unsigned filter_flags, const char *request,
	size_t request_len, struct buf *out)
{
	struct seccomp_file_header header = {
		.filter_flags = filter_flags, .instruction_count = (uint32_t)count, .request_len = request_len
	};

	if (count == 0 || count > SECCOMP_INSTRUCTIONS_MAX || request_len > SECCOMP_REQUEST_MAX)
		return -EFBIG;
	memcpy(header.magic, SECCOMP_FILE_MAGIC, sizeof(header.magic));
	int r = buf_append(out, &header, sizeof(header));
	if (r == 0)
		r = buf_append(out, program, count * sizeof(*program));
	return r < 0 ? r : buf_append(out, request, request_len);
}

static int read_at(int fd, void *data, size_t len, size_t offset)
{
	ssize_t count = pread(fd, data, len, (off_t)offset);

	if (count < 0)
		return -errno;
	return (size_t)count == len ? 0 : -EINVAL;
}

static int read_header(int fd, struct seccomp_file_header *header)
{
	struct stat st;
	int r = read_at(fd, header, sizeof(*header), 0);

	if (r < 0)
		return r;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (memcmp(header->magic, SECCOMP_FILE_MAGIC, sizeof(header->magic)) != 0 || header->instruction_count == 0 ||
		header->instruction_count > SECCOMP_INSTRUCTIONS_MAX || header->request_len > SECCOMP_REQUEST_MAX)
		return -EINVAL;
	size_t size = sizeof(*header) + header->instruction_count * sizeof(struct sock_filter) + header->request_len;
	return (size_t)st.st_size == size ? 0 : -EINVAL;
}

int seccomp_file_read(int fd, struct seccomp_file_header *header, struct sock_filter **ret_program)
{
	int r = read_header(fd, header);

	if (r < 0)
		return r;
	size_t len = header->instruction_count * sizeof(struct sock_filter);
	_cleanup_free_ struct sock_filter *program = malloc(len);
	if (!program)
		return -ENOMEM;
	r = read_at(fd, program, len, sizeof(*header));
	if (r == 0)
		*ret_program = TAKE(program);
	return r;
}

int seccomp_file_is_of(int fd, const char *request, size_t request_len)
{
	struct seccomp_file_header header;
	int r = read_header(fd, &header);

	if (r < 0)
		return r;
	if (header.request_len != request_len)
		return 0;
	_cleanup_free_ char *text = malloc(request_len + 1);
	if (!text)
		return -ENOMEM;
	r = read_at(fd, text, request_len, sizeof(header) + header.instruction_count * sizeof(struct sock_filter));
	return r < 0 ? r : memcmp(text, request, request_len) == 0;
}
