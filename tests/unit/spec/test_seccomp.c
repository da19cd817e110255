#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../unit.h"
#include "base/io.h"
#include "base/strv.h"
#include "spec/defaults.h"
#include "spec/oci_validate.h"
#include "spec/seccomp_default.h"

/* Docker's own data, where the sources lie beside it. */
#define DOCKER_DEFAULTS SOURCE_ROOT "/../shared/specs/docker-defaults/"

static json_t *load_file(const char *path)
{
	_cleanup_(buf_finish) struct buf text = BUF_INIT(1 << 20);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return NULL;
	assert_int_equal(io_read_all(fd, &text), 0);
	close(fd);
	json_t *value = NULL;
	assert_int_equal(json_load(text.data, text.len, &value, NULL), 0);
	return value;
}

/* A filter as a set of lines, one per system call and rule: the order of rules has no meaning. Without `socket`: Docker's rules look at more
 * of the argument than the kernel does, see address_families. */
static char **lines_of(const struct oci_seccomp *seccomp)
{
	char **lines = NULL;
	strv_appendf(&lines, "default %s %d", seccomp->default_action, (int)seccomp->default_errno_ret.value);
	strv_foreach (architecture, seccomp->architectures)
		strv_append(&lines, *architecture);
	for (size_t i = 0; i < seccomp->syscall_count; i++) {
		const struct oci_seccomp_syscall *rule = &seccomp->syscalls[i];
		char args[128] = "";
		assert_true(rule->arg_count <= 1);
		if (rule->arg_count)
			snprintf(args, sizeof args, "%d %s %llu %llu", (int)rule->args[0].index, rule->args[0].op,
				(unsigned long long)rule->args[0].value, (unsigned long long)rule->args[0].value_two);
		strv_foreach (name, rule->names) {
			_cleanup_free_ char *line = NULL;
			assert_true(asprintf(&line, "%s %s %d %s", *name, rule->action, (int)rule->errno_ret.value,
					    args) > 0);
			if (strcmp(*name, "socket") != 0 && !strv_has(lines, line))
				strv_append(&lines, line);
		}
	}
	strv_sort(lines);
	return lines;
}

static void compare(json_t *docker, const struct seccomp_target *target)
{
	struct oci_seccomp ours, theirs;
	assert_int_equal(seccomp_default(target, &ours, NULL), 0);
	assert_int_equal(seccomp_profile_resolve(docker, target, &theirs, NULL), 0);
	_autofree_(strv) char **our_lines = lines_of(&ours);
	_autofree_(strv) char **their_lines = lines_of(&theirs);
	strv_foreach (line, our_lines)
		if (!strv_has(their_lines, *line))
			fail_msg("%s: only ours has: %s", target->architecture, *line);
	strv_foreach (line, their_lines)
		if (!strv_has(our_lines, *line))
			fail_msg("%s: ours lacks: %s", target->architecture, *line);
	assert_int_equal(oci_seccomp_validate(&ours, NULL), 0);
	json_finish(&oci_seccomp_table, &ours);
	json_finish(&oci_seccomp_table, &theirs);
}

static void the_default_profile_is_docker_s(void **state)
{
	(void)state;
	_autojson_ json_t *docker = load_file(DOCKER_DEFAULTS "seccomp-default.head.json");
	if (!docker)
		skip();
	static const char *const architectures[] = { "amd64", "x86", "arm64", "arm", "s390x", "ppc64le", "riscv64",
		"loongarch64", "mips64", "mips64n32", "mipsel64", "mips3l64n32" };
	static const unsigned kernels[][2] = { { 3, 10 }, { 4, 7 }, { 4, 8 }, { 5, 0 }, { 6, 18 } };
	char *one[] = { NULL, NULL };

	for (size_t a = 0; a < ARRAY_SIZE(architectures); a++) {
		for (size_t k = 0; k < ARRAY_SIZE(kernels); k++) {
			struct seccomp_target target = { architectures[a], kernels[k][0], kernels[k][1], NULL };
			compare(docker, &target);
			target.capabilities = (char **)default_capabilities;
			compare(docker, &target);
			target.capabilities = (char **)capability_names;
			compare(docker, &target);
		}
		for (size_t c = 0; capability_names[c]; c++) {
			one[0] = (char *)capability_names[c];
			compare(docker, &(struct seccomp_target){ architectures[a], 6, 1, one });
		}
	}
}

