#include <archive.h>
#include <archive_entry.h>
#include <stdio.h>
#include <string.h>

#include "../unit.h"
#include "base/cleanup.h"
#include "worker/tar_head.h"

/* As libarchive reads it; the content is not there. */
static void assert_read_as(const char *name, int64_t size, unsigned kind, unsigned mode)
{
	char head[TAR_BLOCK_BYTES];
	struct archive *archive = archive_read_new();
	struct archive_entry *entry;

	tar_head(name, size, head);
	assert_int_equal(archive_read_support_format_tar(archive), ARCHIVE_OK);
	assert_int_equal(archive_read_open_memory(archive, head, sizeof(head)), ARCHIVE_OK);
	assert_int_equal(archive_read_next_header(archive, &entry), ARCHIVE_OK);
	assert_string_equal(archive_entry_pathname(entry), name);
	assert_int_equal(archive_entry_size(entry), size);
	assert_int_equal(archive_entry_filetype(entry), kind);
	assert_int_equal(archive_entry_perm(entry), mode);
	assert_int_equal(archive_entry_uid(entry), 0);
	assert_int_equal(archive_entry_mtime(entry), 0);
	archive_read_free(archive);
}

static void sizes_are_read_back(void **state)
{
	static const int64_t sizes[] = { 0, 1, 511, 512, 077777777776, 077777777777, 0100000000000, 1LL << 40,
		INT64_MAX >> 1 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++)
		assert_read_as("file", sizes[i], AE_IFREG, 0644);
}

static void names_up_to_the_limit(void **state)
{
	char name[TAR_NAME_MAX + 1];

	(void)state;
	for (int len = TAR_NAME_MAX - 1; len <= TAR_NAME_MAX; len++) {
		memset(name, 'n', (size_t)len);
		name[len] = '\0';
		assert_read_as(name, 1, AE_IFREG, 0644);
		name[len - 1] = '/';
		assert_read_as(name, 0, AE_IFDIR, 0755);
	}
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
		cmocka_unit_test(sizes_are_read_back),
		cmocka_unit_test(names_up_to_the_limit),
		cmocka_unit_test(padding_fills_a_block),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
