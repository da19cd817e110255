#include "spec/seccomp_profile.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sys/utsname.h>

#include "base/strv.h"
#include "spec/oci_validate.h"

#if defined(__x86_64__)
# define NATIVE "amd64"
#elif defined(__i386__)
# define NATIVE "x86"
#elif defined(__aarch64__)
# define NATIVE "arm64"
#elif defined(__arm__)
# define NATIVE "arm"
#elif defined(__riscv)
# define NATIVE "riscv64"
#elif defined(__powerpc64__) && defined(__LITTLE_ENDIAN__)
# define NATIVE "ppc64le"
#elif defined(__s390x__)
# define NATIVE "s390x"
#elif defined(__loongarch64)
# define NATIVE "loongarch64"
#elif defined(__mips64) && defined(__MIPSEL__)
# define NATIVE "mipsel64"
#else
# error "seccomp: what does libseccomp call this machine?"
#endif

static const struct json_field seccomp_condition_fields[] = {
	JSON_FIELD(struct seccomp_condition, caps, "caps", JSON_STRV, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct seccomp_condition, arches, "arches", JSON_STRV, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct seccomp_condition, min_kernel, "minKernel", JSON_STRING_FIELD, .flags = JSON_OMITEMPTY),
};
static const struct json_table seccomp_condition_table = JSON_TABLE(struct seccomp_condition, seccomp_condition_fields);

static const struct json_field seccomp_rule_fields[] = {
	JSON_FIELD(struct seccomp_rule, name, "name", JSON_STRING_FIELD, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct seccomp_rule, names, "names", JSON_STRV, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct seccomp_rule, action, "action", JSON_STRING_FIELD, .flags = JSON_REQUIRED),
	JSON_FIELD(struct seccomp_rule, errno_ret, "errnoRet", JSON_OPT_INT, .flags = JSON_OMITEMPTY),
	JSON_FIELD_ARRAY(struct seccomp_rule, args, arg_count, "args", JSON_OBJECTS, .table = &oci_seccomp_arg_table,
		.flags = JSON_OMITEMPTY),
	JSON_FIELD(struct seccomp_rule, includes, "includes", JSON_OBJECT_PTR, .table = &seccomp_condition_table,
		.flags = JSON_OMITEMPTY),
	JSON_FIELD(struct seccomp_rule, excludes, "excludes", JSON_OBJECT_PTR, .table = &seccomp_condition_table,
		.flags = JSON_OMITEMPTY),
};
static const struct json_table seccomp_rule_table = JSON_TABLE(struct seccomp_rule, seccomp_rule_fields);

static const struct json_field seccomp_arch_map_fields[] = {
	JSON_FIELD(struct seccomp_arch_map, architecture, "architecture", JSON_STRING_FIELD, .flags = JSON_REQUIRED),
	JSON_FIELD(struct seccomp_arch_map, sub_architectures, "subArchitectures", JSON_STRV, .flags = JSON_OMITEMPTY),
};
static const struct json_table seccomp_arch_map_table = JSON_TABLE(struct seccomp_arch_map, seccomp_arch_map_fields);

static const struct json_field seccomp_profile_fields[] = {
	JSON_FIELD(struct seccomp_profile, default_action, "defaultAction", JSON_STRING_FIELD, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct seccomp_profile, default_errno_ret, "defaultErrnoRet", JSON_OPT_INT, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct seccomp_profile, flags, "flags", JSON_STRV, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct seccomp_profile, listener_path, "listenerPath", JSON_STRING_FIELD, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct seccomp_profile, listener_metadata, "listenerMetadata", JSON_STRING_FIELD,
		.flags = JSON_OMITEMPTY),
	JSON_FIELD(struct seccomp_profile, architectures, "architectures", JSON_STRV, .flags = JSON_OMITEMPTY),
	JSON_FIELD_ARRAY(struct seccomp_profile, arch_map, arch_map_count, "archMap", JSON_OBJECTS,
		.table = &seccomp_arch_map_table, .flags = JSON_OMITEMPTY),
	JSON_FIELD_ARRAY(struct seccomp_profile, syscalls, syscall_count, "syscalls", JSON_OBJECTS,
		.table = &seccomp_rule_table, .flags = JSON_OMITEMPTY),
};
static const struct json_table seccomp_profile_table = JSON_TABLE(struct seccomp_profile, seccomp_profile_fields);

