#include "runtime/seccomp_profile.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <sys/utsname.h>

#include "base/strv.h"

static bool array_has(const json_t *array, const char *text)
{
	size_t i;
	json_t *item;

	json_array_foreach ((json_t *)array, i, item)
		if (json_is_string(item) && strcmp(json_string_value(item), text) == 0)
			return true;
	return false;
}

static bool has_any_cap(const json_t *caps, const struct seccomp_context *context)
{
	strv_foreach (cap, context->capabilities)
		if (array_has(caps, *cap))
			return true;
	return false;
}

static bool has_all_caps(const json_t *caps, const struct seccomp_context *context)
{
	size_t i;
	json_t *item;

	json_array_foreach ((json_t *)caps, i, item)
		if (!json_is_string(item) || !strv_has(context->capabilities, json_string_value(item)))
			return false;
	return true;
}

static bool kernel_is_at_least(const char *version, const struct seccomp_context *context)
{
	unsigned major = 0, minor = 0;

	if (sscanf(version, "%u.%u", &major, &minor) != 2)
		return false;
	return context->kernel_major > major || (context->kernel_major == major && context->kernel_minor >= minor);
}

/* One "excludes" condition that holds takes the rule away; all "includes" must hold. */
static bool rule_holds(const json_t *rule, const struct seccomp_context *context)
{
	const json_t *includes = json_object_get(rule, "includes"), *excludes = json_object_get(rule, "excludes");
	const json_t *arches = json_object_get(excludes, "arches");
	const char *kernel = json_string_value(json_object_get(excludes, "minKernel"));

	if (array_has(arches, context->go_arch) || has_any_cap(json_object_get(excludes, "caps"), context) ||
		(kernel && kernel_is_at_least(kernel, context)))
		return false;
	arches = json_object_get(includes, "arches");
	kernel = json_string_value(json_object_get(includes, "minKernel"));
	if (json_array_size(arches) && !array_has(arches, context->go_arch))
		return false;
	return has_all_caps(json_object_get(includes, "caps"), context) &&
	       (!kernel || kernel_is_at_least(kernel, context));
}

/* The old form has one "name" for a rule. */
static json_t *plain_rule(json_t *rule)
{
	json_t *copy = json_copy(rule);
	json_t *name = json_object_get(rule, "name");

	if (copy && json_is_string(name) && !json_object_get(rule, "names"))
		json_object_set_new(copy, "names", json_pack("[O]", name));
	return copy;
}

static json_t *plain_rules(const json_t *rules, const struct seccomp_context *context)
{
	json_t *out = json_array(), *rule;
	size_t i;

	json_array_foreach ((json_t *)rules, i, rule)
		if (out && rule_holds(rule, context) && json_array_append_new(out, plain_rule(rule)) < 0) {
			json_decref(out);
			return NULL;
		}
	return out;
}

/* The map's entry for the machine: it and those that run on it. */
static json_t *plain_archs(const json_t *map, const struct seccomp_context *context)
{
	json_t *out = json_array(), *entry;
	size_t i;

	json_array_foreach ((json_t *)map, i, entry) {
		const char *arch = json_string_value(json_object_get(entry, "architecture"));
		if (!out || !arch || strcmp(arch, context->native_arch) != 0)
			continue;
		json_array_append_new(out, json_string(arch));
		json_array_extend(out, json_object_get(entry, "subArchitectures"));
	}
	return out;
}

int seccomp_profile_read(json_t *profile, const struct seccomp_context *context, struct oci_seccomp *out,
	struct err **reterr)
{
	_autojson_ json_t *plain = json_copy(profile);
	json_t *map = json_object_get(profile, "archMap");
	json_t *rules = json_object_get(profile, "syscalls");

	if (!json_is_object(profile))
		return err_set(reterr, ERR_INVALID, 0, "the seccomp profile is not a JSON object");
	if (!plain)
		return err_oom(reterr);
	if (json_array_size(map) && json_array_size(json_object_get(profile, "architectures")))
		return err_set(reterr, ERR_INVALID, 0,
			"'architectures' and 'archMap' were specified in the seccomp profile, use either 'architectures' or 'archMap'");
	if (json_is_array(rules) && json_object_set_new(plain, "syscalls", plain_rules(rules, context)) < 0)
		return err_oom(reterr);
	if (json_array_size(map) && json_object_set_new(plain, "architectures", plain_archs(map, context)) < 0)
		return err_oom(reterr);
	return json_read(&oci_seccomp_table, plain, out, reterr);
}

static const struct {
	const char *machine;
	const char *go_arch;
	const char *scmp_arch;
} machines[] = {
	{ "x86_64", "amd64", "SCMP_ARCH_X86_64" },
	{ "aarch64", "arm64", "SCMP_ARCH_AARCH64" },
	{ "riscv64", "riscv64", "SCMP_ARCH_RISCV64" },
	{ "ppc64le", "ppc64le", "SCMP_ARCH_PPC64LE" },
	{ "s390x", "s390x", "SCMP_ARCH_S390X" },
	{ "loongarch64", "loong64", "SCMP_ARCH_LOONGARCH64" },
};

void seccomp_context_of_host(struct seccomp_context *out)
{
	struct utsname host;

	out->go_arch = out->native_arch = "";
	out->kernel_major = out->kernel_minor = 0;
	if (uname(&host) < 0)
		return;
	for (size_t i = 0; i < ARRAY_SIZE(machines); i++)
		if (strcmp(machines[i].machine, host.machine) == 0) {
			out->go_arch = machines[i].go_arch;
			out->native_arch = machines[i].scmp_arch;
		}
	if (sscanf(host.release, "%u.%u", &out->kernel_major, &out->kernel_minor) != 2)
		out->kernel_major = out->kernel_minor = 0;
}
