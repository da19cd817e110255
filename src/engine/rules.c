#include "engine/rules.h"

#include <ctype.h>
#include <stddef.h>
#include <string.h>

#define SYSCTL_NAME_MAX 255

static const char *const ipc_sysctls[] = { "kernel.msgmax", "kernel.msgmnb", "kernel.msgmni", "kernel.sem",
	"kernel.shmall", "kernel.shmmax", "kernel.shmmni", "kernel.shm_rmid_forced", NULL };

/* "kernel/sem" is "kernel.sem" too. */
static bool has_prefix(const char *name, const char *prefix)
{
	for (; *prefix; name++, prefix++) {
		if (*name != *prefix && !(*prefix == '.' && *name == '/'))
			return false;
	}
	return true;
}

bool rules_sysctl_is_ipc(const char *name)
{
	if (has_prefix(name, "fs.mqueue."))
		return true;
	for (const char *const *known = ipc_sysctls; *known; known++) {
		if (has_prefix(name, *known) && name[strlen(*known)] == '\0')
			return true;
	}
	return false;
}

bool rules_sysctl_is_network(const char *name)
{
	return has_prefix(name, "net.");
}

static bool is_well_formed(const char *name)
{
	size_t len = strlen(name);
	if (len == 0 || len > SYSCTL_NAME_MAX || strstr(name, "..") || strstr(name, "//"))
		return false;
	for (const char *at = name; *at; at++) {
		if (!isalnum((unsigned char)*at) && !strchr("._-/", *at))
			return false;
	}
	return isalnum((unsigned char)name[0]) && isalnum((unsigned char)name[len - 1]);
}

bool rules_sysctl_is_namespaced(const char *name)
{
	return is_well_formed(name) && (rules_sysctl_is_ipc(name) || rules_sysctl_is_network(name));
}