void seccomp_target_host(struct seccomp_target *ret)
{
	struct utsname host;
	*ret = (struct seccomp_target){ .architecture = NATIVE };
	if (uname(&host) == 0)
		sscanf(host.release, "%u.%u", &ret->kernel, &ret->major);
}

const char *seccomp_architecture(const char *native)
{
	static const struct {
		const char *native;
		const char *word;
	} words[] = {
		{ "amd64", "SCMP_ARCH_X86_64" },
		{ "x86", "SCMP_ARCH_X86" },
		{ "arm64", "SCMP_ARCH_AARCH64" },
		{ "arm", "SCMP_ARCH_ARM" },
		{ "riscv64", "SCMP_ARCH_RISCV64" },
		{ "ppc64le", "SCMP_ARCH_PPC64LE" },
		{ "ppc64", "SCMP_ARCH_PPC64" },
		{ "ppc", "SCMP_ARCH_PPC" },
		{ "s390x", "SCMP_ARCH_S390X" },
		{ "s390", "SCMP_ARCH_S390" },
		{ "loongarch64", "SCMP_ARCH_LOONGARCH64" },
		{ "mips64", "SCMP_ARCH_MIPS64" },
		{ "mips64n32", "SCMP_ARCH_MIPS64N32" },
		{ "mipsel", "SCMP_ARCH_MIPSEL" },
		{ "mipsel64", "SCMP_ARCH_MIPSEL64" },
		{ "mips3l64n32", "SCMP_ARCH_MIPSEL64N32" },
	};
	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (strcmp(words[i].native, native) == 0)
			return words[i].word;
	return NULL;
}

/* --- conditions --- */

static int parse_kernel(const char *text, unsigned *kernel, unsigned *major)
{
	int used = 0;
	if (strspn(text, "0123456789.") != strlen(text) || sscanf(text, "%3u.%3u%n", kernel, major, &used) != 2 ||
		text[used] || *kernel > 255 || *major > 255 || !(*kernel | *major))
		return -EINVAL;
	return 0;
}

static bool is_at_least(const struct seccomp_target *target, const char *min_kernel)
{
	unsigned kernel = 0, major = 0;
	parse_kernel(min_kernel, &kernel, &major);
	return target->kernel > kernel || (target->kernel == kernel && target->major >= major);
}

static bool has_any(char *const *wanted, char *const *present)
{
	strv_foreach (word, wanted)
		if (strv_has(present, *word))
			return true;
	return false;
}

static bool has_all(char *const *wanted, char *const *present)
{
	strv_foreach (word, wanted)
		if (!strv_has(present, *word))
			return false;
	return true;
}

static bool is_set(const char *text)
{
	return text && *text;
}

static bool applies(const struct seccomp_rule *rule, const struct seccomp_target *target)
{
	const struct seccomp_condition *never = rule->excludes, *only = rule->includes;
	if (never && (strv_has(never->arches, target->architecture) || has_any(never->caps, target->capabilities)))
		return false;
	if (never && is_set(never->min_kernel) && is_at_least(target, never->min_kernel))
		return false;
	if (!only)
		return true;
	if (strv_count(only->arches) && !strv_has(only->arches, target->architecture))
		return false;
	return has_all(only->caps, target->capabilities) &&
	       (!is_set(only->min_kernel) || is_at_least(target, only->min_kernel));
}

static int check_condition(const struct seccomp_condition *condition, size_t at, struct err **reterr)
{
	unsigned kernel, major;
	if (!condition || !is_set(condition->min_kernel) || parse_kernel(condition->min_kernel, &kernel, &major) == 0)
		return 0;
	return err_set(reterr, ERR_INVALID, 0, "syscalls[%zu]: invalid kernel version, expected \"<kernel>.<major>\"",
		at);
}

/* --- building --- */

int seccomp_add_rule(struct oci_seccomp *seccomp, char **names, const char *action, struct json_opt_int errno_ret,
	const struct oci_seccomp_arg *args, size_t arg_count)
{
	const struct oci_seccomp_syscall borrowed = {
		.names = names,
		.action = (char *)action,
		.errno_ret = errno_ret,
		.args = (struct oci_seccomp_arg *)args,
		.arg_count = arg_count,
	};
	struct oci_seccomp_syscall *grown = names ? reallocarray(seccomp->syscalls, seccomp->syscall_count + 1,
							    sizeof *grown)
						  : NULL;
	int r = -ENOMEM;
	if (grown) {
		seccomp->syscalls = grown;
		r = json_clone(&oci_seccomp_syscall_table, &borrowed, &grown[seccomp->syscall_count]);
	}
	if (r == 0)
		seccomp->syscall_count++;
	strv_free(names);
	return r;
}

