#include "monitor/fill.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include <linux/close_range.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "base/cleanup.h"
#include "sys/treecopy.h"

static const char unfinished_xattr[] = "trusted.tare.unfinished";

/* 1: nothing in it; 0: something. */
static int folder_is_empty(int fd)
{
	int list_fd = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *list = list_fd < 0 ? NULL : fdopendir(list_fd);
	const struct dirent *entry;
	int ret = 1;

	if (!list) {
		ret = -errno;
		fd_close(&list_fd);
		return ret;
	}
	while (ret && (entry = readdir(list)) != NULL)
		ret = strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0;
	closedir(list);
	return ret;
}

int fill_is_due(int volume_fd)
{
	return fgetxattr(volume_fd, unfinished_xattr, NULL, 0) >= 0 ? 1 : folder_is_empty(volume_fd);
}

static int fill(int image_fd, int volume_fd)
{
	if (fsetxattr(volume_fd, unfinished_xattr, "", 0, 0) < 0)
		return -errno;
	int ret = treecopy(image_fd, volume_fd);
	if (ret == 0 && fremovexattr(volume_fd, unfinished_xattr) < 0 && errno != ENODATA)
		ret = -errno;
	return ret;
}

/* Nothing of the monitor's is kept: least of all the lock that says that it lives. */
static int fill_main(pid_t parent, int image_fd, int volume_fd)
{
	if (dup2(image_fd, 0) < 0 || dup2(volume_fd, 1) < 0 || close_range(2, ~0U, 0) < 0 ||
		prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
		return errno;
	return getppid() == parent ? -fill(0, 1) : ESRCH;
}

pid_t fill_start(int image_fd, int volume_fd)
{
	int empty = folder_is_empty(image_fd);
	if (empty)
		return empty < 0 ? empty : treecopy(image_fd, volume_fd);

	pid_t parent = getpid(), pid = fork();
	if (pid < 0)
		return -errno;
	if (pid == 0)
		_exit(fill_main(parent, image_fd, volume_fd));
	return pid;
}
