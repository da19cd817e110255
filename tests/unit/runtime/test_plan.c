/* What is worked out of a document before anything is made: mount words, sysctls, limits, seccomp profiles. */
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <linux/seccomp.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "../unit.h"
#include "base/io.h"
#include "base/strv.h"
#include "runtime/mount_options.h"
#include "runtime/resources.h"
#include "runtime/seccomp_compile.h"
#include "runtime/seccomp_file.h"
#include "runtime/sysctl.h"
#include "sys/seccomp.h"

static int parse_words(const char *text, struct mount_words *words, char ***strings)
{
	_autofree_(strv) char **options = strv_split(text, ',');

	return mount_words_parse(options, strings, words, NULL);
}

static void test_mount_words(void **state)
{
	_autofree_(strv) char **strings = NULL;
	struct mount_words words;

	(void)state;
	assert_int_equal(parse_words("rbind,ro,nosuid,rslave,rnoexec", &words, &strings), 0);
	assert_true(words.is_bind && words.is_recursive_bind);
	assert_true(words.attrs.set == (MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID));
	assert_true(words.recursive_attrs.set == MOUNT_ATTR_NOEXEC);
	assert_true(words.recursive_attrs.propagation == MS_SLAVE && !words.attrs.propagation);
	free(words.data);

	assert_int_equal(parse_words("ro,rw,size=64m,mode=755,noatime,strictatime", &words, &strings), 0);
	assert_true(words.attrs.set == MOUNT_ATTR_STRICTATIME);
	assert_true(words.attrs.clear & MOUNT_ATTR_RDONLY);
	assert_int_equal(words.data_count, 2);
	assert_string_equal(words.data[0].key, "size");
	assert_string_equal(words.data[0].value, "64m");
	free(words.data);
	assert_int_equal(parse_words("bind,ridmap=uids=0-1-2,rro,nodev,dev,nosuid,noatime,atime", &words, &strings), 0);
	assert_true(words.is_idmapped && words.is_idmapped_recursively && words.data_count == 0);
	assert_true(words.named == MS_NOSUID && words.unnamed == (MS_NODEV | MS_NOATIME));
	free(words.data);
	assert_true(parse_words("move", &words, &strings) < 0);
}

static void test_every_known_word(void **state)
{
	(void)state;
	for (const char *const *word = mount_words_known(); *word; word++) {
		_autofree_(strv) char **strings = NULL;
		struct mount_words words;
		assert_int_equal(parse_words(*word, &words, &strings), 0);
		free(words.data);
	}
}

static void test_sysctl_names(void **state)
{
	static const char *const bad[] = { "", ".", "net.", ".net", "net..ipv4", "net/../kernel/x", "../x",
		"net.ipv4.a b", "net.ipv4.x=1", "net.ipv4.x+kernel.y", "net\nx" };
	char path[SYSCTL_PATH_MAX], name[SYSCTL_PATH_MAX + 1];

	(void)state;
	assert_int_equal(sysctl_path("net.ipv4.ip_forward", path), 0);
	assert_string_equal(path, "net/ipv4/ip_forward");
	assert_int_equal(sysctl_path("net/ipv4/conf/eth0.1/forwarding", path), 0);
	assert_string_equal(path, "net/ipv4/conf/eth0.1/forwarding");
	assert_int_equal(sysctl_path("net.ipv4.conf.eth0/1.forwarding", path), 0);
	assert_string_equal(path, "net/ipv4/conf/eth0.1/forwarding");
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(sysctl_path(bad[i], path), -EINVAL);
	memset(name, 'n', sizeof(name));
	name[SYSCTL_PATH_MAX] = '\0';
	assert_int_equal(sysctl_path(name, path), -EINVAL);
	name[SYSCTL_PATH_MAX - 1] = '\0';
	assert_int_equal(sysctl_path(name, path), 0);
}

static int check_sysctl(const char *name, const char *value, uint64_t own)
{
	_autofree_(map) struct map *map = map_new(NULL);
	struct oci_spec spec = { .linux_config = { .sysctl = map } };

	assert_int_equal(map_set(map, name, (void *)value), 0);
	return plan_check_sysctls(&spec, own, NULL);
}

static void test_sysctl_namespaces(void **state)
{
	uint64_t all = CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS;

	(void)state;
	assert_int_equal(check_sysctl("net.ipv4.ip_forward", "1", all), 0);
	assert_true(check_sysctl("net.ipv4.ip_forward", "1", CLONE_NEWIPC) < 0);
	assert_int_equal(check_sysctl("kernel.shmmax", "1", all), 0);
	assert_true(check_sysctl("kernel.shmmax", "1", CLONE_NEWNET) < 0);
	assert_int_equal(check_sysctl("fs.mqueue.msg_max", "1", all), 0);
	assert_true(check_sysctl("kernel.core_pattern", "|/x", all) < 0);
	assert_true(check_sysctl("vm.overcommit_memory", "1", all) < 0);
	assert_true(check_sysctl("kernel.hostname", "x", all) < 0);
	assert_true(check_sysctl("Net.ipv4.ip_forward", "1", all) < 0);
	assert_true(check_sysctl("net.ipv4.ip_forward", "1\nkernel.core_pattern=x", all) < 0);
	assert_true(check_sysctl("user.max_user_namespaces", "1", all) < 0);
}

