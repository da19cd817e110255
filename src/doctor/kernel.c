/* What the kernel has, and what it costs where it has it not. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <netinet/in.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/utsname.h>

#include "base/strv.h"
#include "doctor/report.h"
#include "network/sysctls.h"
#include "sys/cgroup.h"
#include "sys/lsm.h"

#define LANDLOCK_VERSION 1 /* LANDLOCK_CREATE_RULESET_VERSION */

static bool has_controller(const struct cgroup_host *host, const char *name)
{
	for (size_t i = 0; i < cgroup_host_count(host); i++) {
		if (strv_has(cgroup_host_get(host, i)->controllers, name))
			return true;
	}
	return false;
}

static void examine_cgroups(struct examination *examination)
{
	static const struct {
		const char *name, *costs;
	} controllers[] = {
		{ "memory", "no limits of memory, and no word of who ran out of it" },
		{ "cpu", "no --cpus and --cpu-shares" },
		{ "cpuset", "no --cpuset-cpus" },
		{ "pids", "no --pids-limit: a fork bomb is the host's" },
	};
	_autofree_(cgroup_host) struct cgroup_host *host = NULL;
	if (cgroup_host_new(&host) < 0) {
		report_mend(examination, "kernel", "mount -t cgroup2 cgroup2 /sys/fs/cgroup",
			"no control groups are mounted: no container can be started");
		return;
	}
	if (cgroup_host_is_unified(host))
		report_ok(examination, "kernel", "cgroup version 2");
	else
		report_note(examination, "kernel",
			"cgroup version 1: starts wait up to 10 ms for the kernel, and limits are not those of a whole tree");
	for (size_t i = 0; i < ARRAY_SIZE(controllers); i++) {
		if (!has_controller(host, controllers[i].name))
			report_note(examination, "kernel", "no cgroup controller %s: %s", controllers[i].name,
				controllers[i].costs);
	}
}

static bool has_filesystem(const char *name)
{
	char line[128], word[64];
	FILE *file = fopen("/proc/filesystems", "re");
	bool found = false;
	while (file && !found && fgets(line, sizeof(line), file))
		found = sscanf(line, "nodev %63s", word) == 1 && strcmp(word, name) == 0;
	if (file)
		fclose(file);
	return found;
}

static void need(struct examination *examination, bool is_there, const char *what, const char *remedy,
	const char *costs)
{
	if (is_there)
		report_ok(examination, "kernel", "%s", what);
	else
		report_mend(examination, "kernel", remedy, "no %s: %s", what, costs);
}

static void want(struct examination *examination, bool is_there, const char *what, const char *costs)
{
	if (is_there)
		report_ok(examination, "kernel", "%s", what);
	else
		report_note(examination, "kernel", "no %s: %s", what, costs);
}

static bool has_protocol(int family, int protocol)
{
	int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, protocol);
	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

void examine_kernel(struct examination *examination)
{
	struct utsname host;
	if (uname(&host) == 0)
		report_ok(examination, "kernel", "Linux %s on %s", host.release, host.machine);
	examine_cgroups(examination);
	need(examination, has_filesystem("overlay"), "overlay filesystem", "modprobe overlay",
		"images can't be mounted");
	need(examination, prctl(PR_GET_SECCOMP) >= 0, "seccomp", "use a kernel with CONFIG_SECCOMP_FILTER",
		"containers would have every system call");
	need(examination, access("/proc/self/ns/net", F_OK) == 0, "network namespaces",
		"use a kernel with CONFIG_NET_NS", "each container would be on the host's network");
	want(examination, access("/proc/self/ns/user", F_OK) == 0, "user namespaces",
		"root in a container is the host's root");
	want(examination, syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_VERSION) > 0, "Landlock",
		"what unpacks archives is shut in by fewer walls");
	want(examination, lsm_has_apparmor() || lsm_has_selinux(), "AppArmor or SELinux",
		"containers are kept in by namespaces, capabilities and seccomp alone");
	want(examination, access("/proc/sys/kernel/ns_last_pid", F_OK) == 0, "checkpoint and restore",
		"processes can't be written down and brought back");
	want(examination, sysctls_get("ipv6", "all", "disable_ipv6") == 0, "IPv6",
		"networks and published ports have IPv4 alone");
	want(examination, has_protocol(AF_INET, IPPROTO_SCTP), "SCTP",
		"published ports of sctp reach only programs with an SCTP of their own");
}
