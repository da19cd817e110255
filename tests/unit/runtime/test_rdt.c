/*
 * What is written and made below resctrl's root. A plain folder is in its place, so what the kernel itself does there (a new
 * group's files, its refusals) is not tested here.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include <sys/stat.h>

#include "../unit.h"
#include "base/io.h"
#include "base/strv.h"
#include "runtime/rdt.h"

static void put(const char *path, const char *text)
{
	_autoclose_ int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	assert_true(fd >= 0 && io_write_full(fd, text, strlen(text)) == 0);
}

static void check_text(const char *path, const char *expected)
{
	_cleanup_(buf_finish) struct buf text = BUF_INIT(4096);
	_autoclose_ int fd = open(path, O_RDONLY);
	assert_true(fd >= 0 && io_read_all(fd, &text) == 0);
	assert_string_equal(text.data ? text.data : "", expected);
}

/* A root with both kinds of shares, a class that is there, and us in it. */
static int enter_root(void **state)
{
	static char folder[] = "/tmp/tare-unit-XXXXXX";
	strcpy(folder + sizeof(folder) - 7, "XXXXXX");
	*state = folder;
	assert_non_null(mkdtemp(folder));
	assert_int_equal(chdir(folder), 0);
	static const char *const folders[] = { "info", "info/L3", "info/MB", "mon_groups", "named", "named/mon_groups",
		"named/mon_groups/id" };
	for (size_t i = 0; i < ARRAY_SIZE(folders); i++)
		assert_int_equal(mkdir(folders[i], 0700), 0);
	put("named/schemata", "");
	put("named/tasks", "");
	put("named/mon_groups/id/tasks", "");
	put("schemata", "");
	put("tasks", "");
	return 0;
}

static int leave_root(void **state)
{
	char command[64];
	assert_int_equal(chdir("/"), 0);
	snprintf(command, sizeof(command), "rm -r %s", (char *)*state);
	return system(command);
}

static void test_shares(void **state)
{
	const char *root = *state;
	char *lines[] = { (char *)"L2:0=3", (char *)"L3CODE:0=f\n", NULL };
	const struct oci_intel_rdt all = { .clos_id = (char *)"named",
		.schemata = lines,
		.l3_cache_schema = (char *)"L3:0=7f0;1=1f",
		.mem_bw_schema = (char *)"MB:0=20;1=70" };
	const struct oci_intel_rdt of_root = { .clos_id = (char *)"/", .mem_bw_schema = (char *)"MB:0=50" };

	assert_int_equal(rdt_make(root, &all, "id", NULL), 0);
	check_text("named/schemata", "L3:0=7f0;1=1f\nMB:0=20;1=70\nL2:0=3\nL3CODE:0=f\n");
	assert_int_equal(rdt_make(root, &of_root, "id", NULL), 0);
	check_text("schemata", "MB:0=50\n");
	assert_int_equal(rdt_update(root, &of_root, "id", NULL), 0);
}

