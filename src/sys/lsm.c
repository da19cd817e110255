#include "sys/lsm.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <linux/magic.h>
#include <sys/vfs.h>

#include "base/cleanup.h"
#include "sys/procfs.h"

#define LABEL_MAX 4096

bool lsm_has_apparmor(void)
{
	char enabled = 'N';
	_autoclose_ int fd = open("/sys/module/apparmor/parameters/enabled", O_RDONLY | O_CLOEXEC);

	return fd >= 0 && read(fd, &enabled, 1) == 1 && enabled == 'Y';
}

bool lsm_has_selinux(void)
{
	struct statfs fs;

	return statfs("/sys/fs/selinux", &fs) == 0 && (unsigned long)fs.f_type == SELINUX_MAGIC;
}

static int write_attribute(int proc_fd, const char *name, const char *text)
{
	char path[96];

	snprintf(path, sizeof(path), "%d/task/%d/attr/%s", getpid(), gettid(), name);
	return procfs_write(proc_fd, path, text);
}

int lsm_set_exec_apparmor(int proc_fd, const char *profile)
{
	char text[LABEL_MAX];

	if (snprintf(text, sizeof(text), "exec %s", profile) >= (int)sizeof(text))
		return -ENAMETOOLONG;
	int r = write_attribute(proc_fd, "apparmor/exec", text);
	return r == -ENOENT ? write_attribute(proc_fd, "exec", text) : r;
}

int lsm_set_exec_selinux(int proc_fd, const char *label)
{
	return write_attribute(proc_fd, "exec", label);
}