static bool has_line(const struct oci_seccomp *seccomp, const char *line)
{
	_autofree_(strv) char **lines = lines_of(seccomp);
	return strv_has(lines, line);
}

static void dangerous_calls_are_not_in_it(void **state)
{
	(void)state;
	struct oci_seccomp seccomp;
	struct seccomp_target target = { "amd64", 6, 18, (char **)default_capabilities };
	assert_int_equal(seccomp_default(&target, &seccomp, NULL), 0);
	static const char *const never[] = { "unshare", "mount", "bpf", "perf_event_open", "keyctl", "add_key",
		"request_key", "userfaultfd", "io_uring_setup", "io_uring_enter", "io_uring_register", "open_tree",
		"move_mount", "fsopen", "fsconfig", "setns", "kexec_load", "init_module", "pivot_root", "swapon" };
	for (size_t i = 0; i < ARRAY_SIZE(never); i++)
		for (size_t k = 0; k < seccomp.syscall_count; k++)
			assert_false(strv_has(seccomp.syscalls[k].names, never[i]));
	assert_true(has_line(&seccomp, "clone SCMP_ACT_ALLOW 0 0 SCMP_CMP_MASKED_EQ 2114060288 0"));
	assert_true(has_line(&seccomp, "clone3 SCMP_ACT_ERRNO 38 "));
	json_finish(&oci_seccomp_table, &seccomp);
}

static bool allows_family(const struct oci_seccomp *seccomp, uint64_t family)
{
	for (size_t i = 0; i < seccomp->syscall_count; i++) {
		const struct oci_seccomp_syscall *rule = &seccomp->syscalls[i];
		if (!strv_has(rule->names, "socket"))
			continue;
		assert_int_equal(rule->arg_count, 1);
		assert_string_equal(rule->args[0].op, "SCMP_CMP_MASKED_EQ");
		if (rule->args[0].index == 0 && (family & rule->args[0].value) == rule->args[0].value_two)
			return true;
	}
	return false;
}

static void address_families(void **state)
{
	(void)state;
	struct oci_seccomp seccomp;
	struct seccomp_target target = { "amd64", 6, 18, (char **)default_capabilities };
	assert_int_equal(seccomp_default(&target, &seccomp, NULL), 0);
	for (uint64_t family = 0; family < 64; family++) {
		bool is_known = family != 38 && family != 40;
		assert_true(allows_family(&seccomp, family) == is_known);
		assert_true(allows_family(&seccomp, family | (1ULL << 32)) == is_known);
		assert_true(allows_family(&seccomp, family | ~(uint64_t)UINT32_MAX) == is_known);
	}
	assert_false(allows_family(&seccomp, 64));
	assert_false(allows_family(&seccomp, UINT32_MAX));
	json_finish(&oci_seccomp_table, &seccomp);
}

static int resolve(const char *text, struct oci_seccomp *out, struct err **reterr)
{
	_autojson_ json_t *value = NULL;
	assert_int_equal(json_load(text, strlen(text), &value, NULL), 0);
	char *capabilities[] = { "CAP_KILL", NULL };
	const struct seccomp_target target = { "amd64", 5, 10, capabilities };
	return seccomp_profile_resolve(value, &target, out, reterr);
}

