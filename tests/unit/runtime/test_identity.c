/* The T-SC01 family: who a user string means, and what it must never mean. */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/stat.h>

#include "../unit.h"
#include "base/cleanup.h"
#include "runtime/identity.h"
#include "runtime/lookup.h"

struct fixture {
	char path[64];
	int root;
	struct identity identity;
	char why[IDENTITY_WHY_MAX];
};

static const char passwd[] = "root:x:0:0:root:/root:/bin/sh\n"
			     "1000:x:0:0:trap:/trap:/bin/sh\n"
			     "4294967296:x:0:0::/:\n"
			     "-1:x:0:0::/:\n"
			     "0x0:x:0:0::/:\n"
			     "root2:x:1000:1000::/home/two:\n"
			     "bad:x:4294967296:0::/:\n"
			     "short:x\n"
			     "\n"
			     "user:x:1001:1001:::\n"
			     "last:x:1002:1003::/home/last:/bin/sh";
static const char group[] = "root:x:0:\nwheel:x:10:user,last\nstaff:x:50:user\n77:x:0:user\naudio:x:29:\nend:x:90:last";

static void write_file(int root, const char *name, const char *text, size_t len)
{
	_autoclose_ int fd = openat(root, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, len), (ssize_t)len);
}

static int setup(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));

	strcpy(fixture->path, "/tmp/tare-identity-XXXXXX");
	assert_non_null(mkdtemp(fixture->path));
	fixture->root = open(fixture->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(mkdirat(fixture->root, "etc", 0755), 0);
	write_file(fixture->root, "etc/passwd", passwd, strlen(passwd));
	write_file(fixture->root, "etc/group", group, strlen(group));
	*state = fixture;
	return 0;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static int teardown(void **state)
{
	struct fixture *fixture = *state;

	close(fixture->root);
	nftw(fixture->path, remove_one, 8, FTW_DEPTH | FTW_PHYS);
	free(fixture);
	return 0;
}

static int resolve(struct fixture *fixture, const char *user, char *const *groups)
{
	return identity_resolve(fixture->root, user, groups, &fixture->identity, fixture->why);
}

static void assert_is(struct fixture *fixture, const char *user, uid_t uid, gid_t gid)
{
	assert_int_equal(resolve(fixture, user, NULL), 0);
	assert_int_equal(fixture->identity.uid, uid);
	assert_int_equal(fixture->identity.gid, gid);
	assert_int_equal(fixture->identity.groups[0], gid); /* CVE-2022-36109 */
}

static void test_numbers_are_numbers(void **state)
{
	struct fixture *fixture = *state;

	assert_is(fixture, "", 0, 0);
	assert_is(fixture, "0", 0, 0);
	assert_is(fixture, "1000", 1000, 1000); /* root2's line, by its number; never the trap's */
	assert_string_equal(fixture->identity.home, "/home/two");
	assert_is(fixture, "555", 555, 0);
	assert_string_equal(fixture->identity.home, "/");
	assert_is(fixture, "2147483647", 2147483647, 0);
	assert_is(fixture, "1000:77", 1000, 77); /* not the group named 77 */
}

static void test_out_of_range(void **state)
{
	static const char *const bad[] = { "2147483648", "4294967295", "4294967296", "-1", "-0", "+0",
		"1000:4294967296", "1000:-1", "18446744073709551616", "99999999999999999999999" };

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_int_equal(resolve(*state, bad[i], NULL), -ERANGE);
		assert_non_null(strstr(((struct fixture *)*state)->why, "must be in range"));
	}
}

static void test_malformed(void **state)
{
	static const char *const bad[] = { ":", ":5", "a:b:c", "1:1:1", "1000\n", "ro\tot", "root:\n0" };
	static const char *const unknown[] = { "0 ", " 0", "0x1", "nobody", "bad", "short", "root:nogroup", "Root" };

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(resolve(*state, bad[i], NULL), -EINVAL);
	for (size_t i = 0; i < ARRAY_SIZE(unknown); i++)
		assert_int_equal(resolve(*state, unknown[i], NULL), -ENOENT);
	assert_string_equal(((struct fixture *)*state)->why,
		"unable to find user Root: no matching entries in passwd file");
}

