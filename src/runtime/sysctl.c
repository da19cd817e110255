/*
 * Which kernel parameters a container may set: those that belong to a namespace, and only if that namespace is not the
 * host's (CVE-2022-0811). Names and values by grammar; the write itself goes through the private procfs, inside.
 */
#include "runtime/sysctl.h"

#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <string.h>

#include "runtime/plan.h"

#define SYSCTL_VALUE_MAX 4096

static const char *const ipc_names[] = { "kernel/msgmax", "kernel/msgmnb", "kernel/msgmni", "kernel/sem",
	"kernel/shmall", "kernel/shmmax", "kernel/shmmni", "kernel/shm_rmid_forced" };

/* Dots separate, unless a slash comes first: then dots belong to names ("net/ipv4/conf/eth0.1/forwarding"). */
int sysctl_path(const char *name, char out[static SYSCTL_PATH_MAX])
{
	size_t len = strlen(name);
	char first = name[strcspn(name, "./")];

	if (len == 0 || len >= SYSCTL_PATH_MAX)
		return -EINVAL;
	for (size_t i = 0; i <= len; i++) {
		char c = name[i];
		bool is_word = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
			       c == '-' || c == '\0';
		if (!is_word && c != '.' && c != '/' && c != ':' && c != '@')
			return -EINVAL;
		if (first == '.' && (c == '.' || c == '/'))
			c = c == '.' ? '/' : '.';
		out[i] = c;
	}
	if (out[0] == '/' || out[len - 1] == '/' || strstr(out, "//") || strstr(out, "..") || strstr(out, "/./"))
		return -EINVAL;
	return 0;
}

static uint64_t namespace_of(const char *path)
{
	for (size_t i = 0; i < ARRAY_SIZE(ipc_names); i++)
		if (strcmp(path, ipc_names[i]) == 0)
			return CLONE_NEWIPC;
	if (strncmp(path, "fs/mqueue/", 10) == 0)
		return CLONE_NEWIPC;
	if (strncmp(path, "net/", 4) == 0)
		return CLONE_NEWNET;
	if (strcmp(path, "kernel/domainname") == 0 || strcmp(path, "kernel/hostname") == 0)
		return CLONE_NEWUTS;
	if (strncmp(path, "user/", 5) == 0)
		return CLONE_NEWUSER;
	return 0;
}

static int check_one(const char *name, const char *value, uint64_t own_namespaces, struct err **reterr)
{
	char path[SYSCTL_PATH_MAX];

	if (sysctl_path(name, path) < 0)
		return err_set(reterr, ERR_INVALID, 0, "invalid sysctl name \"%.100s\"", name);
	if (!value || strlen(value) > SYSCTL_VALUE_MAX)
		return err_set(reterr, ERR_INVALID, 0, "invalid value for sysctl \"%s\"", name);
	for (const char *c = value; *c; c++)
		if (((unsigned char)*c < 0x20 && *c != '\t') || *c == 0x7f)
			return err_set(reterr, ERR_INVALID, 0, "the value for sysctl \"%s\" holds a control character",
				name);

	uint64_t namespace = namespace_of(path);
	if (!namespace)
		return err_set(reterr, ERR_INVALID, 0, "sysctl \"%s\" is not in a separate kernel namespace", name);
	if (strcmp(path, "kernel/hostname") == 0)
		return err_set(reterr, ERR_INVALID, 0,
			"sysctl \"kernel.hostname\" is not allowed: set the container's hostname instead");
	if (own_namespaces & namespace)
		return 0;
	if (namespace == CLONE_NEWNET)
		return err_set(reterr, ERR_INVALID, 0, "sysctl \"%s\" not allowed in host network namespace", name);
	return err_set(reterr, ERR_INVALID, 0, "sysctl \"%s\" is not allowed in the hosts namespace", name);
}

int plan_check_sysctls(const struct oci_spec *spec, uint64_t own_namespaces, struct err **reterr)
{
	struct map_entry *entry;

	if (!spec->linux_config.sysctl)
		return 0;
	map_foreach (entry, spec->linux_config.sysctl) {
		int r = check_one(entry->key, entry->value, own_namespaces, reterr);
		if (r < 0)
			return r;
	}
	return 0;
}