static void conditions_decide(void **state)
{
	(void)state;
	struct oci_seccomp out;
	assert_int_equal(
		resolve("{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"archMap\":[{\"architecture\":\"SCMP_ARCH_X86_64\","
			"\"subArchitectures\":null}],\"syscalls\":["
			"{\"names\":[\"a1\"],\"action\":\"SCMP_ACT_LOG\",\"includes\":{\"minKernel\":\"5.10\"}},"
			"{\"names\":[\"b0\"],\"action\":\"SCMP_ACT_LOG\",\"includes\":{\"minKernel\":\"5.11\"}},"
			"{\"names\":[\"c0\"],\"action\":\"SCMP_ACT_LOG\",\"excludes\":{\"minKernel\":\"4.20\"}},"
			"{\"names\":[\"d1\"],\"action\":\"SCMP_ACT_LOG\",\"includes\":{\"caps\":[\"CAP_KILL\"]}},"
			"{\"names\":[\"e0\"],\"action\":\"SCMP_ACT_LOG\",\"includes\":{\"caps\":[\"CAP_KILL\",\"CAP_BPF\"]}},"
			"{\"names\":[\"f0\"],\"action\":\"SCMP_ACT_LOG\",\"excludes\":{\"caps\":[\"CAP_BPF\",\"CAP_KILL\"]}},"
			"{\"name\":\"g1\",\"action\":\"SCMP_ACT_LOG\",\"includes\":{\"arches\":[\"arm\",\"amd64\"]}},"
			"{\"name\":\"h0\",\"action\":\"SCMP_ACT_LOG\",\"excludes\":{\"arches\":[\"amd64\"]}},"
			"{\"name\":\"i1\",\"action\":\"SCMP_ACT_LOG\",\"includes\":{},\"excludes\":{}}]}",
			&out, NULL),
		0);
	assert_int_equal(out.syscall_count, 4);
	for (size_t i = 0; i < out.syscall_count; i++)
		assert_int_equal(out.syscalls[i].names[0][1], '1');
	assert_int_equal(strv_count(out.architectures), 1);
	json_finish(&oci_seccomp_table, &out);
}

static void an_oci_filter_passes_through(void **state)
{
	(void)state;
	struct oci_seccomp out;
	assert_int_equal(resolve("{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"defaultErrnoRet\":38,"
				 "\"architectures\":[\"SCMP_ARCH_ARM\"],\"flags\":[\"SECCOMP_FILTER_FLAG_LOG\"],"
				 "\"syscalls\":[{\"names\":[\"read\"],\"action\":\"SCMP_ACT_TRACE\",\"errnoRet\":7,"
				 "\"args\":[{\"index\":1,\"value\":18446744073709551615,\"valueTwo\":1,"
				 "\"op\":\"SCMP_CMP_GE\"}]}]}",
				 &out, NULL),
		0);
	assert_int_equal(out.default_errno_ret.value, 38);
	assert_string_equal(out.architectures[0], "SCMP_ARCH_ARM");
	assert_true(out.syscalls[0].args[0].value == UINT64_MAX);
	assert_int_equal(out.syscalls[0].errno_ret.value, 7);
	json_finish(&oci_seccomp_table, &out);

	assert_int_equal(resolve("{}", &out, NULL), 0);
	assert_null(out.default_action);
}

static void wrong_profiles_are_refused(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		const char *message;
	} cases[] = {
		{ "[]", "decoding seccomp profile failed: invalid JSON: expected an object, got an array" },
		{ "{\"syscalls\":[{\"name\":\"read\",\"action\":\"SCMP_ACT_ALLOW\"}]}",
			"decoding seccomp profile failed: defaultAction: is required" },
		{ "{\"defaultAction\":\"NO\"}",
			"decoding seccomp profile failed: linux.seccomp.defaultAction: is no action" },
		{ "{\"defaultAction\":\"SCMP_ACT_LOG\",\"syscalls\":[{\"action\":\"SCMP_ACT_LOG\"}]}",
			"decoding seccomp profile failed: syscalls[0].names: must not be empty" },
		{ "{\"defaultAction\":\"SCMP_ACT_LOG\",\"syscalls\":[{\"name\":\"x\",\"action\":\"SCMP_ACT_LOG\","
		  "\"includes\":{\"minKernel\":\"4.8.1\"}}]}",
			"decoding seccomp profile failed: syscalls[0]: invalid kernel version, expected \"<kernel>.<major>\"" },
		{ "{\"defaultAction\":\"SCMP_ACT_LOG\",\"architectures\":[\"SCMP_ARCH_ARM\"],"
		  "\"archMap\":[{\"architecture\":\"SCMP_ARCH_ARM\"}]}",
			"decoding seccomp profile failed: both 'architectures' and 'archMap' are specified in the seccomp profile, "
			"use either 'architectures' or 'archMap'" },
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_autofree_(err) struct err *err = NULL;
		struct oci_seccomp out;
		assert_int_equal(resolve(cases[i].text, &out, &err), -EINVAL);
		assert_string_equal(err_message(err), cases[i].message);
	}
}