static void test_names_and_groups(void **state)
{
	struct fixture *fixture = *state;
	char *more[] = { (char *)"audio", (char *)"123", (char *)"wheel", NULL };
	char *missing[] = { (char *)"nope", NULL };

	assert_is(fixture, "user", 1001, 1001);
	assert_int_equal(fixture->identity.group_count, 4); /* 1001, wheel, staff, and group "77" whose number is 0 */
	assert_is(fixture, "last", 1002, 1003);
	assert_string_equal(fixture->identity.home, "/home/last");
	assert_is(fixture, "user:staff", 1001, 50);
	assert_int_equal(fixture->identity.group_count, 1);

	assert_int_equal(resolve(fixture, "user:1", more), 0);
	assert_int_equal(fixture->identity.group_count, 4);
	assert_int_equal(fixture->identity.groups[1], 29);
	assert_int_equal(fixture->identity.groups[2], 123);
	assert_int_equal(fixture->identity.groups[3], 10);
	assert_int_equal(resolve(fixture, "user", missing), -ENOENT);
	assert_string_equal(fixture->why, "unable to find group nope: no matching entries in group file");
}

static void test_missing_files(void **state)
{
	struct fixture *fixture = *state;

	unlinkat(fixture->root, "etc/passwd", 0);
	unlinkat(fixture->root, "etc/group", 0);
	assert_is(fixture, "7:8", 7, 8);
	assert_is(fixture, "", 0, 0);
	assert_int_equal(resolve(fixture, "root", NULL), -ENOENT);
	identity_home(fixture->root, 7, fixture->identity.home);
	assert_string_equal(fixture->identity.home, "/");
}

/* CVE-2024-9676, CVE-2025-4437: neither a hang nor memory without end */
static void test_hostile_files(void **state)
{
	struct fixture *fixture = *state;

	unlinkat(fixture->root, "etc/passwd", 0);
	assert_int_equal(symlinkat("/dev/zero", fixture->root, "etc/passwd"), 0);
	assert_is(fixture, "5", 5, 0); /* in-root there is no /dev/zero */
	unlinkat(fixture->root, "etc/passwd", 0);
	assert_int_equal(mkfifoat(fixture->root, "etc/passwd", 0600), 0);
	assert_int_equal(resolve(fixture, "root", NULL), -EINVAL);
	unlinkat(fixture->root, "etc/passwd", 0);
	_autoclose_ int sparse = openat(fixture->root, "etc/passwd", O_CREAT | O_RDWR | O_CLOEXEC, 0600);
	assert_int_equal(ftruncate(sparse, 1LL << 31), 0);
	assert_int_equal(resolve(fixture, "root", NULL), -EFBIG);
}

static void test_line_bound(void **state)
{
	struct fixture *fixture = *state;
	_cleanup_free_ char *text = malloc(IDENTITY_LINE_MAX + 64);

	/* One line just within, then one just beyond. */
	for (int beyond = 0; beyond < 2; beyond++) {
		size_t len = IDENTITY_LINE_MAX - 1 + beyond;
		memset(text, 'x', len);
		memcpy(text, "big:x:3:4:", 10);
		text[len] = '\n';
		strcpy(text + len + 1, "me:x:5:6::/me:\n");
		write_file(fixture->root, "etc/passwd", text, len + 1 + 15);
		assert_int_equal(resolve(fixture, "me", NULL), beyond ? -EFBIG : 0);
	}
}

static void test_lookup(void **state)
{
	struct fixture *fixture = *state;
	char found[PATH_MAX], why[LOOKUP_WHY_MAX], path[256], search[200];

	snprintf(search, sizeof(search), "/nonexistent:%s/etc:%s", fixture->path, fixture->path);
	write_file(fixture->root, "tool", "#!/bin/sh\n", 10);
	assert_int_equal(lookup_command("tool", search, found, why), -ENOENT); /* no x bit, root or not */
	assert_string_equal(why, "exec: \"tool\": executable file not found in $PATH");
	assert_int_equal(fchmodat(fixture->root, "tool", 0755, 0), 0);
	assert_int_equal(lookup_command("tool", search, found, why), 0);
	snprintf(path, sizeof(path), "%s/tool", fixture->path);
	assert_string_equal(found, path);
	assert_int_equal(lookup_command("tool", NULL, found, why), -ENOENT);
	assert_int_equal(lookup_command("", search, found, why), -ENOENT);
	assert_int_equal(lookup_command("/no/such", search, found, why), -ENOENT);
	assert_string_equal(why, "exec: \"/no/such\": stat /no/such: no such file or directory");
	assert_int_equal(lookup_command("/tmp", search, found, why), -EISDIR);
	snprintf(path, sizeof(path), "%s/etc/group", fixture->path);
	assert_int_equal(lookup_command(path, search, found, why), -EACCES);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = { TEST(test_numbers_are_numbers), TEST(test_out_of_range),
		TEST(test_malformed), TEST(test_names_and_groups), TEST(test_missing_files), TEST(test_hostile_files),
		TEST(test_line_bound), TEST(test_lookup) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
