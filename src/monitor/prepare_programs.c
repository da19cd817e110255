/* Programs that the start needs beside the container's own: the init of --init, and the compiled seccomp filter. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/stat.h>

#include "monitor/monitor.h"
#include "monitor/prepare.h"
#include "runtime/seccomp_cache.h"

static int open_init(const struct monitor *monitor, struct err **reterr)
{
	_cleanup_free_ char *path = NULL;
	if (asprintf(&path, "%s/tare-init", monitor->options.program_dir) < 0) {
		path = NULL;
		return err_oom(reterr);
	}
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? err_errno(reterr, -errno, "cannot open the container's init, %s", path) : fd;
}

static int open_cache(const struct monitor *monitor)
{
	_cleanup_free_ char *path = NULL;
	if (asprintf(&path, "%s/seccomp", monitor->options.exec_root) < 0) {
		path = NULL;
		return -1;
	}
	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		return -1; /* compiled anew each time, then */
	return open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static int open_filter(const struct monitor *monitor, int *ret_fd, struct err **reterr)
{
	const struct launch *launch = &monitor->launch;
	const struct oci_capabilities *capabilities = launch->oci.process->capabilities;
	const struct seccomp_request request = {
		.profile = strcmp(launch->seccomp.mode, "profile") == 0 ? launch->seccomp.profile : NULL,
		.capabilities = capabilities ? capabilities->bounding : NULL,
	};
	_cleanup_free_ char *compiler = NULL;
	if (asprintf(&compiler, "%s/tare-runtime", monitor->options.program_dir) < 0) {
		compiler = NULL;
		return err_oom(reterr);
	}
	_autoclose_ int cache = open_cache(monitor);
	return seccomp_cache_open(cache, compiler, &request, ret_fd, reterr);
}

int prepare_programs(struct monitor *monitor, struct prepared *prepared, struct err **reterr)
{
	if (monitor->launch.init) {
		prepared->init_fd = open_init(monitor, reterr);
		if (prepared->init_fd < 0)
			return prepared->init_fd;
	}
	/* launch_parse knows no mode but these three, so that none can slip through as no filter. */
	if (strcmp(monitor->launch.seccomp.mode, "unconfined") == 0)
		return 0;
	return open_filter(monitor, &prepared->seccomp_fd, reterr);
}
