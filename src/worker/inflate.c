#include "worker/inflate.h"

#include <archive.h>
#include <errno.h>
#include <isa-l/igzip_lib.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zstd.h>
#include <zstd_errors.h>

#include "base/io.h"

#define IN_BYTES  (256 * 1024)
#define OUT_BYTES (256 * 1024)

/* zstd's own default for streams: 128 MiB. */
#define ZSTD_WINDOW_LOG_MAX 27

struct streams {
	int in_fd;
	int out_fd;
	unsigned char *in;
	unsigned char *out;
};

enum compression compression_detect(const void *data, size_t len)
{
	static const struct {
		enum compression compression;
		size_t len;
		unsigned char magic[COMPRESSION_MAGIC_BYTES];
	} magics[] = {
		{ COMPRESSION_GZIP, 3, { 0x1f, 0x8b, 0x08 } },
		{ COMPRESSION_ZSTD, 4, { 0x28, 0xb5, 0x2f, 0xfd } },
		{ COMPRESSION_XZ, 6, { 0xfd, '7', 'z', 'X', 'Z', 0x00 } },
		{ COMPRESSION_BZIP2, 3, { 'B', 'Z', 'h' } },
	};

	for (size_t i = 0; i < sizeof(magics) / sizeof(magics[0]); i++)
		if (len >= magics[i].len && memcmp(data, magics[i].magic, magics[i].len) == 0)
			return magics[i].compression;
	/* zstd frames to be skipped may stand first: 0x184D2A50 to 0x184D2A5F. */
	if (len >= 4 && (((const unsigned char *)data)[0] & 0xf0) == 0x50 &&
		memcmp((const char *)data + 1, "\x2a\x4d\x18", 3) == 0)
		return COMPRESSION_ZSTD;
	return COMPRESSION_NONE;
}

enum compression compression_of(int fd)
{
	char magic[COMPRESSION_MAGIC_BYTES];
	ssize_t n = pread(fd, magic, sizeof(magic), 0);

	return n > 0 ? compression_detect(magic, (size_t)n) : COMPRESSION_NONE;
}

const char *compression_name(enum compression compression)
{
	switch (compression) {
	case COMPRESSION_GZIP: return "gzip";
	case COMPRESSION_ZSTD: return "zstd";
	case COMPRESSION_XZ: return "xz";
	case COMPRESSION_BZIP2: return "bzip2";
	case COMPRESSION_NONE:
	default: return "none";
	}
}