static int check_cpus(const char *cpus)
{
	struct oci_resources resources = { .cpu = { .cpus = (char *)cpus } };

	return resources_check(&resources, NULL);
}

static void test_cpu_lists(void **state)
{
	static const char *const good[] = { "", "0", "0-1", "1,1", "5", "0-3,7,8-9", "8191" };
	static const char *const bad[] = { "0-", "a", "0-4294967295", "8192", "-1", "1-0", "0,", ",0", "0 1", "0--1",
		"0-1-2" };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++)
		assert_int_equal(check_cpus(good[i]), 0);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_true(check_cpus(bad[i]) < 0);
}

/* ---- seccomp ---- */

/* Compiles a request as the hidden verb does; the program, or NULL. */
static struct sock_filter *compile(const char *request, size_t *ret_count)
{
	_autoclose_ int input = memfd_create("in", MFD_CLOEXEC), output = memfd_create("out", MFD_CLOEXEC);
	struct seccomp_file_header header;
	struct sock_filter *program = NULL;

	assert_int_equal(io_write_full(input, request, strlen(request)), 0);
	assert_int_equal(lseek(input, 0, SEEK_SET), 0);
	if (seccomp_compile_main(input, output) != 0)
		return NULL;
	assert_int_equal(seccomp_file_read(output, &header, &program), 0);
	assert_int_equal(seccomp_file_is_of(output, request, strlen(request)), 1);
	assert_int_equal(seccomp_file_is_of(output, "other", 5), 0);
	*ret_count = header.instruction_count;
	return program;
}

struct probe {
	long number;
	long args[3];
	int want; /* errno, or 0 for "not the filter's" */
};

/* 0 when every call answered as it should. */
static int run_probes(const struct sock_filter *program, size_t count, const struct probe *probes, size_t probe_count)
{
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	if (seccomp_install(program, count, 0) < 0)
		return 100;
	for (size_t i = 0; i < probe_count; i++) {
		long r = syscall(probes[i].number, probes[i].args[0], probes[i].args[1], probes[i].args[2]);
		int got = r < 0 ? errno : 0;
		bool is_filters = got == EPERM || got == ENOSYS || got == EDOM;
		if (probes[i].want ? got != probes[i].want : is_filters)
			return (int)i + 1;
	}
	return 0;
}

