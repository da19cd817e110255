#include <errno.h>
#include <unistd.h>

#include <linux/capability.h>
#include <sys/wait.h>

#include "../unit.h"
#include "sys/caps.h"
#include "sys/namespaces.h"
#include "sys/rlimits.h"

static void test_names(void **state)
{
	(void)state;
	assert_int_equal(cap_from_name("CAP_CHOWN"), 0);
	assert_int_equal(cap_from_name("net_raw"), CAP_NET_RAW);
	assert_int_equal(cap_from_name("cap_checkpoint_restore"), CAP_CHECKPOINT_RESTORE);
	assert_int_equal(cap_from_name("CAP_"), -EINVAL);
	assert_int_equal(cap_from_name(""), -EINVAL);
	assert_int_equal(cap_from_name("CAP_CHOWNX"), -EINVAL);
	assert_null(cap_name(64));
	for (unsigned i = 0; cap_name(i); i++)
		assert_int_equal(cap_from_name(cap_name(i)), i);
}

/* In a child: what was dropped stays dropped. */
static int drop_in_child(void)
{
	struct cap_sets now, want = { 0 };

	if (caps_get(&now) < 0)
		return 1;
	want.permitted = want.effective = now.permitted & (1ULL << CAP_KILL);
	if (caps_limit_bounding(1ULL << CAP_KILL) < 0 && now.effective & (1ULL << CAP_SETPCAP))
		return 2;
	if (caps_set(&want) < 0 || caps_get(&now) < 0)
		return 3;
	if (now.permitted != want.permitted || now.effective != want.effective || now.inheritable || now.ambient)
		return 4;
	want.permitted |= 1ULL << CAP_SYS_ADMIN;
	return caps_set(&want) == -EPERM ? 0 : 5;
}

static void test_drop(void **state)
{
	int status;
	pid_t pid = fork();

	(void)state;
	if (pid == 0)
		_exit(drop_in_child());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void test_namespace_names(void **state)
{
	(void)state;
	assert_true(namespace_flag("network") == 0x40000000);
	assert_string_equal(namespace_file(namespace_flag("network")), "net");
	assert_string_equal(namespace_type(namespace_flag("user")), "user");
	assert_true(namespace_flag("net") == 0);
	assert_int_equal(namespace_open("/proc/self/ns/net", namespace_flag("pid")), -EINVAL);
	assert_int_equal(namespace_open("/dev/null", namespace_flag("pid")), -EINVAL);
	assert_int_equal(namespace_open("/nonexistent", namespace_flag("pid")), -ENOENT);
	int fd = namespace_open("/proc/self/ns/net", namespace_flag("network"));
	assert_true(fd >= 0);
	close(fd);
}

static void test_rlimit_names(void **state)
{
	(void)state;
	assert_true(rlimit_from_name("RLIMIT_NOFILE") >= 0);
	assert_int_equal(rlimit_from_name("NOFILE"), -EINVAL);
	assert_int_equal(rlimit_from_name(""), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_names), cmocka_unit_test(test_drop),
		cmocka_unit_test(test_namespace_names), cmocka_unit_test(test_rlimit_names) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