static int add_rules(const struct seccomp_profile *profile, const struct seccomp_target *target,
	struct oci_seccomp *out, struct err **reterr)
{
	for (size_t i = 0; i < profile->syscall_count; i++) {
		const struct seccomp_rule *rule = &profile->syscalls[i];
		int r = check_condition(rule->includes, i, reterr);
		if (r == 0)
			r = check_condition(rule->excludes, i, reterr);
		if (r < 0)
			return r;
		if (is_set(rule->name) && strv_count(rule->names))
			return err_set(reterr, ERR_INVALID, 0,
				"both 'name' and 'names' are specified in the seccomp profile, use either 'name' or 'names'");
		if (!applies(rule, target))
			continue;
		char **names = NULL;
		r = is_set(rule->name) ? strv_append(&names, rule->name) : strv_extend(&names, rule->names);
		if (r == 0 && !names)
			return err_set(reterr, ERR_INVALID, 0, "syscalls[%zu].names: must not be empty", i);
		if (r < 0 ||
			seccomp_add_rule(out, names, rule->action, rule->errno_ret, rule->args, rule->arg_count) < 0)
			return err_oom(reterr);
	}
	return 0;
}

static int add_architectures(const struct seccomp_profile *profile, const struct seccomp_target *target,
	struct oci_seccomp *out, struct err **reterr)
{
	const char *native = seccomp_architecture(target->architecture);
	int r = strv_extend(&out->architectures, profile->architectures);
	for (size_t i = 0; r == 0 && native && i < profile->arch_map_count; i++) {
		const struct seccomp_arch_map *map = &profile->arch_map[i];
		if (strcmp(map->architecture, native) != 0)
			continue;
		r = strv_append(&out->architectures, native);
		if (r == 0)
			r = strv_extend(&out->architectures, map->sub_architectures);
		break;
	}
	return r < 0 ? err_oom(reterr) : 0;
}

/* The members that need no decision. */
static int copy_plain(const struct seccomp_profile *profile, struct oci_seccomp *out, struct err **reterr)
{
	const struct oci_seccomp plain = {
		.default_action = profile->default_action,
		.default_errno_ret = profile->default_errno_ret,
		.flags = profile->flags,
		.listener_path = profile->listener_path,
		.listener_metadata = profile->listener_metadata,
	};
	return json_clone(&oci_seccomp_table, &plain, out) < 0 ? err_oom(reterr) : 0;
}

static int resolve(const struct seccomp_profile *profile, const struct seccomp_target *target, struct oci_seccomp *out,
	struct err **reterr)
{
	if (!is_set(profile->default_action) && !profile->syscall_count)
		return 0;
	if (!is_set(profile->default_action))
		return err_set(reterr, ERR_INVALID, 0, "defaultAction: is required");
	if (strv_count(profile->architectures) && profile->arch_map_count)
		return err_set(reterr, ERR_INVALID, 0,
			"both 'architectures' and 'archMap' are specified in the seccomp profile, use either "
			"'architectures' or 'archMap'");
	int r = copy_plain(profile, out, reterr);
	if (r == 0)
		r = add_architectures(profile, target, out, reterr);
	if (r == 0)
		r = add_rules(profile, target, out, reterr);
	return r < 0 ? r : oci_seccomp_validate(out, reterr);
}

int seccomp_profile_resolve(json_t *value, const struct seccomp_target *target, struct oci_seccomp *out,
	struct err **reterr)
{
	struct seccomp_profile profile = { 0 };
	memset(out, 0, sizeof *out);
	int r = json_read(&seccomp_profile_table, value, &profile, reterr);
	if (r == 0)
		r = resolve(&profile, target, out, reterr);
	json_finish(&seccomp_profile_table, &profile);
	if (r < 0) {
		json_finish(&oci_seccomp_table, out);
		return err_wrap(reterr, r, "decoding seccomp profile failed");
	}
	return 0;
}