static void assert_probes(const char *request, const struct probe *probes, size_t count)
{
	size_t length = 0;
	int status;
	_cleanup_free_ struct sock_filter *program = compile(request, &length);

	assert_non_null(program);
	pid_t pid = fork();
	if (pid == 0)
		_exit(run_probes(program, length, probes, count));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void test_default_profile(void **state)
{
	const struct probe probes[] = {
		{ SYS_getpid, { 0 }, 0 },
		{ SYS_unshare, { CLONE_NEWUSER }, EPERM },
		{ SYS_mount, { 0 }, EPERM },
		{ SYS_fsopen, { 0 }, EPERM },
		{ SYS_clone3, { 0 }, ENOSYS },
		{ SYS_keyctl, { -1 }, EPERM },
		{ SYS_io_uring_setup, { 0 }, EPERM },
		{ SYS_bpf, { 0 }, EPERM },
		{ SYS_socket, { AF_ALG, SOCK_SEQPACKET, 0 }, EPERM },
		{ SYS_socket, { 40 /* AF_VSOCK */, SOCK_STREAM, 0 }, EPERM },
		{ SYS_socket, { AF_INET, SOCK_DGRAM, 0 }, 0 },
		{ 9999, { 0 }, ENOSYS },
	};

	(void)state;
	assert_probes("{\"capabilities\":[],\"profile\":null}", probes, ARRAY_SIZE(probes));
}

static void test_default_profile_with_caps(void **state)
{
	/* With CAP_SYS_ADMIN the mount family is the kernel's to judge. */
	const struct probe probes[] = { { SYS_fsopen, { -1 }, EFAULT }, { SYS_mount, { -1, -1, -1 }, EFAULT } };

	(void)state;
	if (geteuid() != 0)
		skip();
	assert_probes("{\"capabilities\":[\"CAP_SYS_ADMIN\"],\"profile\":null}", probes, ARRAY_SIZE(probes));
}

static void test_custom_profile(void **state)
{
	static const char request[] =
		"{\"profile\":{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":["
		"{\"names\":[\"getppid\",\"no_such_call\"],\"action\":\"SCMP_ACT_ERRNO\",\"errnoRet\":33},"
		"{\"name\":\"dup\",\"action\":\"SCMP_ACT_ERRNO\",\"args\":["
		"{\"index\":0,\"value\":900,\"op\":\"SCMP_CMP_EQ\"},{\"index\":0,\"value\":901,\"op\":\"SCMP_CMP_EQ\"}]},"
		"{\"names\":[\"getuid\"],\"action\":\"SCMP_ACT_ERRNO\",\"includes\":{\"minKernel\":\"99.0\"}},"
		"{\"names\":[\"getgid\"],\"action\":\"SCMP_ACT_ERRNO\",\"excludes\":{\"arches\":[\"amd64\",\"arm64\"]}}]}}";
	const struct probe probes[] = { { SYS_getppid, { 0 }, EDOM }, { SYS_dup, { 900 }, EPERM },
		{ SYS_dup, { 901 }, EPERM }, { SYS_dup, { 902 }, EBADF }, { SYS_getuid, { 0 }, 0 },
		{ SYS_getgid, { 0 }, 0 } };

	(void)state;
	assert_probes(request, probes, ARRAY_SIZE(probes));
}

static void test_bad_profiles(void **state)
{
	static const char *const bad[] = {
		"",
		"[]",
		"{\"profile\":5}",
		"{\"profile\":{}}",
		"{\"profile\":{\"defaultAction\":\"SCMP_ACT_NONE\"}}",
		"{\"profile\":{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"defaultErrnoRet\":4096}}",
		"{\"profile\":{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"architectures\":[\"SCMP_ARCH_VAX\"]}}",
		"{\"profile\":{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"architectures\":[\"SCMP_ARCH_X86\"],\"archMap\":"
		"[{\"architecture\":\"SCMP_ARCH_X86_64\"}]}}",
		"{\"profile\":{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"flags\":[\"SECCOMP_FILTER_FLAG_NO\"]}}",
		"{\"profile\":{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"names\":[\"dup\"],\"action\":"
		"\"SCMP_ACT_ERRNO\",\"args\":[{\"index\":6,\"value\":0,\"op\":\"SCMP_CMP_EQ\"}]}]}}",
		"{\"profile\":{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"names\":[\"dup\"],\"action\":"
		"\"SCMP_ACT_ERRNO\",\"args\":[{\"index\":0,\"value\":0,\"op\":\"SCMP_CMP_XX\"}]}]}}",
		"{\"profile\":{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"names\":[\"dup\"],\"action\":"
		"\"SCMP_ACT_NOTIFY\"}]}}",
	};
	size_t count;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_null(compile(bad[i], &count));
}

static void test_seccomp_file_bounds(void **state)
{
	_cleanup_(buf_finish) struct buf out = BUF_INIT(1024 * 1024);
	_cleanup_free_ struct sock_filter *program = calloc(SECCOMP_INSTRUCTIONS_MAX + 1, sizeof(*program));
	_autoclose_ int fd = memfd_create("file", MFD_CLOEXEC);
	struct seccomp_file_header header;
	struct sock_filter *read = NULL;

	(void)state;
	assert_int_equal(seccomp_file_write(program, 0, 0, "x", 1, &out), -EFBIG);
	assert_int_equal(seccomp_file_write(program, SECCOMP_INSTRUCTIONS_MAX + 1, 0, "x", 1, &out), -EFBIG);
	assert_int_equal(seccomp_file_write(program, SECCOMP_INSTRUCTIONS_MAX, 0, "x", 1, &out), 0);
	assert_int_equal(io_write_full(fd, out.data, out.len), 0);
	assert_int_equal(seccomp_file_read(fd, &header, &read), 0);
	free(TAKE(read));
	assert_int_equal(ftruncate(fd, (off_t)out.len - 1), 0); /* a write that was cut off */
	assert_int_equal(seccomp_file_read(fd, &header, &read), -EINVAL);
	assert_int_equal(ftruncate(fd, 0), 0);
	assert_int_equal(seccomp_file_read(fd, &header, &read), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_mount_words), cmocka_unit_test(test_every_known_word),
		cmocka_unit_test(test_sysctl_names), cmocka_unit_test(test_sysctl_namespaces),
		cmocka_unit_test(test_cpu_lists), cmocka_unit_test(test_default_profile),
		cmocka_unit_test(test_default_profile_with_caps), cmocka_unit_test(test_custom_profile),
		cmocka_unit_test(test_bad_profiles), cmocka_unit_test(test_seccomp_file_bounds) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
