#include "monitor/hostproc.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"

int hostproc_read(pid_t pid, const char *name, struct buf *out)
{
	char path[64];
	snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, name);
	_autoclose_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? -errno : io_read_all(fd, out);
}

int hostproc_start_time(pid_t pid, uint64_t *ret)
{
	_cleanup_(buf_finish) struct buf stat = BUF_INIT(HOSTPROC_FILE_MAX);
	unsigned long long start;
	int r = hostproc_read(pid, "stat", &stat);
	if (r < 0)
		return r;
	const char *after = stat.data ? strrchr(stat.data, ')') : NULL;
	if (!after ||
		sscanf(after + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %*d %*d %llu",
			&start) != 1)
		return -EINVAL;
	*ret = start;
	return 0;
}
