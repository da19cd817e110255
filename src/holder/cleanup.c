#include "holder/cleanup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <sys/file.h>

#include "holder/folders.h"

/* Its monitor holds the lock as long as it lives. */
static bool is_alive(int containers_fd, const char *id)
{
	char path[NAME_MAX + sizeof("/monitor.lock")];
	snprintf(path, sizeof(path), "%s/monitor.lock", id);
	_autoclose_ int fd = openat(containers_fd, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	return fd >= 0 && flock(fd, LOCK_SH | LOCK_NB) < 0 && errno == EWOULDBLOCK;
}

static int check_containers(int containers_fd, struct err **reterr)
{
	int r = 0;
	DIR *folder = fdopendir(dup(containers_fd));
	if (!folder)
		return err_errno(reterr, -errno, "cannot look for containers");
	for (struct dirent *entry; r == 0 && (entry = readdir(folder));) {
		if (entry->d_name[0] != '.' && is_alive(containers_fd, entry->d_name))
			r = err_set(reterr, ERR_CONFLICT, 0, "container %.12s still runs: stop all of them first",
				entry->d_name);
	}
	closedir(folder);
	return r;
}

static int check(const struct options *options, struct err **reterr)
{
	_cleanup_(folders_finish) struct folders folders = FOLDERS_INIT;
	if (access(options->exec_root, F_OK) < 0)
		return 0; /* as after the machine's start */
	int r = folders_open(&folders, options, reterr);
	return r < 0 ? r : check_containers(folders.containers_fd, reterr);
}

int cleanup_run(const struct options *options, struct err **reterr)
{
	_cleanup_free_ char *program = NULL;
	int r = check(options, reterr);
	if (r < 0)
		return r;
	if (asprintf(&program, "%s/tare-network", options->libexec) < 0) {
		program = NULL;
		return err_oom(reterr);
	}
	execl(program, "tare-network", "--cleanup", "--exec-root", options->exec_root, NULL);
	return err_errno(reterr, -errno, "cannot run %s", program);
}