static void test_what_goes_with_the_container(void **state)
{
	const char *root = *state;
	_autofree_(strv) char **marks = NULL;
	char mark[PATH_MAX];
	const struct oci_intel_rdt own = { .enable_monitoring = true },
				   named = { .clos_id = (char *)"named", .enable_monitoring = true };
	const struct oci_intel_rdt missing = { .clos_id = (char *)"missing" }, plain = { .clos_id = (char *)"named" };

	assert_int_equal(rdt_plan(root, &own, "mine", &marks, NULL), 0);
	assert_int_equal(strv_count(marks), 2);
	snprintf(mark, sizeof(mark), RDT_MARK "%s/mine", root);
	assert_string_equal(marks[0], mark);
	snprintf(mark, sizeof(mark), RDT_MARK "%s/mine/mon_groups/mine", root);
	assert_string_equal(marks[1], mark);
	assert_int_equal(strv_append(&marks, "systemd:x.scope"), 0);
	assert_int_equal(mkdir("mine", 0700) | mkdir("mine/mon_groups", 0700), 0);
	assert_int_equal(rdt_plan(root, &own, "mine", &marks, NULL), -EEXIST); /* somebody's */
	assert_int_equal(rdt_make(root, &own, "mine", NULL), 0);
	assert_int_equal(access("mine/mon_groups/mine", F_OK), 0);
	assert_int_equal(rmdir("mine/mon_groups/mine") | rmdir("mine/mon_groups"),
		0); /* the kernel's own goes with its group */
	assert_int_equal(rdt_remove(marks), 0);
	assert_int_equal(access("mine", F_OK), -1);
	assert_int_equal(rdt_remove(marks), 0);

	/* A class with a name stays. */
	strv_free(TAKE(marks));
	assert_int_equal(rdt_plan(root, &plain, "id", &marks, NULL), 0);
	assert_int_equal(strv_count(marks), 0);
	assert_int_equal(rdt_plan(root, &named, "id", &marks, NULL), 0);
	snprintf(mark, sizeof(mark), RDT_MARK "%s/named/mon_groups/id", root);
	assert_int_equal(strv_count(marks), 1);
	assert_string_equal(marks[0], mark);
	assert_int_equal(rdt_plan(root, &missing, "id", &marks, NULL), -ENOENT);
}

static void test_tasks(void **state)
{
	const char *root = *state;
	const struct oci_intel_rdt named = { .clos_id = (char *)"named", .enable_monitoring = true },
				   of_root = { .clos_id = (char *)"/" };
	const struct oci_intel_rdt own = { .mem_bw_schema = (char *)"MB:0=50" };
	int fds[2] = { -1, -1 };

	assert_int_equal(rdt_open_tasks(root, &named, "id", fds, NULL), 2);
	for (size_t i = 0; i < 2; i++)
		assert_int_equal(io_write_full(fds[i], "0", 1), 0);
	fd_close(&fds[0]);
	fd_close(&fds[1]);
	check_text("named/tasks", "0");
	check_text("named/mon_groups/id/tasks", "0");
	assert_int_equal(rdt_open_tasks(root, &of_root, "id", fds, NULL), 1);
	fd_close(&fds[0]);
	assert_int_equal(rdt_open_tasks(root, &own, "nothing", fds, NULL), -ENOENT);
}

static void test_what_the_host_lacks(void **state)
{
	const char *root = *state;
	_autofree_(strv) char **marks = NULL;
	_autofree_(err) struct err *error = NULL, *other = NULL, *third = NULL;
	const struct oci_intel_rdt cache = { .l3_cache_schema = (char *)"L3:0=f" },
				   bandwidth = { .mem_bw_schema = (char *)"MB:0=50" };
	const struct oci_intel_rdt named = { .clos_id = (char *)"named", .mem_bw_schema = (char *)"MB:0=500" };

	assert_int_equal(rmdir("info/L3") | rmdir("info/MB"), 0);
	assert_true(rdt_plan(root, &cache, "id", &marks, &error) < 0);
	assert_int_equal(error->kind, ERR_UNSUPPORTED);
	assert_true(rdt_plan(root, &bandwidth, "id", &marks, &other) < 0);
	assert_int_equal(other->kind, ERR_UNSUPPORTED);
	assert_int_equal(strv_count(marks), 0);
	/* What the kernel said of a refused write is told. */
	put("info/last_cmd_status", "MB value 500 out of range [10,100]\n");
	assert_int_equal(unlink("named/schemata"), 0);
	assert_true(rdt_make(root, &named, "id", &third) < 0);
	assert_non_null(strstr(err_message(third),
		"unable to set Intel RDT schemata, last_cmd_status: MB value 500 out of range [10,100]: "));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_shares, enter_root, leave_root),
		cmocka_unit_test_setup_teardown(test_what_goes_with_the_container, enter_root, leave_root),
		cmocka_unit_test_setup_teardown(test_tasks, enter_root, leave_root),
		cmocka_unit_test_setup_teardown(test_what_the_host_lacks, enter_root, leave_root),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
