#include "worker/deflate.h"

#include <errno.h>
#include <isa-l/igzip_lib.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/io.h"

#define IN_BYTES  (256 * 1024)
#define OUT_BYTES (256 * 1024)

struct deflate {
	struct isal_zstream stream;
	uint8_t level[ISAL_DEF_LVL1_DEFAULT];
	uint8_t in[IN_BYTES];
	uint8_t out[OUT_BYTES];
};

/* As much as there is room for: what comes out must not depend on how a pipe was filled. */
static ssize_t fill(int fd, uint8_t *data)
{
	size_t have = 0;

	while (have < IN_BYTES) {
		ssize_t n = read(fd, data + have, IN_BYTES - have);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		have += (size_t)n;
	}
	return (ssize_t)have;
}

static int squeeze(struct deflate *deflate, int out_fd)
{
	do {
		deflate->stream.next_out = deflate->out;
		deflate->stream.avail_out = OUT_BYTES;
		if (isal_deflate(&deflate->stream) != COMP_OK)
			return -EIO;
		int r = io_write_full(out_fd, deflate->out, OUT_BYTES - deflate->stream.avail_out);
		if (r < 0)
			return r;
	} while (deflate->stream.avail_out == 0);
	return 0;
}

int deflate_stream(int in_fd, int out_fd)
{
	struct deflate *deflate = calloc(1, sizeof(*deflate));
	int r = deflate ? 0 : -ENOMEM;

	if (r == 0) {
		isal_deflate_init(&deflate->stream);
		deflate->stream.level = 1;
		deflate->stream.level_buf = deflate->level;
		deflate->stream.level_buf_size = sizeof(deflate->level);
		deflate->stream.gzip_flag = IGZIP_GZIP;
	}
	while (r == 0 && !deflate->stream.end_of_stream) {
		ssize_t n = fill(in_fd, deflate->in);
		if (n < 0) {
			r = (int)n;
			break;
		}
		deflate->stream.next_in = deflate->in;
		deflate->stream.avail_in = (uint32_t)n;
		deflate->stream.end_of_stream = n < IN_BYTES;
		r = squeeze(deflate, out_fd);
	}
	free(deflate);
	return r;
}
