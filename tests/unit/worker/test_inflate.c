#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zstd.h>

#include <sys/mman.h>

#include "../unit.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/io.h"
#include "worker/inflate.h"

#define PLAIN_BYTES 300000

static const enum compression all[] = { COMPRESSION_GZIP, COMPRESSION_ZSTD, COMPRESSION_XZ, COMPRESSION_BZIP2 };

static char *plain_data(void)
{
	char *data = malloc(PLAIN_BYTES);

	for (unsigned i = 0; i < PLAIN_BYTES; i++)
		data[i] = (char)((i * 7919 + i / 251) % 61);
	return data;
}

/* By libarchive's own programs' way: a raw entry through a filter. */
static size_t compress(enum compression compression, const char *plain, char *out, size_t size)
{
	struct archive *archive = archive_write_new();
	struct archive_entry *entry = archive_entry_new();
	size_t used = 0;

	archive_write_set_format_raw(archive);
	archive_write_set_bytes_per_block(archive, 0);
	if (compression == COMPRESSION_GZIP)
		archive_write_add_filter_gzip(archive);
	else if (compression == COMPRESSION_ZSTD)
		archive_write_add_filter_zstd(archive);
	else if (compression == COMPRESSION_XZ)
		archive_write_add_filter_xz(archive);
	else
		archive_write_add_filter_bzip2(archive);
	assert_int_equal(archive_write_open_memory(archive, out, size, &used), ARCHIVE_OK);
	archive_entry_set_filetype(entry, AE_IFREG);
	archive_entry_set_pathname(entry, "x");
	assert_int_equal(archive_write_header(archive, entry), ARCHIVE_OK);
	assert_int_equal(archive_write_data(archive, plain, PLAIN_BYTES), PLAIN_BYTES);
	archive_write_close(archive);
	archive_entry_free(entry);
	archive_write_free(archive);
	return used;
}

static int inflate(enum compression compression, const char *data, size_t len, struct buf *out)
{
	int in_fd = memfd_create("in", MFD_CLOEXEC), out_fd = memfd_create("out", MFD_CLOEXEC), r;

	assert_int_equal(io_write_full(in_fd, data, len), 0);
	lseek(in_fd, 0, SEEK_SET);
	r = inflate_stream(compression, in_fd, out_fd);
	lseek(out_fd, 0, SEEK_SET);
	assert_int_equal(io_read_all(out_fd, out), 0);
	close(in_fd);
	close(out_fd);
	return r;
}

static void each_is_known_and_inflated(void **state)
{
	_cleanup_free_ char *plain = plain_data(), *packed = malloc(2 * PLAIN_BYTES);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		_cleanup_(buf_finish) struct buf out = BUF_INIT(10 * PLAIN_BYTES);
		size_t len = compress(all[i], plain, packed, 2 * PLAIN_BYTES);

		assert_int_equal(compression_detect(packed, len), all[i]);
		assert_int_equal(inflate(all[i], packed, len, &out), 0);
		assert_int_equal(out.len, PLAIN_BYTES);
		assert_memory_equal(out.data, plain, PLAIN_BYTES);
		/* Two in a row are one stream. */
		if (2 * len > 2 * PLAIN_BYTES)
			continue;
		memcpy(packed + len, packed, len);
		buf_reset(&out);
		assert_int_equal(inflate(all[i], packed, 2 * len, &out), 0);
		assert_int_equal(out.len, 2 * PLAIN_BYTES);
	}
}

static void every_cut_is_noticed(void **state)
{
	_cleanup_free_ char *plain = plain_data(), *packed = malloc(2 * PLAIN_BYTES);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		size_t len = compress(all[i], plain, packed, 2 * PLAIN_BYTES);

		for (size_t cut = 6; cut < len; cut += cut < 64 || len - cut < 64 ? 1 : 997) {
			_cleanup_(buf_finish) struct buf out = BUF_INIT(10 * PLAIN_BYTES);
			int r = inflate(all[i], packed, cut, &out);

			assert_true(r == -ENODATA || r == -EBADMSG);
		}
	}
}

static void flipped_bits_are_noticed(void **state)
{
	_cleanup_free_ char *plain = plain_data(), *packed = malloc(2 * PLAIN_BYTES);
	size_t len = compress(COMPRESSION_GZIP, plain, packed, 2 * PLAIN_BYTES);

	(void)state;
	/* Behind the header, whose time and flags mean nothing to the content. */
	for (size_t at = 10; at < len; at += 211) {
		_cleanup_(buf_finish) struct buf out = BUF_INIT(1000 * PLAIN_BYTES);

		packed[at] ^= 0x10;
		assert_true(inflate(COMPRESSION_GZIP, packed, len, &out) < 0);
		packed[at] ^= 0x10;
	}
}

static void padding_is_fine_and_garbage_is_not(void **state)
{
	_cleanup_free_ char *plain = plain_data(), *packed = calloc(2, PLAIN_BYTES);
	_cleanup_(buf_finish) struct buf out = BUF_INIT(10 * PLAIN_BYTES);
	size_t len = compress(COMPRESSION_GZIP, plain, packed, PLAIN_BYTES);

	(void)state;
	memset(packed + len, 0, 1024);
	assert_int_equal(inflate(COMPRESSION_GZIP, packed, len + 512, &out), 0);
	packed[len + 100] = 'x';
	assert_int_equal(inflate(COMPRESSION_GZIP, packed, len + 512, &out), -EBADMSG);
}

static void huge_windows_are_refused(void **state)
{
	/* A zstd frame header that asks for a window of 2 GiB. */
	static const char frame[] = "\x28\xb5\x2f\xfd\x00\xa8\x01\x00\x00";
	_cleanup_(buf_finish) struct buf out = BUF_INIT(1024);

	(void)state;
	assert_int_equal(inflate(COMPRESSION_ZSTD, frame, sizeof(frame) - 1, &out), -ENOMEM);
}

static void other_data_is_none(void **state)
{
	(void)state;
	assert_int_equal(compression_detect("", 0), COMPRESSION_NONE);
	assert_int_equal(compression_detect("\x1f\x8b", 2), COMPRESSION_NONE);
	assert_int_equal(compression_detect("BZ", 2), COMPRESSION_NONE);
	assert_int_equal(compression_detect("./\0\0\0\0", 6), COMPRESSION_NONE);
	assert_int_equal(compression_detect("\x50\x2a\x4d\x18", 4), COMPRESSION_ZSTD);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_is_known_and_inflated),
		cmocka_unit_test(every_cut_is_noticed),
		cmocka_unit_test(flipped_bits_are_noticed),
		cmocka_unit_test(padding_is_fine_and_garbage_is_not),
		cmocka_unit_test(huge_windows_are_refused),
		cmocka_unit_test(other_data_is_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
