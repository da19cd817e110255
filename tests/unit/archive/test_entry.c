#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "../unit.h"
#include "archive/entry.h"
#include "base/cleanup.h"

static void paths_are_cleaned(void **state)
{
	static const struct {
		const char *raw, *clean;
	} cases[] = {
		{ "a", "a" },
		{ "./a", "a" },
		{ "/a", "a" },
		{ "//a///b/", "a/b" },
		{ "a/./b/.", "a/b" },
		{ "a/../b", "b" },
		{ "a/b/../../c", "c" },
		{ ".", "" },
		{ "./", "" },
		{ "/", "" },
		{ "a/..", "" },
		{ "...", "..." },
		{ "..a/b..", "..a/b.." },
		{ "a\\..\\b", "a\\..\\b" },
		{ "\xff\xfe", "\xff\xfe" },
		{ "a\nb", "a\nb" },
	};
	char out[LIMIT_PATH_BYTES + 1];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_int_equal(entry_clean_path(cases[i].raw, out), 0);
		assert_string_equal(out, cases[i].clean);
	}
}

static void paths_that_climb_are_refused(void **state)
{
	static const char *const cases[] = { "..", "../a", "/..", "/../a", "a/../..", "a/../../b", "./../a",
		"a/b/../../../c" };
	char out[LIMIT_PATH_BYTES + 1];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_int_equal(entry_clean_path(cases[i], out), -EXDEV);
	assert_int_equal(entry_clean_path("", out), -EINVAL);
}

/* A path of `len` bytes whose components are as long as they may be, or `component` bytes. */
static char *long_path(size_t len, size_t component)
{
	char *path = malloc(len + 1);

	memset(path, 'x', len);
	for (size_t i = component; i < len; i += component + 1)
		path[i] = '/';
	path[len] = '\0';
	return path;
}

static void lengths_are_bounded(void **state)
{
	char out[LIMIT_PATH_BYTES + 1];

	(void)state;
	for (int extra = -1; extra <= 1; extra++) {
		_cleanup_free_ char *component = long_path((size_t)(LIMIT_COMPONENT_BYTES + extra), 10000);
		_cleanup_free_ char *path = long_path((size_t)(LIMIT_PATH_BYTES + extra), 100);

		assert_int_equal(entry_clean_path(component, out), extra > 0 ? -ENAMETOOLONG : 0);
		assert_int_equal(entry_clean_path(path, out), extra > 0 ? -ENAMETOOLONG : 0);
	}
}

static void whiteouts_are_told_apart(void **state)
{
	static const struct {
		const char *path;
		enum entry_mark mark;
		const char *hidden;
	} cases[] = {
		{ "a", ENTRY_PLAIN, NULL },
		{ "a/.wh", ENTRY_PLAIN, NULL },
		{ "a.wh.b", ENTRY_PLAIN, NULL },
		{ ".wh.a", ENTRY_WHITEOUT, "a" },
		{ "d/e/.wh..a", ENTRY_WHITEOUT, ".a" },
		{ ".wh.wh.", ENTRY_WHITEOUT, "wh." },
		{ ".wh.....", ENTRY_WHITEOUT, "...." },
		{ ".wh..wh..opq", ENTRY_OPAQUE, NULL },
		{ "d/.wh..wh..opq", ENTRY_OPAQUE, NULL },
		{ ".wh..wh.plnk", ENTRY_IGNORED, NULL },
		{ ".wh..wh.plnk/1.2", ENTRY_IGNORED, NULL },
		{ ".wh..wh.", ENTRY_IGNORED, NULL },
		{ ".wh..wh..opq2", ENTRY_IGNORED, NULL },
		{ ".wh.", ENTRY_REFUSED, NULL },
		{ ".wh..", ENTRY_REFUSED, NULL },
		{ ".wh...", ENTRY_REFUSED, NULL },
		{ "d/.wh...", ENTRY_REFUSED, NULL },
		{ ".wh.a/b", ENTRY_REFUSED, NULL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const char *hidden = NULL;

		assert_int_equal(entry_mark(cases[i].path, &hidden), cases[i].mark);
		if (cases[i].hidden)
			assert_string_equal(hidden, cases[i].hidden);
	}
}

static void attributes_have_an_allow_list(void **state)
{
	static const char *const allowed[] = { "user.a", "user.overlay", "user.overlayx", "security.capability",
		"system.posix_acl_access", "system.posix_acl_default" };
	static const char *const refused[] = { "", "user.", "user", "user.overlay.opaque", "user.overlay.", "trusted.a",
		"trusted.overlay.opaque", "security.selinux", "security.ima", "security.evm", "security.capabilityx",
		"system.data", "system.nfs4_acl", "USER.a", "other" };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(allowed); i++)
		assert_true(entry_xattr_is_allowed(allowed[i]));
	for (size_t i = 0; i < ARRAY_SIZE(refused); i++)
		assert_false(entry_xattr_is_allowed(refused[i]));
}

static void numbers_have_bounds(void **state)
{
	(void)state;
	assert_false(entry_id_is_valid(-1));
	assert_true(entry_id_is_valid(0));
	assert_true(entry_id_is_valid(UINT32_MAX - 1LL));
	assert_false(entry_id_is_valid(UINT32_MAX));
	assert_false(entry_id_is_valid(INT64_MAX));
	assert_int_equal(entry_clamp_mtime(-1), 0);
	assert_int_equal(entry_clamp_mtime(1), 1);
	assert_int_equal(entry_clamp_mtime(INT64_MAX), 15032385535);
	assert_true(entry_is_hidden_whiteout(S_IFCHR, 0));
	assert_false(entry_is_hidden_whiteout(S_IFBLK, 0));
	assert_false(entry_is_hidden_whiteout(S_IFCHR, makedev(0, 1)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(paths_are_cleaned),
		cmocka_unit_test(paths_that_climb_are_refused),
		cmocka_unit_test(lengths_are_bounded),
		cmocka_unit_test(whiteouts_are_told_apart),
		cmocka_unit_test(attributes_have_an_allow_list),
		cmocka_unit_test(numbers_have_bounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
