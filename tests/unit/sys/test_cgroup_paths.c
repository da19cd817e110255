#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../unit.h"
#include "base/strv.h"
#include "sys/cgroup_internal.h"
#include "sys/device_filter.h"

static void test_host(void **state)
{
	_autofree_(cgroup_host) struct cgroup_host *host = NULL;
	int r = cgroup_host_new(&host);

	(void)state;
	if (r == -ENODEV)
		skip();
	assert_int_equal(r, 0);
	assert_true(cgroup_host_count(host) > 0);
	for (size_t i = 0; i < cgroup_host_count(host); i++) {
		const struct cgroup_hierarchy *hierarchy = cgroup_host_get(host, i);
		assert_true(hierarchy->mount[0] == '/');
		assert_true(hierarchy->own[0] == '/');
	}
}

static void test_paths(void **state)
{
	static const char *const bad[] = { "", "/", "//", "..", "/..", "a/../b", "../a", "/a/..", ".", "a/./b", "a\nb",
		"/\x7f" };
	_autofree_(cgroup_host) struct cgroup_host *host = NULL;
	_autofree_(strv) char **folders = NULL;
	char component[257];

	(void)state;
	if (cgroup_host_new(&host) < 0)
		skip();
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(cgroup_host_folders(host, bad[i], &folders), -EINVAL);
	memset(component, 'c', sizeof(component));
	component[256] = '\0';
	assert_int_equal(cgroup_host_folders(host, component, &folders), -EINVAL);
	component[255] = '\0';
	assert_int_equal(cgroup_host_folders(host, component, &folders), 0);
	strv_free(TAKE(folders));

	assert_int_equal(cgroup_host_folders(host, "/a//b/", &folders), 0);
	assert_int_equal(strv_count(folders), cgroup_host_count(host));
	for (size_t i = 0; folders[i]; i++) {
		const char *mount = cgroup_host_get(host, i)->mount;
		assert_true(strncmp(folders[i], mount, strlen(mount)) == 0);
		assert_true(strncmp(folders[i] + strlen(mount), "/a", 2) == 0);
	}
}

static void test_foreign_folders(void **state)
{
	_autofree_(cgroup_host) struct cgroup_host *host = NULL;
	struct cgroup *group = NULL;
	char *outside[] = { (char *)"/etc/tare", NULL };
	char *climbing[] = { NULL, NULL };
	char path[512];

	(void)state;
	if (cgroup_host_new(&host) < 0)
		skip();
	assert_int_equal(cgroup_new(host, outside, &group), -EINVAL);
	snprintf(path, sizeof(path), "%s/x/../../etc", cgroup_host_get(host, 0)->mount);
	climbing[0] = path;
	assert_int_equal(cgroup_new(host, climbing, &group), -EINVAL);
	assert_null(group);
}

static void test_device_rules(void **state)
{
	const struct device_rule rules[] = {
		{ false, 'a', DEVICE_ANY, DEVICE_ANY, DEVICE_ALL },
		{ true, 'c', 1, 3, DEVICE_ALL },
		{ true, 'b', 8, DEVICE_ANY, DEVICE_READ },
		{ true, 'c', DEVICE_ANY, DEVICE_ANY, DEVICE_MKNOD },
		{ false, 'c', 10, 200, DEVICE_WRITE },
	};

	(void)state;
#define DECIDE(type, major, minor, access) device_filter_decide(rules, ARRAY_SIZE(rules), type, major, minor, access)
	assert_true(DECIDE('c', 1, 3, DEVICE_READ | DEVICE_WRITE));
	assert_false(DECIDE('c', 1, 1, DEVICE_READ));
	assert_true(DECIDE('c', 1, 1, DEVICE_MKNOD));
	assert_true(DECIDE('b', 8, 5, DEVICE_READ));
	assert_false(DECIDE('b', 8, 5, DEVICE_READ | DEVICE_WRITE));
	assert_false(DECIDE('c', 10, 200, DEVICE_WRITE));
	assert_false(device_filter_decide(rules, 0, 'c', 1, 3, DEVICE_READ)); /* an empty list is no permission */
}

static void put(const char *folder, const char *file, const char *text)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/%s", folder, file);
	FILE *out = fopen(path, "w");
	assert_non_null(out);
	assert_true(fputs(text, out) >= 0);
	assert_int_equal(fclose(out), 0);
}

/* A folder stands in for a v2 group: a plain file keeps the last command written at its start. */
static void test_v2_controllers(void **state)
{
	char folder[] = "/tmp/tare-cgroup-XXXXXX", text[64], path[256];
	static const char *const files[] = { "cgroup.controllers", "cgroup.subtree_control", "cgroup.type",
		"cgroup.procs" };

	(void)state;
	assert_non_null(mkdtemp(folder));
	put(folder, "cgroup.controllers", "cpuset cpu io\n");
	assert_true(cgroup_v2_has(folder, "cpu"));
	assert_true(cgroup_v2_has(folder, "io"));
	assert_false(cgroup_v2_has(folder, "cpus"));
	assert_false(cgroup_v2_has(folder, "memory"));

	put(folder, "cgroup.subtree_control", "cpuset io\n");
	cgroup_v2_hand_on(folder);
	assert_int_equal(cgroup_file_read(folder, "cgroup.subtree_control", text, sizeof(text)), 0);
	assert_string_equal(text, "+cpuet io"); /* "cpu" is not taken for enabled by "cpuset" */
	put(folder, "cgroup.subtree_control", "cpuset\n");
	put(folder, "cgroup.type", "domain\n"); /* not the root's */
	put(folder, "cgroup.procs", "17\n");
	cgroup_v2_hand_on(folder);
	assert_int_equal(cgroup_file_read(folder, "cgroup.subtree_control", text, sizeof(text)), 0);
	assert_string_equal(text, "cpuset");
	put(folder, "cgroup.procs", "");
	cgroup_v2_hand_on(folder);
	assert_int_equal(cgroup_file_read(folder, "cgroup.subtree_control", text, sizeof(text)), 0);
	assert_string_equal(text, "+iouet");
	put(folder, "cgroup.subtree_control", "io cpu cpuset\n");
	cgroup_v2_hand_on(folder);
	assert_int_equal(cgroup_file_read(folder, "cgroup.subtree_control", text, sizeof(text)), 0);
	assert_string_equal(text, "io cpu cpuset");

	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		snprintf(path, sizeof(path), "%s/%s", folder, files[i]);
		unlink(path);
	}
	rmdir(folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_host), cmocka_unit_test(test_paths),
		cmocka_unit_test(test_foreign_folders), cmocka_unit_test(test_device_rules),
		cmocka_unit_test(test_v2_controllers) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