static ssize_t read_some(const struct streams *streams)
{
	ssize_t n;

	do
		n = read(streams->in_fd, streams->in, IN_BYTES);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

static int copy_stream(const struct streams *streams)
{
	for (;;) {
		ssize_t n = read_some(streams);
		int r;

		if (n <= 0)
			return (int)n;
		r = io_write_full(streams->out_fd, streams->in, (size_t)n);
		if (r < 0)
			return r;
	}
}

/* ---- gzip */

/* A member's end: another may follow, or zeros that fill a block, or the end. */
struct gzip {
	struct inflate_state state;
	bool in_member;
	bool padding;
	bool any;
};

/* Skips padding; returns -EBADMSG for anything else after the last member. */
static int gzip_between(struct gzip *gzip)
{
	while (gzip->state.avail_in > 0 && *gzip->state.next_in == 0 && gzip->any) {
		gzip->padding = true;
		gzip->state.next_in++;
		gzip->state.avail_in--;
	}
	if (gzip->state.avail_in == 0)
		return 0;
	if (gzip->padding)
		return -EBADMSG;
	isal_inflate_reset(&gzip->state);
	gzip->state.crc_flag = ISAL_GZIP;
	gzip->in_member = true;
	return 0;
}

static int gzip_inflate(struct gzip *gzip, const struct streams *streams)
{
	int r;

	do {
		gzip->state.next_out = streams->out;
		gzip->state.avail_out = OUT_BYTES;
		if (isal_inflate(&gzip->state) != ISAL_DECOMP_OK)
			return -EBADMSG;
		r = io_write_full(streams->out_fd, streams->out, OUT_BYTES - gzip->state.avail_out);
		if (r < 0)
			return r;
		if (gzip->state.block_state == ISAL_BLOCK_FINISH) {
			gzip->in_member = false;
			gzip->any = true;
			return 0;
		}
	} while (gzip->state.avail_in > 0 || gzip->state.avail_out == 0);
	return 0;
}

static int gzip_stream(const struct streams *streams)
{
	struct gzip *gzip = calloc(1, sizeof(*gzip));
	int r = gzip ? 0 : -ENOMEM;

	if (r == 0)
		isal_inflate_init(&gzip->state);
	while (r == 0) {
		ssize_t n = read_some(streams);

		if (n <= 0) {
			r = n < 0 ? (int)n : gzip->in_member || !gzip->any ? -ENODATA : 0;
			break;
		}
		gzip->state.next_in = streams->in;
		gzip->state.avail_in = (uint32_t)n;
		while (r == 0 && gzip->state.avail_in > 0) {
			if (!gzip->in_member)
				r = gzip_between(gzip);
			if (r == 0 && gzip->in_member)
				r = gzip_inflate(gzip, streams);
		}
	}
	free(gzip);
	return r;
}

/* ---- zstd */

static int zstd_inflate(ZSTD_DStream *context, const struct streams *streams, size_t len, size_t *ret_left)
{
	ZSTD_inBuffer in = { streams->in, len, 0 };
	ZSTD_outBuffer out;

	do {
		int r;

		out = (ZSTD_outBuffer){ streams->out, OUT_BYTES, 0 };
		*ret_left = ZSTD_decompressStream(context, &out, &in);
		if (ZSTD_isError(*ret_left))
			return ZSTD_getErrorCode(*ret_left) == ZSTD_error_frameParameter_windowTooLarge ? -ENOMEM
													: -EBADMSG;
		r = io_write_full(streams->out_fd, streams->out, out.pos);
		if (r < 0)
			return r;
	} while (in.pos < in.size || out.pos == out.size);
	return 0;
}

static int zstd_stream(const struct streams *streams)
{
	ZSTD_DStream *context = ZSTD_createDStream();
	size_t left = 1;
	int r = context ? 0 : -ENOMEM;

	if (r == 0 && ZSTD_isError(ZSTD_DCtx_setParameter(context, ZSTD_d_windowLogMax, ZSTD_WINDOW_LOG_MAX)))
		r = -EINVAL;
	while (r == 0) {
		ssize_t n = read_some(streams);

		if (n <= 0) {
			r = n < 0 ? (int)n : left > 0 ? -ENODATA : 0;
			break;
		}
		r = zstd_inflate(context, streams, (size_t)n, &left);
	}
	ZSTD_freeDStream(context);
	return r;
}

/* ---- xz, bzip2 */

static int archive_copy(struct archive *archive, const struct streams *streams)
{
	struct archive_entry *entry;
	int r = archive_read_next_header(archive, &entry);

	if (r == ARCHIVE_EOF)
		return -ENODATA;
	if (r != ARCHIVE_OK)
		return -EBADMSG;
	for (;;) {
		ssize_t n = archive_read_data(archive, streams->out, OUT_BYTES);

		if (n < 0)
			return archive_errno(archive) == ENOMEM ? -ENOMEM : -EBADMSG;
		if (n == 0)
			return 0;
		r = io_write_full(streams->out_fd, streams->out, (size_t)n);
		if (r < 0)
			return r;
	}
}

static int archive_stream(enum compression compression, const struct streams *streams)
{
	struct archive *archive = archive_read_new();
	int r;

	if (!archive)
		return -ENOMEM;
	archive_read_support_format_raw(archive);
	if (compression == COMPRESSION_XZ)
		archive_read_support_filter_xz(archive);
	else
		archive_read_support_filter_bzip2(archive);
	r = archive_read_open_fd(archive, streams->in_fd, IN_BYTES) == ARCHIVE_OK ? 0 : -EBADMSG;
	/* The bidder may not take the stream for what its first bytes say, and pass it through. */
	if (r == 0 && archive_filter_count(archive) < 2)
		r = -EBADMSG;
	if (r == 0)
		r = archive_copy(archive, streams);
	archive_read_free(archive);
	return r;
}

int inflate_stream(enum compression compression, int in_fd, int out_fd)
{
	struct streams streams = { .in_fd = in_fd, .out_fd = out_fd, .in = malloc(IN_BYTES), .out = malloc(OUT_BYTES) };
	int r = streams.in && streams.out ? 0 : -ENOMEM;

	if (r == 0)
		switch (compression) {
		case COMPRESSION_GZIP: r = gzip_stream(&streams); break;
		case COMPRESSION_ZSTD: r = zstd_stream(&streams); break;
		case COMPRESSION_XZ:
		case COMPRESSION_BZIP2: r = archive_stream(compression, &streams); break;
		case COMPRESSION_NONE:
		default: r = copy_stream(&streams);
		}
	free(streams.in);
	free(streams.out);
	return r;
}
