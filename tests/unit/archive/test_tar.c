#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <locale.h>
#include <stdio.h>
#include <string.h>

#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "../unit.h"
#include "archive/limits.h"
#include "archive/tar.h"
#include "base/cleanup.h"

/* What libarchive makes of the header; its content is not there. */
struct read_back {
	struct archive *archive;
	struct archive_entry *entry;
	struct buf text;
};

static struct read_back read_back(const struct tar_entry *entry)
{
	struct read_back back = { .archive = archive_read_new(), .text = BUF_INIT(16 * 1024 * 1024) };

	assert_int_equal(tar_header(entry, &back.text), 0);
	assert_int_equal(back.text.len % TAR_BLOCK_BYTES, 0);
	assert_int_equal(archive_read_support_format_tar(back.archive), ARCHIVE_OK);
	assert_int_equal(archive_read_open_memory(back.archive, back.text.data, back.text.len), ARCHIVE_OK);
	assert_int_equal(archive_read_next_header(back.archive, &back.entry), ARCHIVE_OK);
	return back;
}

static void done(struct read_back *back)
{
	archive_read_free(back->archive);
	buf_finish(&back->text);
}

static void sizes_and_ids_are_read_back(void **state)
{
	static const int64_t sizes[] = { 0, 1, 511, 512, 077777777776, 077777777777, 0100000000000, 1LL << 40,
		INT64_MAX >> 1 };
	static const uid_t ids[] = { 0, 1, 07777776, 07777777, 010000000, UINT32_MAX - 1 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		const struct tar_entry entry = { .path = "file",
			.mode = S_IFREG | 0640,
			.size = sizes[i],
			.uid = ids[i % ARRAY_SIZE(ids)],
			.gid = ids[(i + 1) % ARRAY_SIZE(ids)] };
		struct read_back back = read_back(&entry);

		assert_int_equal(archive_entry_size(back.entry), sizes[i]);
		assert_int_equal(archive_entry_uid(back.entry), entry.uid);
		assert_int_equal(archive_entry_gid(back.entry), entry.gid);
		assert_int_equal(archive_entry_mode(back.entry), entry.mode);
		done(&back);
	}
}

static void names_of_every_length(void **state)
{
	char path[LIMIT_PATH_BYTES + 1], target[LIMIT_LINK_BYTES + 1];

	(void)state;
	for (size_t len = 1; len <= LIMIT_PATH_BYTES; len += len < 120 ? 1 : 53) {
		const struct tar_entry entry = { .path = path, .mode = S_IFLNK | 0777, .symlink = target };
		struct read_back back;

		memset(path, 'n', len);
		path[len] = '\0';
		memset(target, 't', len);
		target[len] = '\0';
		back = read_back(&entry);
		assert_string_equal(archive_entry_pathname(back.entry), path);
		assert_string_equal(archive_entry_symlink(back.entry), target);
		done(&back);
	}
}

static void names_are_bytes(void **state)
{
	static const char *const names[] = { "plain", "f\xc3\xbcr", "\xe2\x82\xac/\xf0\x9f\x90\x8b", "a\xff\xfe",
		"\x80" };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		const struct tar_entry entry = { .path = names[i], .mode = S_IFREG | 0644, .hardlink = names[0] };
		struct read_back back = read_back(&entry);

		assert_string_equal(archive_entry_pathname(back.entry), names[i]);
		assert_string_equal(archive_entry_hardlink(back.entry), names[0]);
		done(&back);
	}
}

static void times_are_read_back(void **state)
{
	static const struct timespec times[] = { { 0, 0 }, { 0, 1 }, { 1, 999999999 }, { 1700000000, 123456789 },
		{ 1LL << 33, 0 }, { (1LL << 33) + 1, 5 }, { -1, 0 } };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(times); i++) {
		const struct tar_entry entry = { .path = "x", .mode = S_IFREG, .mtime = times[i] };
		struct read_back back = read_back(&entry);

		assert_int_equal(archive_entry_mtime(back.entry), times[i].tv_sec);
		assert_int_equal(archive_entry_mtime_nsec(back.entry), times[i].tv_nsec);
		done(&back);
	}
}

/* Values hold any byte; lengths around where a record's own length gets another digit. */
static void attributes_are_read_back(void **state)
{
	static char value[70000];

	(void)state;
	for (size_t i = 0; i < sizeof(value); i++)
		value[i] = (char)(i * 7);
	for (size_t size = 60; size < sizeof(value); size += size < 120 || (size > 960 && size < 1000) ? 1 : 97) {
		const struct tar_xattr xattrs[] = { { "user.a", value, size }, { "security.capability", "\0\n=", 3 } };
		const struct tar_entry entry = {
			.path = "x", .mode = S_IFDIR | 0755, .xattrs = xattrs, .xattr_count = 2
		};
		struct read_back back = read_back(&entry);
		const char *name;
		const void *read;
		size_t len, found = 0;

		archive_entry_xattr_reset(back.entry);
		while (archive_entry_xattr_next(back.entry, &name, &read, &len) == ARCHIVE_OK) {
			const struct tar_xattr *xattr = &xattrs[strcmp(name, "user.a") == 0 ? 0 : 1];

			assert_string_equal(name, xattr->name);
			assert_int_equal(len, xattr->size);
			assert_memory_equal(read, xattr->value, len);
			found++;
		}
		assert_int_equal(found, 2);
		done(&back);
	}
}

static void types(void **state)
{
	static const mode_t kinds[] = { S_IFREG, S_IFDIR, S_IFCHR, S_IFBLK, S_IFIFO };
	const struct tar_entry socket = { .path = "x", .mode = S_IFSOCK };
	_cleanup_(buf_finish) struct buf out = BUF_INIT(4096);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		const struct tar_entry entry = {
			.path = "x", .mode = kinds[i] | 0751, .device = makedev(4095, 1048575)
		};
		struct read_back back = read_back(&entry);

		assert_int_equal(archive_entry_mode(back.entry), entry.mode);
		if (S_ISCHR(entry.mode) || S_ISBLK(entry.mode))
			assert_int_equal(archive_entry_rdev(back.entry), entry.device);
		done(&back);
	}
	assert_int_equal(tar_header(&socket, &out), -EINVAL);
}

static void padding_fills_a_block(void **state)
{
	static const int64_t sizes[][2] = { { 0, 0 }, { 1, 511 }, { 511, 1 }, { 512, 0 }, { 513, 511 },
		{ (1LL << 33) + 1, 511 } };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++)
		assert_int_equal(tar_padding(sizes[i][0]), sizes[i][1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sizes_and_ids_are_read_back),
		cmocka_unit_test(names_of_every_length),
		cmocka_unit_test(names_are_bytes),
		cmocka_unit_test(times_are_read_back),
		cmocka_unit_test(attributes_are_read_back),
		cmocka_unit_test(types),
		cmocka_unit_test(padding_fills_a_block),
	};

	setlocale(LC_CTYPE, "C.UTF-8");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