static void the_host_is_a_target(void **state)
{
	(void)state;
	struct seccomp_target target;
	seccomp_target_host(&target);
	assert_non_null(seccomp_architecture(target.architecture));
	assert_true(target.kernel >= 5);
	assert_null(seccomp_architecture("pdp11"));
}

/* --- defaults.h --- */

static void the_default_mounts_and_rules_make_a_valid_document(void **state)
{
	(void)state;
	_autofree_(err) struct err *err = NULL;
	struct oci_resources resources = { 0 };
	struct oci_root root = { .path = "r" };
	struct oci_spec spec = { .version = OCI_VERSION, .root = &root };
	assert_int_equal(defaults_add_mounts(&spec, 4096), 0);
	assert_int_equal(defaults_add_device_rules(&resources), 0);
	assert_int_equal(defaults_set_paths(&spec.linux_config), 0);
	assert_int_equal(defaults_add_namespace(&spec.linux_config, "pid", NULL), 0);
	assert_int_equal(defaults_add_namespace(&spec.linux_config, "network", "/proc/1/ns/net"), 0);
	spec.linux_config.resources = &resources;

	assert_int_equal(oci_spec_validate(&spec, &err), 0);
	const struct oci_mount *shm = &spec.mounts[spec.mount_count - 1];
	assert_string_equal(shm->destination, "/dev/shm");
	assert_true(strv_has(shm->options, "size=4096"));
	assert_false(resources.devices[0].allow);
	assert_false(resources.devices[0].major.set);
	assert_true(strv_has(spec.linux_config.masked_paths, "/proc/kcore"));

	spec.linux_config.resources = NULL;
	spec.root = NULL;
	spec.version = NULL;
	json_finish(&oci_resources_table, &resources);
	oci_spec_finish(&spec);
}

static void expect_same(json_t *theirs, const char *const *ours)
{
	size_t count = 0;
	while (ours[count])
		count++;
	assert_int_equal(json_array_size(theirs), count);
	for (size_t i = 0; i < count; i++)
		assert_true(strv_has((char **)ours, json_string_value(json_array_get(theirs, i))));
}

static void the_defaults_are_docker_s(void **state)
{
	(void)state;
	_autojson_ json_t *docker = load_file(DOCKER_DEFAULTS "oci-defaults.head.json");
	if (!docker)
		skip();
	expect_same(json_object_get(docker, "defaultCapabilities"), default_capabilities);
	expect_same(json_object_get(docker, "maskedPaths"), default_masked_paths);
	expect_same(json_object_get(docker, "readonlyPaths"), default_readonly_paths);

	struct oci_spec spec = { 0 };
	assert_int_equal(defaults_add_mounts(&spec, 0), 0);
	json_t *mounts = json_object_get(docker, "mounts");
	assert_int_equal(json_array_size(mounts), spec.mount_count + 1); /* and /dev/shm */
	for (size_t i = 0; i < spec.mount_count; i++) {
		json_t *theirs = json_array_get(mounts, i), *options = json_object_get(theirs, "options");
		assert_string_equal(json_string_value(json_object_get(theirs, "destination")),
			spec.mounts[i].destination);
		assert_string_equal(json_string_value(json_object_get(theirs, "type")), spec.mounts[i].type);
		expect_same(options, (const char *const *)spec.mounts[i].options);
	}
	oci_spec_finish(&spec);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_default_profile_is_docker_s),
		cmocka_unit_test(dangerous_calls_are_not_in_it),
		cmocka_unit_test(address_families),
		cmocka_unit_test(conditions_decide),
		cmocka_unit_test(an_oci_filter_passes_through),
		cmocka_unit_test(wrong_profiles_are_refused),
		cmocka_unit_test(the_host_is_a_target),
		cmocka_unit_test(the_default_mounts_and_rules_make_a_valid_document),
		cmocka_unit_test(the_defaults_are_docker_s),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
